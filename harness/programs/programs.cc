#include "harness/programs/programs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/process_end/temporary_folder.h"
#include "harness/base/shared_mapping.h"
#include "harness/base/signals.h"
#include "harness/base/text/below.h"
#include "harness/base/text/shell_word.h"
#include "harness/base/text/write_text.h"
#include "harness/checker/checker.h"
#include "harness/checker/online.h"
#include "harness/edn/edn.h"
#include "harness/programs/exchange.h"
#include "harness/programs/runner.h"
#include "harness/torture/supervisor/checker_process.h"

namespace kill9::programs {
namespace {

namespace fs = std::filesystem;

constexpr char kScenario[] = "programs";
constexpr useconds_t kLookUs = 20'000;
constexpr uint64_t kSilentLooks = 1500;  // half a minute: the runner is gone

// Files in memory for what programs say on standard error; kept if something is found.
class ErrorFiles {
 public:
  explicit ErrorFiles(size_t count) {
    for (size_t n = 0; n < count; ++n) {
      const int fd = memfd_create("stderr", MFD_CLOEXEC);
      if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND);
      fds_.push_back(fd);
    }
  }
  ~ErrorFiles() {
    for (const int fd : fds_) {
      if (fd >= 0) close(fd);
    }
  }
  ErrorFiles(const ErrorFiles&) = delete;
  ErrorFiles& operator=(const ErrorFiles&) = delete;

