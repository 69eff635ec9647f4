#include "harness/torture/supervisor/checker_process.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "harness/base/die_with_parent.h"
#include "harness/base/kill_and_reap.h"
#include "harness/base/signals.h"
#include "harness/checker/online.h"
#include "harness/result/verdict.h"
#include "harness/torture/run_context.h"

namespace kill9 {
namespace {

constexpr uint64_t kPipeEntries = 1u << 18;
constexpr useconds_t kIdleUs = 500;
constexpr useconds_t kFinishingUs = 5'000;
constexpr int kUnwantedLooks = 600;  // some seconds

Json ToJson(const OnlineOutcome& outcome) {
  Json json = {{"verdict", VerdictName(outcome.verdict)}, {"condition", nullptr}};
  if (outcome.strongest.has_value()) json["condition"] = ConditionName(*outcome.strongest);
  json["operations_checked"] = outcome.operations_checked;
  json["overlapping_operations"] = outcome.overlapping_operations;
  json["keys_violating"] = outcome.keys_violating;
  json["keys_undecided"] = outcome.keys_undecided;
  if (!outcome.counterexample_text.empty()) {
    json["counterexample"] = outcome.counterexample_text.substr(0, 100'000);
    json["counterexample_files"] = outcome.counterexample_files;
  }
  return json;
}

}  // namespace

CheckerProcess::CheckerProcess(const CheckerProcessOptions& options,
                               std::unique_ptr<HistoryPipe> pipe, Shared* shared)
    : options_(options), pipe_(std::move(pipe)), shared_(shared), owner_(getpid()) {}

absl::StatusOr<std::unique_ptr<CheckerProcess>> CheckerProcess::Start(
    const CheckerProcessOptions& options) {
  absl::StatusOr<std::unique_ptr<HistoryPipe>> pipe = HistoryPipe::Create(kPipeEntries);
  if (!pipe.ok()) return pipe.status();
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return absl::ResourceExhaustedError("no memory for the checker");
  std::unique_ptr<CheckerProcess> checker(
      new CheckerProcess(options, *std::move(pipe), static_cast<Shared*>(memory)));
  const pid_t pid = fork();
  if (pid < 0) return absl::ResourceExhaustedError("cannot fork the checker");
  if (pid == 0) checker->Run();
  checker->pid_ = pid;
  return checker;
}

CheckerProcess::~CheckerProcess() {
  if (getpid() == owner_ && pid_ != 0) {
    KillAndReap(pid_, nullptr);
  }
  munmap(shared_, sizeof(Shared));
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
  std::vector<Operation> batch;
  for (;;) {
    const bool closed = pipe_->closed();  // before the last look into the pipe
    uint64_t settled = 0;
    batch.clear();
    if (pipe_->Read(&batch, &settled)) {
      checker.Feed(batch, settled);
      // Relaxed: news; the verdict comes with Finish.
      if (checker.violated()) shared_->violated.store(1, std::memory_order_relaxed);
    } else if (closed) {
      break;
    } else {
      usleep(kIdleUs);
    }
  }
  const std::string text = Dump(ToJson(checker.Finish()));
  if (text.size() <= sizeof shared_->outcome) {
    text.copy(shared_->outcome, text.size());
    shared_->outcome_bytes.store(text.size(), std::memory_order_release);  // pairs with Finish
  }
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

bool CheckerProcess::alive() {
  if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ != 0;
}

Json CheckerProcess::Finish(absl::FunctionRef<bool()> wanted) {
  pipe_->Close();
  for (int unwanted = 0; alive() && unwanted < kUnwantedLooks;) {
    if (!wanted()) ++unwanted;
    usleep(kFinishingUs);
  }
  if (pid_ != 0) KillAndReap(std::exchange(pid_, 0), nullptr);
  const uint64_t size = shared_->outcome_bytes.load(std::memory_order_acquire);
  if (size == 0) return nullptr;
  return ParseJson({shared_->outcome, size});
}

}  // namespace kill9
