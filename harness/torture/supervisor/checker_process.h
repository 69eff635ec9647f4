// The history's checker in a process of its own, going along with a run.
//
// PROGRESS: the supervisor never waits for it; the workers do, in their rings, when it is far
// behind. ON CRASH: of the checker: alive() turns false, and the run is undecided.
#ifndef KILL9_HARNESS_TORTURE_SUPERVISOR_CHECKER_PROCESS_H_
#define KILL9_HARNESS_TORTURE_SUPERVISOR_CHECKER_PROCESS_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "harness/base/clock.h"
#include "harness/base/shared_mapping.h"
#include "harness/checker/search/condition.h"
#include "harness/edn/kept_history.h"
#include "harness/history/history_pipe.h"
#include "harness/result/verdict.h"
#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {

struct CheckerProcessOptions {
  std::string model;  // "map", "cache"
  bool has_versions = true;
  Clock clock;
  uint32_t processes = 1;           // rings that are drained into one batch
  std::string counterexample_stem;  // as OnlineOptions'
  std::string history_file = {};    // where the history of a failed run is kept; empty: it is not
};

// What the checker found of a run.
struct CheckedHistory {
  Verdict verdict = Verdict::kUndecided;  // kPass, kViolation, kUndecided, kVacuous
  std::optional<Condition> strongest;     // nothing: none was shown to hold
  uint64_t operations_checked = 0;
  uint64_t overlapping_operations = 0;
  uint64_t keys_undecided = 0;
  bool out_of_work = false;    // as OnlineOutcome's
  bool is_cut_off = false;     // and not consistent at that end, which proves nothing
  std::string counterexample;  // empty: none
  std::vector<std::string> counterexample_files;
  HistoryFile history;  // of a failed run
};

// Why it is undecided, and what leaves the checker less to look at.
std::string WhyUndecided(const CheckedHistory& checked);

class CheckerProcess final : public HistorySink {
 public:
  // Forks the checker. The supervisor, forked later, feeds it.
  static absl::StatusOr<std::unique_ptr<CheckerProcess>> Start(
      const CheckerProcessOptions& options);
  ~CheckerProcess() override;

  // The supervisor's.
  bool ready() override;
  void Feed(const std::vector<Operation>& operations, uint64_t settled) override;
  bool found_violation() override;
  bool saw_overlap() override;

  // The caller's.
  bool alive();
  // Nothing is fed any more: waits for the verdict, and some seconds more when `wanted`, which is
  // called several times a second, has become false. `failed`: the history is kept even if it is
  // consistent. Nothing if the checker died.
  std::optional<CheckedHistory> Finish(absl::FunctionRef<bool()> wanted, bool failed = false);

 private:
  struct Shared;
  CheckerProcess(const CheckerProcessOptions& options, std::unique_ptr<HistoryPipe> pipe,
                 SharedMapping<Shared> shared);
  [[noreturn]] void Run();

  CheckerProcessOptions options_;
  std::unique_ptr<HistoryPipe> pipe_;
  SharedMapping<Shared> shared_;
  pid_t owner_;
  pid_t pid_ = 0;  // 0: reaped
};

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SUPERVISOR_CHECKER_PROCESS_H_
