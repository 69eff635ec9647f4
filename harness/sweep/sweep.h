// The sweep, as the commands and tests use it: which cells, by how many workers, and what came of
// them.
#ifndef KILL9_HARNESS_SWEEP_SWEEP_H_
#define KILL9_HARNESS_SWEEP_SWEEP_H_

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/result/result.h"
#include "harness/result/shard.h"
#include "harness/result/verdict.h"
#include "harness/sweep/cell/cell.h"

namespace kill9::sweep {

struct SweepProgress {
  size_t done = 0, cells = 0;
  double seconds = 0;
  double seconds_left = -1;  // as the cells so far tell; below 0: none tells yet
  uint64_t kills = 0;        // in the cells that are done
  bool found = false;
};

struct SweepOptions {
  std::vector<const Design*> variants;
  std::vector<std::string> operations;  // empty: all that apply
  std::vector<std::string> states;      // empty: all that apply
  bool full = false;  // kill at every instruction, not once in each distinct state
  bool stall = false;
  bool recovery = false;
  bool two_victims = false;
  bool resume = false;
  bool kill_after_resume = false;
  bool reuse = false;
  bool three_members = false;
  // None of these, but of some cells, drawn from the seed, one of them at a few places.
  bool samples_modes = false;
  // Of the scenes, as text (driver/sweep_shape.h); "usual", or "drawn": each cell has one of its
  // own, which the seed decides.
  std::string shape = "usual";
  // Of some cells, drawn from the seed, which have none of the modes: as "drawn".
  bool samples_shapes = false;
  std::string second;   // empty: the kind's own
  uint32_t sample = 8;  // instructions of each cell killed at besides their state's
  uint32_t pairs = 0;  // states of each cell that are paired with a second death, and accesses that
                       // are stopped before in resume; 0: all. In kill_after_resume and reuse, so
                       // many of the first ones and, for each, so many of the second
  uint32_t cells = 0;  // 0: all; else a seeded sample of so many
  double seconds = 0;  // 0: no limit; else cells come in a seeded order, and none is begun later
  uint64_t seed = 1;
  Shard shard;  // of the cells
  double watchdog_seconds = 5;
  uint32_t most_failures = 3;  // of a cell, in each mode; then it is left
  uint32_t workers = 0;        // 0: one for each CPU that this process may use
  stepper::BreakpointChoice breakpoints = stepper::BreakpointChoice::kFirstThatWorks;
  std::string coverage_directory;                      // empty: none
  bool fail_fast = false;                              // no cell is begun after one that failed
  bool quiet = false;                                  // no line of a cell that passed
  std::function<void(const SweepProgress&)> progress;  // several times a second; empty: none
};

// The names of operations and starting states, of all kinds of objects, each once.
std::vector<std::string> OperationNames();
std::vector<std::string> StateNames();
// kInvalidArgument: objects of this kind have no such shape.
absl::Status CheckSweepShape(const Design& design, std::string_view shape);

struct Cell {
  CellRequest request;
  CellResult result;
};

// The cells that the options ask for, of all shards; `variant`, operation and state are the
// request's.
std::vector<CellRequest> PlanCells(const SweepOptions& options);

// Runs cells in workers; `done` is called for each in the order in which they end. An error: the
// machine does not allow it (kPermissionDenied: ptrace), or a worker died. `enough` (may be null)
// is asked several times a second: once it says true, no further cell is begun and those under way
// are given up (kCancelled). With `seconds` > 0 no cell is begun later than that.
absl::Status RunCells(const std::vector<CellRequest>& requests, uint32_t workers,
                      const std::function<bool()>& enough,
                      const std::function<void(const CellRequest&, CellArea&, pid_t worker)>& done,
                      double seconds = 0);

// Brings the victim of request.place to its instruction, leaves it there stopped and untraced, and
// calls `attach` with the worker's process; ends the victim when that returns. Returns the worker's
// process.
absl::StatusOr<pid_t> StopForDebugger(CellRequest request,
                                      const std::function<void(pid_t worker)>& attach);

// The kind of shapes that a run of the sweep tells: "swept store".
std::string SweptKind(std::string_view kind);
// A run of the result file; with the instructions of its failures as people read them, in the
// worker that ran the cell.
Json RunOf(const CellRequest& request, const CellResult& result);
Json RunWithPlaces(const CellRequest& request, const CellResult& result, pid_t worker);
// The command that repeats a failure, and back from a run of a result file. Whether there is such a
// variant is for whoever has the list to say.
std::string RepeatLine(const CellRequest& request, const KillPoint& place);
absl::StatusOr<CellRequest> RequestOf(const Json& run);

// Lines for people. Of a cell that is done: the first one has its verdict's name.
struct SweepText {
  std::string text;
  std::optional<Verdict> verdict = {};
};

// The whole of it: cells, coverage, the result with all runs. What people read goes to `say`.
// `earlier`: the result of the same sweep, interrupted, which goes on (continuation.h); null: none.
absl::StatusOr<Json> RunSweep(const SweepOptions& options,
                              const volatile std::sig_atomic_t* interrupted,
                              const std::function<void(const SweepText&)>& say,
                              const Json* earlier = nullptr);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_SWEEP_H_
