// A store in use: every operation is recorded, announced on the worker's board, and what comes back
// is checked at once. It is what workers and auditors have in common.
//
// What a client finds by itself, without the history's checker: values that are torn, another
// key's, or were never written; versions that run backwards or repeat; a key without its
// acknowledged value; a pinned value that changes; a status that the contract does not allow. The
// first finding ends the process (kExitFinding).
#ifndef KILL9_HARNESS_STORE_DRIVER_CLIENT_H_
#define KILL9_HARNESS_STORE_DRIVER_CLIENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/store_driver/value.h"
#include "harness/torture/kill_timer.h"
#include "harness/torture/run_context.h"

namespace kill9 {

class Client {
 public:
  Client(const RunContext& context, uint32_t slot, uint32_t process);

  // Every call below returns only if nothing was found.
  void Attach();
  void Detach();
  bool attached() const { return store_ != nullptr; }

  // The version read; kAbsent for a miss.
  Version Get(uint64_t key);
  bool Put(uint64_t key, uint32_t size);  // false: refused, the segment is full
  bool Erase(uint64_t key);               // whether it was there
  void CompareAndSwap(uint64_t key, Version expected, uint32_t size);
  void Pin(uint64_t key);
  void Draft(uint64_t key, uint32_t size, Random& random);
  // Gives up the oldest hold (a draft is committed if `commit`); nothing if there is none.
  void ReleaseOne(bool commit);
  void ReleaseAll();
  size_t holds() const { return pins_.size() + drafts_.size(); }
  void ForEach();
  RecoveryReport Recover();

  [[noreturn]] void Fail(Verdict verdict, const std::string& message);

  Store& store() { return *store_; }
  WorkerBoard& board() { return board_; }
  uint32_t process() const { return process_; }
  const RunContext& context() const { return context_; }
  DeathTimer& timer() { return timer_; }
  // As the place of a step that is not an operation of its own.
  void Enter(Activity activity) { board_.activity.store(activity, std::memory_order_relaxed); }
  void Progress();

 private:
  struct HeldPin {
    PinnedValue pin;
    uint64_t key;
    ValueId id;
  };
  struct HeldDraft {
    kill9::Draft draft;
    uint64_t key;
    ValueId id;
  };
  struct Seen {  // of a key's board, before an operation begins
    Version floor;
    bool must_exist;
  };

  Seen Look(uint64_t key) const;
  void Begin(Function function, uint64_t key, uint64_t argument = kNothing, uint64_t expected = 0);
  void End(Outcome outcome, uint64_t result = kNothing, uint64_t version = 0);
  ValueId NextId();
  void CheckRead(const char* operation, uint64_t key, const Seen& seen, Version version,
                 std::string_view value);
  void CheckMiss(const char* operation, uint64_t key, const Seen& seen);
  void CheckWritten(const char* operation, uint64_t key, const Seen& seen, Version version);
  void CheckVersion(const char* operation, uint64_t key, const Seen& seen, Version version);
  void CheckBytes(const char* operation, uint64_t key, std::string_view value);
  [[noreturn]] void FailMachine(const std::string& message);
  [[noreturn]] void FailToAttach(Verdict verdict, const char* what, const absl::Status& status);
  [[noreturn]] void FailStatus(const char* operation, uint64_t key, const absl::Status& status);
  std::string Name(uint64_t key) const;
  void CommitDraft(HeldDraft held);
  void ReleasePin(HeldPin held);

  const RunContext& context_;
  Control& control_;
  WorkerBoard& board_;
  const uint32_t process_;
  const bool lossless_;
  const bool has_versions_;
  Recorder recorder_;
  DeathTimer timer_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Store> store_;
  std::vector<HeldPin> pins_;
  std::vector<HeldDraft> drafts_;
  std::string buffer_;  // what Get reads into
  std::string value_;   // what is written
  uint32_t sequence_ = 0;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_CLIENT_H_