  const std::vector<int>& fds() const { return fds_; }
  bool ok() const { return std::find(fds_.begin(), fds_.end(), -1) == fds_.end(); }
  // Writes those in which something was said; returns their names.
  std::vector<std::string> Keep(const std::string& folder) const {
    std::vector<std::string> names;
    for (size_t n = 0; n < fds_.size(); ++n) {
      std::string text;
      char buffer[1 << 16];
      ssize_t size;
      while ((size = pread(fds_[n], buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0) {
        text.append(buffer, static_cast<size_t>(size));
      }
      if (text.empty()) continue;
      const std::string name = absl::StrCat(folder, "/stderr-", n, ".txt");
      if (WriteTextInFolder(text, name, "what was said").ok()) names.push_back(name);
    }
    return names;
  }

 private:
  std::vector<int> fds_;
};

// Whether nothing that the programs are made of lies in /tmp, where another /tmp would hide it.
bool MayHideTmp(const ProgramOptions& options) {
  std::error_code ignored;
  if (IsAtOrBelow(fs::current_path(ignored).string(), "/tmp")) return false;
  for (const ProgramCommand& program : options.programs) {
    if (program.line.find("/tmp") != std::string::npos) return false;
  }
  return true;
}

// Where programs are, of what is the machine's and theirs alike.
struct Surroundings {
  bool isolated = false;
  bool private_tmp = false;
  std::string shared;  // in words; empty: nothing
};

Surroundings SurroundingsOf(const ProgramOptions& options) {
  Surroundings result;
  result.private_tmp = MayHideTmp(options);
  const std::string why =
      options.isolated ? Sandbox::WhyNotIsolated(result.private_tmp) : "it was asked not to";
  result.isolated = why.empty();
  if (!result.isolated) {
    result.shared = absl::StrCat("/dev/shm, /tmp and PIDs are this machine's: ", why);
  } else if (!result.private_tmp) {
    result.shared = "/tmp is this machine's: the programs, or this folder, are in it";
  }
  return result;
}

// One run, from the checker's start to its end.
struct RunOutcome {
  bool interrupted = false;
  Json report;  // null: the runner died
  std::optional<CheckedHistory> checked;
  std::vector<Operation> history;  // as far as it is kept
  bool decided_as_a_whole = false;
};

struct Setting {
  bool control;
  Surroundings surroundings;
  const ErrorFiles& errors;
};

pid_t ForkRunner(const RunnerOptions& options, Exchange& exchange, CheckerProcess& checker) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  DieWithParent(parent);
  setpgid(0, 0);  // Ctrl-C is the caller's
  ResetSignals();
  std::signal(SIGPIPE, SIG_IGN);
  Runner(options, exchange, checker).Run();
  _exit(0);
}

// Waits for the runner's end, and then for what the checker says.
RunOutcome Await(pid_t runner, Exchange& exchange, CheckerProcess& checker,
                 absl::FunctionRef<bool(const TortureProgress&)> progress) {
  RunOutcome outcome;
  uint64_t heartbeat = 0, silent = 0;
  while (waitpid(runner, nullptr, WNOHANG) == 0) {
    TortureProgress state;
    // Relaxed: news.
    state.seconds = static_cast<double>(exchange.elapsed_ms.load(std::memory_order_relaxed)) / 1000;
    state.kills = exchange.kills.load(std::memory_order_relaxed);
    state.operations = exchange.operations.load(std::memory_order_relaxed);
    state.found = exchange.found.load(std::memory_order_relaxed) != 0;
    if (!progress(state)) {
      outcome.interrupted = true;
      exchange.stop.store(1, std::memory_order_relaxed);
    }
    const uint64_t beat = exchange.heartbeat.load(std::memory_order_relaxed);
    silent = beat == heartbeat ? silent + 1 : 0;
    heartbeat = beat;
    if (silent > kSilentLooks) {
      KillAndReap(runner, nullptr);
      break;
    }
    usleep(kLookUs);
  }
  outcome.checked = checker.Finish([&] { return !outcome.interrupted && progress({}); });
  // acquire: pairs with the runner's release.
  if (exchange.ended.load(std::memory_order_acquire) != 0) {
    outcome.report = ParseJson(exchange.report);
  }
  const uint64_t kept = exchange.recorded.load(std::memory_order_acquire);
  outcome.history.assign(exchange.history, exchange.history + kept);
  SortByInvocation(&outcome.history);
  return outcome;
}

// Along with a run some histories cannot be decided (of a queue: in which order calls that
// overlapped had their effects, until all is dequeued). What is kept as a whole is decided as one.
void DecideAsAWhole(const ProgramOptions& options, const std::string& stem, RunOutcome* outcome) {
  std::optional<CheckedHistory>& checked = outcome->checked;
  if (!checked.has_value() || checked->verdict != Verdict::kUndecided) return;
  if (outcome->history.size() == Exchange::kHistoryMost) return;
  const BoundedLimits bounded({}, OnlineOptions{}.work_at_once);
  const absl::StatusOr<CheckOutcome> whole = CheckHistory(
      *FindModel(options.workload.model), outcome->history, {.limits = bounded.limits});
  if (!whole.ok()) return;
  outcome->decided_as_a_whole = true;
  checked->verdict = whole->verdict;
  checked->strongest = whole->strongest;
  checked->operations_checked = whole->operations;
  checked->keys_undecided = whole->keys_undecided;
  checked->out_of_work = bounded.work_left.load(std::memory_order_relaxed) == 0;
  if (!whole->counterexample.has_value()) return;
  checked->counterexample = RenderText(*whole->counterexample, {});
  if (stem.empty()) return;
  const auto files = WriteCounterexample(*whole->counterexample, {}, stem, {whole->strongest, ""});
  if (files.ok()) checked->counterexample_files = *files;
}

absl::StatusOr<RunOutcome> RunOnce(const ProgramOptions& options, const Setting& setting,
                                   absl::FunctionRef<bool(const TortureProgress&)> progress) {
  std::unique_ptr<TemporaryFolder> folder;
  if (!setting.surroundings.isolated) {
    absl::StatusOr<std::unique_ptr<TemporaryFolder>> made = TemporaryFolder::Make();
    if (!made.ok()) return made.status();
    folder = *std::move(made);
  }
  char* memory = MapShared(sizeof(Exchange), 0);
  if (memory == nullptr) return absl::UnavailableError("no memory for the run's history");
  const std::unique_ptr<char, void (*)(char*)> unmap(
      memory, [](char* mapped) { munmap(mapped, sizeof(Exchange)); });
  Exchange& exchange = *reinterpret_cast<Exchange*>(memory);
  CheckerProcessOptions checking{.model = options.workload.model,
                                 .has_versions = false,
                                 .clock = Clock::Of(Clock::Source::kMonotonic),
                                 .processes = 1,
                                 .counterexample_stem = ""};
  if (!options.counterexamples.empty()) {
    checking.counterexample_stem =
        absl::StrCat(options.counterexamples, "/", kScenario, "-", options.seed);
  }
  absl::StatusOr<std::unique_ptr<CheckerProcess>> checker = CheckerProcess::Start(checking);
  if (!checker.ok()) return checker.status();
  const RunnerOptions running{.run = options,
                              .control = setting.control,
                              .sandbox = {.isolated = setting.surroundings.isolated,
                                          .private_tmp = setting.surroundings.private_tmp,
                                          .folder = folder == nullptr ? "" : folder->path(),
                                          .pages = options.processes},
                              .stderr_fds = setting.errors.fds()};
  const pid_t runner = ForkRunner(running, exchange, **checker);
  if (runner < 0) return absl::UnavailableError(absl::StrCat("cannot fork: ", strerror(errno)));
  RunOutcome outcome = Await(runner, exchange, **checker, progress);
  if (!outcome.interrupted) DecideAsAWhole(options, checking.counterexample_stem, &outcome);
  return outcome;
}

// Something has come of it that a death could have spoiled: a write that was answered with ok, or
// an answer that tells of one.
bool ShowsAWrite(const Operation& operation) {
  return operation.outcome == Outcome::kOk &&
         (RowOf(operation.function).effect == Effect::kWrites || operation.result != 0);
}

// What a run comes to: what the runner found; then what the checker found; then whether it proves
// anything.
Verdict Judge(const RunOutcome& outcome, bool control, std::string* reason) {
  if (!outcome.report.is_object()) {
    *reason = "the process that asks the programs died";
    return Verdict::kUndecided;
  }
  const Json& report = outcome.report;
  const std::optional<CheckedHistory>& checked = outcome.checked;
  const std::optional<Verdict> found = VerdictOf(report);
  if (checked.has_value() && checked->verdict == Verdict::kViolation) {
    *reason = "the history is not consistent";
    if (!report["foreign_values"].empty()) {
      absl::StrAppend(reason, "; nobody wrote the value ",
                      report["foreign_values"][0].get<std::string>());
    }
    return Verdict::kViolation;
  }
  if (found.has_value()) {
    *reason = report["reason"].get<std::string>();
    return *found;
  }
  if (outcome.interrupted || report["interrupted"].get<bool>()) {
    *reason = "interrupted before its end";
    return Verdict::kUndecided;
  }
  if (!checked.has_value() || checked->verdict == Verdict::kUndecided) {
    *reason = checked.has_value() ? WhyUndecided(*checked) : "the checker died";
    return Verdict::kUndecided;
  }
  if (control) return Verdict::kPass;
  const Json& kills = report["kills"];
  if (kills["in_call"] == 0) {
    *reason = "nobody was killed in a call";
  } else if (report["marks"].get<bool>() && kills["in_operation"] == 0) {
    *reason = "nobody was killed inside an operation, as they mark it";
  } else if (checked->overlapping_operations == 0) {
    *reason = "no two operations overlapped";
  } else if (std::none_of(outcome.history.begin(), outcome.history.end(), ShowsAWrite)) {
    *reason = "no operation that writes was answered with ok, and none that reads tells of one";
  }
  return reason->empty() ? Verdict::kPass : Verdict::kVacuous;
}

// What is kept of a failure: the whole history, and what the programs said.
void Keep(const ProgramOptions& options, const RunOutcome& outcome, const ErrorFiles& errors,
          Json* run) {
  if (options.counterexamples.empty()) return;
  const std::string history = options.counterexamples + "/history.edn";
  const absl::Status written =
      WriteTextInFolder(WriteEdn(outcome.history, {}), history, "the history");
  if (written.ok()) {
    (*run)["history"] = history;
    (*run)["history_is_whole"] = outcome.history.size() < Exchange::kHistoryMost;
  } else {
    (*run)["history_not_kept"] = std::string(written.message());
  }
  (*run)["stderr_files"] = errors.Keep(options.counterexamples);
}

TortureResult Conclude(const ProgramOptions& options, const Setting& setting,
                       const RunOutcome& outcome) {
  TortureResult result;
  result.verdict = Judge(outcome, setting.control, &result.reason);
  Json& run = result.run;
  run = {{"variant", NameOf(options)},
         {"scenario", kScenario},
         {"verdict", VerdictName(result.verdict)},
         {"model", options.workload.model}};
  if (setting.control) run["control"] = true;
  run["condition"] = nullptr;
  const std::optional<CheckedHistory>& checked = outcome.checked;
  if (checked.has_value() && checked->strongest.has_value()) {
    run["condition"] = ConditionName(*checked->strongest);
  }
  run["processes"] = options.processes;
  run["keys"] = Workload(options.workload).keys();
  run["operations_checked"] = checked.has_value() ? checked->operations_checked : 0;
  run["overlapping_operations"] = checked.has_value() ? checked->overlapping_operations : 0;
  run["decided_as_a_whole"] = outcome.decided_as_a_whole;
  if (outcome.report.is_object()) {
    Json report = outcome.report;
    result.machine_refused = report["environment"].get<bool>();
    const double seconds = report["seconds"].get<double>();
    run["operations_per_second"] = seconds > 0 ? report["operations"].get<double>() / seconds : 0.0;
    for (const char* own : {"reason", "verdict", "environment", "interrupted"}) report.erase(own);
    run.update(report);
  }
  for (const char* none : {"stops", "leaked_blocks", "doubly_owned_blocks", "lost_writes"}) {
    run[none] = 0;
  }
  run["survivors_crashed"] = result.verdict == Verdict::kSurvivorCrashed ? 1 : 0;
  run["shared_with_the_machine"] = setting.surroundings.shared;
  if (checked.has_value() && !checked->counterexample.empty()) {
    run["counterexample"] = checked->counterexample;
    run["counterexample_files"] = checked->counterexample_files;
  }
  if (ExitCode(result.verdict) == kExitFailed) Keep(options, outcome, setting.errors, &run);
  // What does not begin is no finding, and nothing to repeat.
  const bool is_found = result.verdict != Verdict::kPass && !result.machine_refused;
  if (setting.control && is_found) result.reason += kBeforeAnyKill;
  if (!result.reason.empty()) run["reason"] = result.reason;
  if (!result.machine_refused) run["repeat"] = RepeatLine(options);
  return result;
}

TortureResult CannotRun(const ProgramOptions& options, const std::string& reason) {
  TortureResult result;
  result.verdict = Verdict::kUndecided;
  result.machine_refused = true;
  result.reason = reason;
  result.run = {{"variant", NameOf(options)},
                {"scenario", kScenario},
                {"verdict", VerdictName(result.verdict)},
                {"reason", reason}};
  return result;
}

}  // namespace

std::string NameOf(const ProgramOptions& options) {
  if (!options.name.empty()) return options.name;
  std::vector<std::string> lines;
  for (const ProgramCommand& program : options.programs) lines.push_back(program.line);
  return absl::StrJoin(lines, " + ");
}

std::string RepeatLine(const ProgramOptions& options) {
  std::string line = "kill9 torture";
  for (const ProgramCommand& program : options.programs) {
    absl::StrAppend(&line, program.is_fork_server ? " --fork-server=" : " --worker=",
                    ShellQuoted(program.line));
  }
  absl::StrAppendFormat(&line, " --model=%s --seconds=%g --processes=%d --seed=%d",
                        options.workload.model, options.seconds, options.processes, options.seed);
  if (options.workload.keys != 0) absl::StrAppend(&line, " --keys=", options.workload.keys);
  if (options.workload.numbers) line += " --values=numbers";
  if (options.kill_at == KillAt::kSystemCalls) line += " --kill-at=syscalls";
  if (options.kills != 0) absl::StrAppend(&line, " --kills=", options.kills);
  if (options.life_us != 0) absl::StrAppend(&line, " --life=", options.life_us);
  if (!options.isolated) line += " --shared";
  if (options.watchdog_us != ProgramOptions{}.watchdog_us) {
    absl::StrAppendFormat(&line, " --watchdog=%g", static_cast<double>(options.watchdog_us) / 1e6);
  }
  return line + "  # best effort: the schedule is the machine's";
}

TortureResult TorturePrograms(const ProgramOptions& options,
                              absl::FunctionRef<bool(const TortureProgress&)> progress) {
  const WaitableChildren waitable;
  const Surroundings surroundings = SurroundingsOf(options);
  for (const bool control : {true, false}) {
    // Of its own each: what they say is of one run.
    const ErrorFiles errors(options.processes + options.programs.size());
    if (!errors.ok()) return CannotRun(options, "no memory for what the programs say");
    const Setting setting{control, surroundings, errors};
    const absl::StatusOr<RunOutcome> outcome = RunOnce(options, setting, progress);
    if (!outcome.ok()) return CannotRun(options, std::string(outcome.status().message()));
    TortureResult result = Conclude(options, setting, *outcome);
    if (!control || result.verdict != Verdict::kPass) return result;
  }
  std::abort();
}

}  // namespace kill9::programs
