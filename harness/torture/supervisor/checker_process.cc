#include "harness/torture/supervisor/checker_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/signals.h"
#include "harness/base/text/copy_text.h"
#include "harness/base/text/count_of.h"
#include "harness/checker/online.h"
#include "harness/torture/run_context.h"

namespace kill9 {
namespace {

constexpr uint64_t kPipeEntries = 1u << 18;
constexpr useconds_t kIdleUs = 500;
constexpr useconds_t kFinishingUs = 5'000;
constexpr int kUnwantedLooks = 600;  // some seconds

constexpr size_t kTextMost = 100'000;
constexpr size_t kFilesMost = 4;

// CheckedHistory on its way from the checker's process to the caller's.
struct Message {
  Verdict verdict;
  bool has_strongest;
  Condition strongest;
  uint64_t operations_checked;
  uint64_t overlapping_operations;
  uint64_t keys_undecided;
  bool out_of_work;
  uint64_t files;
  uint64_t kept, kept_of;
  bool kept_whole, kept_checkable;
  char kept_path[PATH_MAX];
  char kept_why[PATH_MAX];
  char counterexample[kTextMost + 1];
  char file[kFilesMost][PATH_MAX];
};
static_assert(std::is_trivially_copyable_v<Message>);

void Write(const HistoryFile& history, Message* message) {
  message->kept = history.operations;
  message->kept_of = history.of;
  message->kept_whole = history.whole;
  message->kept_checkable = history.checkable;
  CopyText(history.path, message->kept_path);
  CopyText(history.why, message->kept_why);
}

void Write(const OnlineOutcome& outcome, Message* message) {
  message->verdict = outcome.verdict;
  message->has_strongest = outcome.strongest.has_value();
  message->strongest = outcome.strongest.value_or(Condition::kStrict);
  message->operations_checked = outcome.operations_checked;
  message->overlapping_operations = outcome.overlapping_operations;
  message->keys_undecided = outcome.keys_undecided;
  message->out_of_work = outcome.out_of_work;
  CopyText(outcome.counterexample_text, message->counterexample);
  message->files = std::min(outcome.counterexample_files.size(), kFilesMost);
  for (size_t i = 0; i < message->files; ++i) {
    CopyText(outcome.counterexample_files[i], message->file[i]);
  }
}

CheckedHistory Read(const Message& message) {
  CheckedHistory checked{.verdict = message.verdict,
                         .strongest = std::nullopt,
                         .operations_checked = message.operations_checked,
                         .overlapping_operations = message.overlapping_operations,
                         .keys_undecided = message.keys_undecided,
                         .out_of_work = message.out_of_work,
                         .counterexample = message.counterexample,
                         .counterexample_files = {},
                         .history = {.path = message.kept_path,
                                     .why = message.kept_why,
                                     .operations = message.kept,
                                     .of = message.kept_of,
                                     .whole = message.kept_whole,
                                     .checkable = message.kept_checkable}};
  if (message.has_strongest) checked.strongest = message.strongest;
  for (size_t i = 0; i < message.files; ++i) {
    checked.counterexample_files.emplace_back(message.file[i]);
  }
  return checked;
}

}  // namespace

std::string WhyUndecided(const CheckedHistory& checked) {
  return absl::StrCat("the checker could not decide ", CountOf(checked.keys_undecided, "key"),
                      checked.out_of_work ? " with the work that it may do" : "",
                      "; fewer processes, more keys or a shorter run leave it less to look at");
}

struct CheckerProcess::Shared {
  std::atomic<uint32_t> violated;
  std::atomic<uint32_t> saw_overlap;
  std::atomic<uint32_t> has_message;
  std::atomic<uint32_t> failed;  // written by Finish before it closes the pipe
  Message message;               // written by the checker before has_message, read by Finish
};

CheckerProcess::CheckerProcess(const CheckerProcessOptions& options,
                               std::unique_ptr<HistoryPipe> pipe, SharedMapping<Shared> shared)
    : options_(options), pipe_(std::move(pipe)), shared_(std::move(shared)), owner_(getpid()) {}

absl::StatusOr<std::unique_ptr<CheckerProcess>> CheckerProcess::Start(
    const CheckerProcessOptions& options) {
  absl::StatusOr<std::unique_ptr<HistoryPipe>> pipe = HistoryPipe::Create(kPipeEntries);
  if (!pipe.ok()) return pipe.status();
  SharedMapping<Shared> shared = MapShared<Shared>();
  if (shared == nullptr) return absl::ResourceExhaustedError("no memory for the checker");
  std::unique_ptr<CheckerProcess> checker(
      new CheckerProcess(options, *std::move(pipe), std::move(shared)));
  const pid_t pid = fork();
  if (pid < 0) return absl::ResourceExhaustedError("cannot fork the checker");
  if (pid == 0) checker->Run();
  checker->pid_ = pid;
  return checker;
}

CheckerProcess::~CheckerProcess() {
  if (getpid() == owner_ && pid_ != 0) KillAndReap(pid_, nullptr);
}

void CheckerProcess::Run() {
  DieWithParent(owner_);
  setpgid(0, 0);  // Ctrl-C is the caller's
  ResetSignals();
  OnlineChecker checker({.model = FindModel(options_.model),
                         .threads = 1,
                         .has_versions = options_.has_versions,
                         .clock = &options_.clock,
                         .counterexample_stem = options_.counterexample_stem});
  const bool keeps = !options_.history_file.empty();
  KeptHistory kept;
  std::vector<Operation> batch;
  for (;;) {
    const bool closed = pipe_->closed();  // before the last look into the pipe
    uint64_t settled = 0;
    batch.clear();
    if (pipe_->Read(&batch, &settled)) {
      checker.Feed(batch, settled);
      if (keeps) kept.Add(batch);
      // Relaxed: news; the verdict comes with Finish.
      if (checker.violated()) {
        shared_->violated.store(1, std::memory_order_relaxed);
        kept.EndSoon();
      }
      if (checker.saw_overlap()) shared_->saw_overlap.store(1, std::memory_order_relaxed);
    } else if (closed) {
      break;
    } else {
      usleep(kIdleUs);
    }
  }
  const OnlineOutcome outcome = checker.Finish();
  Write(outcome, &shared_->message);
  // Relaxed: the pipe's end, which was seen, orders it.
  const bool failed = outcome.verdict == Verdict::kViolation ||
                      shared_->failed.load(std::memory_order_relaxed) != 0;
  if (keeps && failed) {
    Naming naming;
    naming.nanoseconds = [this](uint64_t ticks) { return options_.clock.ToNanoseconds(ticks); };
    Write(WriteHistory(kept, naming, options_.history_file), &shared_->message);
  }
  shared_->has_message.store(1, std::memory_order_release);  // pairs with Finish
  _exit(0);
}

bool CheckerProcess::ready() {
  return pipe_->room() > (uint64_t{options_.processes} + 2) * kRingCapacity;
}

void CheckerProcess::Feed(const std::vector<Operation>& operations, uint64_t settled) {
  pipe_->Write(operations, settled);
}

bool CheckerProcess::found_violation() {
  return shared_->violated.load(std::memory_order_relaxed) != 0;
}

bool CheckerProcess::saw_overlap() {
  return shared_->saw_overlap.load(std::memory_order_relaxed) != 0;
}

bool CheckerProcess::alive() {
  if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ != 0;
}

std::optional<CheckedHistory> CheckerProcess::Finish(absl::FunctionRef<bool()> wanted,
                                                     bool failed) {
  if (failed) shared_->failed.store(1, std::memory_order_relaxed);  // Close orders it
  pipe_->Close();
  for (int unwanted = 0; alive() && unwanted < kUnwantedLooks;) {
    if (!wanted()) ++unwanted;
    usleep(kFinishingUs);
  }
  if (pid_ != 0) KillAndReap(std::exchange(pid_, 0), nullptr);
  // Pairs with Run.
  if (shared_->has_message.load(std::memory_order_acquire) == 0) return std::nullopt;
  return Read(shared_->message);
}

}  // namespace kill9
