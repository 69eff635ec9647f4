// The judge: the survivors of one death, in a process of their own, which go on, recover, audit,
// fill the store to exhaustion, empty it, and say whether all of that was legal.
//
// Two survivors: A was attached before the victim began, B attaches after its death. The plan says
// who moves first, and whether work or recovery comes first: designs that repair inside the next
// operation and designs that repair in Recover are both met on their weak side.
#ifndef KILL9_HARNESS_SWEEP_JUDGE_H_
#define KILL9_HARNESS_SWEEP_JUDGE_H_

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/result/verdict.h"
#include "harness/sweep/remote_survivor.h"
#include "harness/sweep/scene.h"

namespace kill9::sweep {

enum class Plan : uint8_t {
  kWorkFirst,     // A works on the same and other keys before anybody calls Recover
  kRecoverFirst,  // B attaches and recovers before anybody works
  kLookFirst,     // the same, but A has looked before: what it saw must stand
};
inline constexpr int kPlanCount = 3;

// What a key may hold besides what the scene says: the effect of an operation that died.
struct AllowedEffect {
  uint32_t key = 0;
  Entry entry;
};

struct JudgeRequest {
  Plan plan = Plan::kWorkFirst;
  uint32_t alternatives = 0;
  AllowedEffect alternative[2];
  bool must_happen = false;  // a run without kills: the first alternative must be seen
  bool only_read = false;  // recover, tell what the keys hold (in CellSharedMemory), and nothing else
  uint32_t live_holders = 0;        // participants besides the judge's own
  int64_t held_blocks_at_end = -1;  // as in the run without kills; -1: not known yet
};

enum class DecidedOutcome : uint8_t { kNone, kDidNotHappen, kHappened };

// In memory that the judge shares with its parent.
struct JudgeReport {
  uint32_t done;  // 0: the judge died or was stopped on the way
  Verdict verdict;
  DecidedOutcome outcome;  // kNone: the operation has no effect on keys
  char stage[48];          // what the judge was doing last
  char message[400];
  int64_t held_blocks_at_end;
  uint32_t puts_to_exhaustion;
  uint64_t recovered_participants;
  uint64_t page_faults;
  int64_t leaked_blocks, doubly_owned_blocks;
};

class Judge {
 public:
  // `read_back`: where only_read puts what the keys hold; as many as the scene has keys.
  // `remote_survivor`: who B is, if not this process as well; null: it is.
  Judge(const Scene& scene, const JudgeRequest& orders, JudgeReport* report, Entry* read_back,
        RemoteSurvivor* remote_survivor = nullptr);

  // Before the victim begins: A attaches. Where the scene has no place for it, it does so in Run.
  void AttachBefore();
  // After its death. Ends with report->done = 1; a failure ends the process.
  void Run();
  // The same for a creation that died: the name must be free, or name a complete segment.
  void RunCreate();

 private:
  void SetPhase(const char* stage);
  [[noreturn]] void Fail(Verdict verdict, const std::string& message);
  // The message's pieces are put together only if there is something to say: a judge checks
  // thousands of things.
  template <typename... Pieces>
  void Check(bool holds, Verdict verdict, const Pieces&... pieces) {
    if (!holds) Fail(verdict, absl::StrCat(Piece(pieces)...));
  }
  template <typename T>
  static const T& Piece(const T& piece) {
    return piece;
  }
  static std::string Piece(const absl::Status& status);
  struct KeyName {
    uint32_t key;
    const Scene& scene;
  };
  static std::string Piece(const KeyName& name) {
    return absl::StrCat("key '", name.scene.keys[name.key], "'");
  }
  std::unique_ptr<Store> Attach();          // A
  std::unique_ptr<Store> AttachNewcomer();  // B
  void Judgement();
  void CreateJudgement();
  // Compares one read with what is legal; the first look at an undecided key decides it.
  void Seen(uint32_t key, bool present, std::string_view value, Version version);
  void CheckKey(Store& store, uint32_t key);
  void CheckAll(Store& store);
  void Recover(Store& store);
  void CheckAudit(Store& store, uint32_t attached, bool emptied);
  void Work(Store& store, uint32_t key);
  void Put(Store& store, uint32_t key);
  void CompareAndSwap(Store& store, uint32_t key);
  void PinAndOverwrite(Store& store, uint32_t key);
  void Drafts(Store& store, uint32_t key);
  void Erase(Store& store, uint32_t key);
  void FillAndEmpty(Store& filler, Store& emptier);
  // What a write must return: a version above all that were seen for the key.
  void Wrote(uint32_t key, uint32_t id, uint32_t size, Version version);
  bool Full(const absl::Status& status) const;
  KeyName Where(uint32_t key) const { return {key, scene_}; }

  const Scene& scene_;
  const Traits& traits_;
  JudgeRequest orders_;
  JudgeReport* report_;
  Entry* read_back_;
  RemoteSurvivor* remote_survivor_;
  std::vector<Entry> model_;
  std::vector<Version> newest_;
  std::vector<bool> undecided_;
  std::vector<uint8_t> seen_;  // by ForEach
  std::string value_, read_;
  uint32_t next_id_ = kJudgeId;
  std::unique_ptr<Store> before_, after_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_JUDGE_H_
