// The judge: the survivors of one death, in a process of their own, which go on, recover, audit,
// fill the object to exhaustion, empty it, and say whether all of that was legal.
//
// Two survivors: A was attached before the victim began, B attaches after its death. The plan says
// who moves first, and whether work or recovery comes first: designs that repair inside the next
// operation and designs that repair in Recover are both met on their weak side.
//
// What A and B do is recorded; whether it fits what the victims did is one check of that history,
// at the end. What no history shows has verdicts of its own: the audit, a status that the contract
// does not allow, a survivor that is stuck.
#ifndef KILL9_HARNESS_SWEEP_JUDGE_JUDGE_H_
#define KILL9_HARNESS_SWEEP_JUDGE_JUDGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/result/verdict.h"
#include "harness/sweep/driver/driver.h"
#include "harness/sweep/judge/history_check.h"
#include "harness/sweep/judge/remote_survivor.h"

namespace kill9::sweep {

enum class Plan : uint8_t {
  kWorkFirst,     // A works on the same and elsewhere before anybody calls Recover
  kRecoverFirst,  // B attaches and recovers before anybody works
  kLookFirst,     // the same, but A has looked before: what it saw must stand
};
inline constexpr int kPlanCount = 3;

struct JudgeRequest {
  Plan plan = Plan::kWorkFirst;
  bool returned = false;            // the first victim's operation had returned when it died
  char created_name[64] = {};       // of the segment that its operation creates; empty: it does not
  uint32_t live_holders = 0;        // participants besides the judge's own
  int64_t held_blocks_at_end = -1;  // as in the run without kills; -1: not known yet
  // What the first victim's operation records without a kill; kOpen: not known yet, or nothing.
  Operation completed = {};

  bool creates() const { return created_name[0] != '\0'; }
};

inline constexpr uint32_t kMostMessageBytes = 400, kMostWindowBytes = 6000;

// In memory that the judge shares with its parent.
struct JudgeReport {
  uint32_t done;  // 0: the judge died or was stopped on the way
  Verdict verdict;
  DecidedOutcome outcome;
  char stage[48];  // what the judge was doing last
  char message[kMostMessageBytes];
  char window[kMostWindowBytes];  // of the history, where that is not legal
  int64_t held_blocks_at_end;
  uint64_t recovered_participants;
  uint64_t page_faults;
  int64_t leaked_blocks, doubly_owned_blocks;

  void Say(Verdict found, const std::string& what, const std::string& of_history);
};

class Judge final : public Findings {
 public:
  // `check` is kept for the next judge of the process. `remote`: B, where it is another process, or
  // null.
  Judge(const Scene& scene, const JudgeRequest& request, JudgeReport* report, CellHistory& history,
        HistoryCheck& check, RemoteSurvivor* remote);

  // Before the victim begins: A attaches. Where the scene has no place for it, it does so in Run.
  void AttachBefore();
  // After its death. Ends with report->done = 1; a failure ends the process.
  void Run();

 private:
  void SetPhase(const char* stage);
  [[noreturn]] void Fail(Verdict verdict, const std::string& message) override;
  std::unique_ptr<Survivor> Attach(CellProcess process);
  // Takes every participant's slot that is left; Run gives them back first.
  void FillTable();
  void Work();
  void Recover(Survivor& survivor);
  void CheckAudit(Survivor& survivor, uint32_t attached, bool emptied);
  void FillAndEmpty(Survivor& filler, Survivor& emptier);
  // Of a creation that died: the name must be free, or name a complete segment.
  std::unique_ptr<Scene> OpenCreated();
  void JudgeHistory();

  const Scene* scene_;
  const JudgeRequest& request_;
  JudgeReport* report_;
  CellHistory& history_;
  HistoryCheck& check_;
  RemoteSurvivor* const remote_;
  std::unique_ptr<Scene> created_;
  DecidedOutcome creation_ = DecidedOutcome::kNone;
  std::unique_ptr<Survivor> before_, after_;
  std::vector<std::unique_ptr<SharedObject>> others_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_JUDGE_JUDGE_H_
