// The checker that goes along with a run: it is fed what the recording drains, checks each key as
// its operations become settled, and forgets what is behind a key's last quiescent point. Its
// memory depends on the number of keys and on what is open or waiting, not on the length of the
// run.
//
//     OnlineChecker checker({.model = FindModel("map"), .threads = 1, .clock = &recording->clock(),
//                            .counterexample_stem = "run-7"});
//     while (running) {
//       batch.clear();
//       uint64_t settled = recording->Drain(&batch);
//       checker.Feed(batch, settled);               // waits while the checker is too far behind
//       if (checker.violated()) …                   // early news
//     }
//     … all workers reaped and closed, the last Drain fed …
//     OnlineOutcome outcome = checker.Finish();     // verdict, condition, counts, counterexample
//
// A history without an operation is kVacuous. The condition checked is strict; after a violation
// the keys that violate are examined under the weaker ones, from the last quiescent point before it
// to the end of the run: `strongest` is one that is shown to hold, possibly weaker than what a
// check of the whole history would show, never stronger.
//
// Make it before or after forking workers, as suits; its threads do nothing but check.
#ifndef KILL9_HARNESS_CHECKER_ONLINE_H_
#define KILL9_HARNESS_CHECKER_ONLINE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/base/clock.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/search/condition.h"
#include "harness/history/history.h"
#include "harness/result/verdict.h"

namespace kill9 {

struct OnlineOptions {
  const ModelChecker* model = nullptr;
  int threads = 1;
  bool has_versions = true;         // the operations carry versions
  size_t backlog_limit = 1u << 19;  // operations fed and not yet checked, above which Feed waits
  // Operations kept of what follows violations, by each thread. Beyond, no condition is shown to
  // hold.
  size_t kept_limit = 1u << 18;
  EngineLimits limits = {};
  // What a thread may look at (EngineLimits::work_left): so much at once, and so much more for each
  // operation that comes. Where it is used up a key is undecided, and the others are checked on.
  uint64_t work_at_once = 1u << 27;
  uint64_t work_of_an_operation = 512;
  const Clock* clock = nullptr;  // of the operations' times; null: nanoseconds
  std::string counterexample_stem =
      {};  // files are written there (….html, ….trace.json, ….window.edn); empty: none
};

struct OnlineOutcome {
  Verdict verdict = Verdict::kUndecided;  // kPass, kViolation, kUndecided, kVacuous
  std::optional<Condition> strongest;     // nothing: none was shown to hold
  uint64_t operations = 0;
  uint64_t operations_checked = 0;      // all, unless a key violated: the rest of that key is not
  uint64_t overlapping_operations = 0;  // called while another one of the same key was open
  uint64_t keys = 0;
  uint64_t keys_violating = 0;
  uint64_t keys_undecided = 0;
  bool out_of_work = false;   // some of them because of OnlineOptions::work_at_once
  uint64_t backlog_most = 0;  // the most operations that waited to be checked
  std::optional<Counterexample> counterexample;
  std::string counterexample_text;
  std::vector<std::string> counterexample_files;
};

class OnlineChecker {
 public:
  explicit OnlineChecker(const OnlineOptions& options);
  ~OnlineChecker();
  OnlineChecker(const OnlineChecker&) = delete;
  OnlineChecker& operator=(const OnlineChecker&) = delete;

  // REQUIRES: one thread; every operation fed later is invoked at `settled` or later.
  void Feed(std::span<const Operation> operations, uint64_t settled);

  // Whether a violation has been found so far. Any thread.
  bool violated() const { return keys_violating_.load(std::memory_order_relaxed) != 0; }  // a hint
  bool saw_overlap() const;  // whether two operations of one key overlapped so far; a hint
  uint64_t operations_checked() const;  // any thread

  // No operation follows. Called once.
  OnlineOutcome Finish();

 private:
  class Shard;

  void RememberRecovery(const Operation& operation);
  void Explain(OnlineOutcome* outcome);

  OnlineOptions options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::vector<Operation>> parts_;  // Feed's, by shard
  uint64_t operations_ = 0;
  std::atomic<uint64_t> not_keyed_{0};
  uint64_t not_of_the_model_ = 0;
  std::vector<Operation> recoveries_;
  uint64_t recoveries_known_from_ = 0;
  std::atomic<uint64_t> keys_violating_{0};
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_ONLINE_H_
