#include "harness/torture/torture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/base/process_end/wait_for_end.h"
#include "harness/base/shared_mapping.h"
#include "harness/base/signals.h"
#include "harness/base/text/count_of.h"
#include "harness/result/command_name.h"
#include "harness/torture/driver.h"
#include "harness/torture/machine_check.h"
#include "harness/torture/segment_unlinker.h"
#include "harness/torture/shape/shape_text.h"
#include "harness/torture/supervisor/checker_process.h"
#include "harness/torture/supervisor/run_figures.h"
#include "harness/torture/supervisor/vacuity.h"

namespace kill9 {
namespace {

constexpr uint32_t kSpareParticipants =
    4;  // an auditor, the inherited handle, and two for who is on the way
// A child that has not yet run since its parent forked it shares the parent's life line: until the
// machine lets it, a killed parent still counts as alive. On a busy machine there are several such
// at a time.
constexpr uint32_t kSpareForOrphans = 48;
constexpr int kExitSkipped = 10;
constexpr int kExitSetup = 11;

// Asked for before a run; what a segment needs beyond it is Create's to say.
constexpr uint64_t kSmallMapping = 64u << 10;
constexpr uint64_t kMostCharged = 200'000'000;  // ns, of one look at the supervisor
constexpr uint64_t kEndingNs = 60'000'000'000;  // for the end of a run; needed: some ms

// What the supervisor leaves for its caller, in shared memory.
struct Handover {
  SupervisorReport report;
  char message[512];
};
static_assert(std::is_trivially_copyable_v<SupervisorReport>);

void Say(Handover& handover, const std::string& message) {
  message.copy(handover.message, sizeof handover.message - 1);
}

ShapeRequest ShapeOf(const Design& design, const Scenario& scenario,
                     const TortureOptions& options) {
  ShapeRequest request{.text = options.shape, .seed = options.seed};
  // Baselines and other libraries are shown as they are: what is expected of them is of the usual
  // shape.
  if (request.text == shape_text::kDrawn && design.role() != Design::Role::kDesign) {
    request.text = shape_text::kUsual;
  }
  request.least_participants = request.usual_participants = options.supervisor.processes;
  if (!scenario.full_table) request.usual_participants += kSpareParticipants;
  if (scenario.inherit_handle) {
    request.usual_participants += kSpareForOrphans;
    request.least_participants = request.usual_participants;
  }
  if (scenario.full_table) request.most_participants = request.least_participants;
  return request;
}

SegmentOptions OptionsFor(const Scenario& scenario, const ShapeRequest& shape,
                          const PreparedRun& prepared) {
  SegmentOptions segment;
  segment.size_bytes = scenario.segment_bytes;
  segment.max_participants = shape.usual_participants;
  segment.hash_seed = shape.seed;
  prepared.ShapeSegment(&segment);
  return segment;
}

// A death shall be noted at once, also on a busy machine: until then a victim's operation counts as
// one that may still take effect. Best effort: it works without. Workers give it back first of all.
void TakePriority() {
  const sched_param first{.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) setpriority(PRIO_PROCESS, 0, -20);
}

// The supervisor's process, once it is in the right namespace.
[[noreturn]] void RunSupervisorProcess(RunContext& context, const TortureOptions& options,
                                       CheckerProcess& checker, Handover& handover) {
  ResetSignals();
  context.supervisor = getpid();
  setpgid(0, 0);                              // Ctrl-C is the caller's
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // children of killed workers come here
  struct sigaction only_ends = {};
  only_ends.sa_handler = SIG_DFL;
  only_ends.sa_flags = SA_NOCLDSTOP;  // workers' pauses are theirs (worker/pauses.h)
  sigaction(SIGCHLD, &only_ends, nullptr);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  context.errors_fd = memfd_create("kill9-errors", MFD_CLOEXEC);
  absl::StatusOr<std::shared_ptr<Segment>> segment = context.design.Create(context.segment_options);
  if (!segment.ok()) {
    const bool is_full =
        absl::IsResourceExhausted(segment.status()) && !context.location.name.empty();
    Say(handover, absl::StrCat("cannot create the segment: ", segment.status().message(),
                               is_full ? "; it lies in /dev/shm, which needs more room" : ""));
    _exit(kExitSetup);
  }
  if (!context.scenario.named_segment) context.segment = *segment;
  if (context.scenario.inherit_handle) {
    absl::StatusOr<std::unique_ptr<SharedObject>> inherited = context.design.AttachObject(*segment);
    if (!inherited.ok()) {
      Say(handover, absl::StrCat("cannot attach: ", inherited.status().message()));
      _exit(kExitSetup);
    }
    context.inherited = *std::move(inherited);
  }
  for (uint32_t i = 0; i < context.prepared.idle(); ++i) {
    absl::StatusOr<std::unique_ptr<SharedObject>> idle = context.design.AttachObject(*segment);
    if (!idle.ok()) {
      Say(handover, absl::StrCat("cannot attach: ", idle.status().message()));
      _exit(kExitSetup);
    }
    context.idle.push_back(*std::move(idle));
  }
  segment->reset();
  context.usual = Priority::OfThisProcess();
  TakePriority();
  handover.report = Supervisor(context, options.supervisor, checker).Run();
  _exit(0);
}

// Forks the supervisor; for pid_reuse as the first process of a PID namespace of its own.
pid_t ForkSupervisor(RunContext& context, const TortureOptions& options, CheckerProcess& checker,
                     Handover& handover) {
  const pid_t caller = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  DieWithParent(caller, kExitOrphan);
  if (!context.scenario.reuse_pids) RunSupervisorProcess(context, options, checker, handover);

  if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
    Say(handover, absl::StrCat("no PID namespace is allowed here: ", std::strerror(errno)));
    _exit(kExitSkipped);
  }
  ParentPipe parent_pipe;
  const pid_t inner = fork();
  if (inner == 0) {
    parent_pipe.DieWithParent(kExitOrphan);
    const int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, "10", 2, 0) != 2) {
      Say(handover, absl::StrCat("PIDs cannot be chosen (/proc/sys/kernel/ns_last_pid): ",
                                 std::strerror(errno)));
      _exit(kExitSkipped);
    }
    close(fd);
    RunSupervisorProcess(context, options, checker, handover);
  }
  const int status = WaitForEnd(inner);
  _exit(inner > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : kExitSetup);
}

// Waits for the supervisor, showing progress; kills it if it hangs. Nothing is charged that this
// process did not see pass. False: it cannot be reaped.
bool Await(pid_t supervisor, CheckerProcess& checker, const ControlMemory& memory,
           const TortureOptions& options, int* status,
           absl::FunctionRef<bool(const TortureProgress&)> progress) {
  Control& control = memory.control();
  const uint64_t begin = MonotonicNs();
  const uint64_t silence_ns = 30'000'000'000u + options.supervisor.watchdog_us * 4000;
  uint64_t heartbeat = 0;
  uint64_t silent_ns = 0;
  uint64_t ending_ns = 0;  // since the wish to end
  for (uint64_t last = begin; waitpid(supervisor, status, WNOHANG) == 0;) {
    const uint64_t now = MonotonicNs();
    const uint64_t looked = std::min<uint64_t>(now - last, kMostCharged);
    last = now;
    const TortureProgress state = {
        static_cast<double>(now - begin) / 1e9, control.kills.load(std::memory_order_relaxed),
        OperationsSoFar(control),
        control.finding.state.load(std::memory_order_acquire) != Finding::kNone};
    if (!progress(state)) control.interrupted.store(1, std::memory_order_relaxed);
    if (!checker.alive()) control.interrupted.store(2, std::memory_order_relaxed);
    if (control.interrupted.load(std::memory_order_relaxed) != 0) ending_ns += looked;
    const uint64_t beat = control.heartbeat.load(std::memory_order_relaxed);
    silent_ns = beat == heartbeat ? silent_ns + looked : 0;
    heartbeat = beat;
    if (silent_ns > silence_ns || ending_ns > kEndingNs) {
      return KillAndReap(supervisor, status);
    }
    usleep(state.seconds < 0.2 ? 5'000 : 20'000);
  }
  return true;
}

// Whether a process found something that makes the run fail.
bool HasFailed(const Control& control) {
  return control.finding.state.load(std::memory_order_acquire) != Finding::kNone &&
         ExitCode(control.finding.found()) == kExitFailed;
}

// Of a history that was cut off, an operation may be missing whose effect others have seen: what
// the checker finds at such an end is nobody's fault.
void ForgetWhatTheEndShows(bool keeps_history, CheckedHistory* checked) {
  std::vector<std::string> files = std::move(checked->counterexample_files);
  if (!keeps_history) files.push_back(checked->history.path);
  std::error_code ignored;
  for (const std::string& file : files) std::filesystem::remove(file, ignored);
  checked->verdict = Verdict::kUndecided;
  checked->is_cut_off = true;
  checked->strongest.reset();
  checked->counterexample.clear();
  checked->counterexample_files.clear();
}

// The supervisor has ended: what the checker found.
std::optional<CheckedHistory> FinishChecking(
    CheckerProcess& checker, const Control& control, SupervisorReport& report,
    absl::FunctionRef<bool(const TortureProgress&)> progress) {
  bool wanted = control.interrupted.load(std::memory_order_relaxed) == 0;
  // What it has found by now is of operations that are all there.
  const bool found_before_the_end = checker.found_violation();
  const bool has_failed = HasFailed(control);
  std::optional<CheckedHistory> checked = checker.Finish(
      [&] {
        wanted = wanted && progress({});
        return wanted;
      },
      has_failed);
  if (!wanted && !checked.has_value()) report.interrupted = true;
  if (checked.has_value() && checked->verdict == Verdict::kViolation && !found_before_the_end &&
      !report.history_is_whole) {
    ForgetWhatTheEndShows(has_failed, &*checked);
  }
  return checked;
}

// What the run comes to: what a process found; then what the checker found; then whether it proves
// anything.
Verdict Judge(const RunContext& context, const Handover& handover,
              const std::optional<CheckedHistory>& checked, int status, std::string* reason) {
  const Control& control = context.control();
  const SupervisorReport& report = handover.report;
  const Verdict check = checked.has_value() ? checked->verdict : Verdict::kUndecided;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitSkipped) {
    *reason = handover.message;
    return Verdict::kSkipped;
  }
  if (control.finding.state.load(std::memory_order_acquire) != Finding::kNone) {
    *reason = control.finding.reason();
    if (report.kills_total() == 0) *reason += kBeforeAnyKill;
    return control.finding.found();
  }
  if (check == Verdict::kViolation) {
    *reason = "the history is not consistent";
    return Verdict::kViolation;
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    *reason =
        handover.message[0] != '\0' ? handover.message : "the supervisor did not end properly";
  } else if (report.interrupted) {
    *reason = !checked.has_value() ? "interrupted before its end, and before the checker's"
                                   : "interrupted before its end";
  } else if (!report.history_is_whole) {
    *reason = "a worker does not end, and what it was about is not known";
  } else if (!checked.has_value()) {
    *reason = "the checker died";
  } else if (check == Verdict::kUndecided) {
    *reason = WhyUndecided(*checked);
  } else if (checked->operations_checked != report.operations) {
    *reason = absl::StrCat("the checker saw ", checked->operations_checked, " of ",
                           CountOf(report.operations, "operation"));
  } else {
    *reason = WhatIsMissing(context, report, checked->overlapping_operations);
    return reason->empty() ? Verdict::kPass : Verdict::kVacuous;
  }
  if (checked.has_value() && checked->is_cut_off) {
    *reason += "; its history is cut off, and not consistent at that end, which proves nothing";
  }
  return Verdict::kUndecided;
}

// What `kill9 replay` reads instead of the line; the variant and the scenario are the run's.
Json RepeatFields(const TortureOptions& options, const std::string& shape) {
  Json fields = {{"seed", options.seed},
                 {"seconds", options.supervisor.seconds},
                 {"processes", options.supervisor.processes},
                 {"kills", options.supervisor.kills},
                 {"life_us", options.supervisor.life_us}};
  if (!options.workload.empty()) fields["workload"] = options.workload;
  if (!shape.empty()) fields["shape"] = shape;
  return fields;
}

TortureResult Conclude(const Design& design, const Scenario& scenario,
                       const TortureOptions& options, const RunContext& context,
                       const Handover& handover, const std::optional<CheckedHistory>& checked,
                       int status) {
  const SupervisorReport& report = handover.report;
  TortureResult result;
  result.verdict = Judge(context, handover, checked, status, &result.reason);
  result.machine_refused =
      result.verdict == Verdict::kUndecided &&
      (context.control().machine_refused.load(std::memory_order_relaxed) != 0 ||
       (WIFEXITED(status) && WEXITSTATUS(status) == kExitSetup));
  Json& run = result.run;
  run = {{"variant", design.name()},
         {"scenario", scenario.name},
         {"verdict", VerdictName(result.verdict)},
         {"expected_verdict", design.expected_verdict()}};
  if (!result.reason.empty()) run["reason"] = result.reason;
  run["condition"] = nullptr;
  if (checked.has_value() && checked->strongest.has_value()) {
    run["condition"] = ConditionName(*checked->strongest);
  }
  run["seconds"] = report.seconds;
  run["processes"] = options.supervisor.processes;
  run["operations"] = report.operations;
  run["operations_per_second"] =
      report.seconds > 0 ? static_cast<double>(report.operations) / report.seconds : 0;
  run["operations_checked"] = checked.has_value() ? checked->operations_checked : 0;
  run["overlapping_operations"] = checked.has_value() ? checked->overlapping_operations : 0;
  run.update(FiguresOf(context.control(), report, context.clock));
  run.update(context.prepared.Counts());
  run["survivors_crashed"] = result.verdict == Verdict::kSurvivorCrashed ? 1 : 0;
  if (checked.has_value() && !checked->counterexample.empty()) {
    run["counterexample"] = checked->counterexample;
    run["counterexample_files"] = checked->counterexample_files;
  }
  if (ExitCode(result.verdict) == kExitFailed) {
    if (Json waiting = report.stuck.ToJson(); !waiting.is_null()) {
      run["waiting"] = std::move(waiting);
    }
    run["last_kills"] = report.last_kills.ToJson(context.prepared, context.clock);
    if (checked.has_value()) run.update(FieldsOf(checked->history));
  }
  const std::string shape = context.prepared.shape();
  if (!shape.empty()) {
    run["shape"] = {
        {"text", shape}, {"kind", design.kind()}, {"classes", context.prepared.shape_classes()}};
  }
  run["repeat"] = RepeatLine(design, scenario, options, shape);
  run["repeat_with"] = RepeatFields(options, shape);
  return result;
}

TortureResult CannotRun(const Design& design, const Scenario& scenario, const std::string& reason,
                        Verdict verdict = Verdict::kUndecided) {
  TortureResult result;
  result.verdict = verdict;
  result.reason = reason;
  result.run = {{"variant", design.name()},
                {"scenario", scenario.name},
                {"verdict", VerdictName(result.verdict)},
                {"reason", reason}};
  return result;
}

// Empty if the driver has the scenario, and the design what it takes.
std::string WhySkipped(const TortureDriver& driver, const Design& design,
                       const Scenario& scenario) {
  const auto same = [&scenario](const Scenario& one) { return one.name == scenario.name; };
  if (!std::any_of(driver.scenarios().begin(), driver.scenarios().end(), same)) {
    return NoSuchScenario(design.kind());
  }
  return WhyNotApplicable(scenario, design.object_traits());
}

CheckerProcessOptions CheckingOf(const RunContext& context, const TortureDriver& driver,
                                 const TortureOptions& options) {
  CheckerProcessOptions checking{.model = std::string(context.design.model()),
                                 .has_versions = driver.RecordsVersions(context.design),
                                 .clock = context.clock,
                                 .processes = options.supervisor.processes,
                                 .counterexample_stem = ""};
  if (options.counterexamples.empty()) return checking;
  checking.counterexample_stem =
      absl::StrCat(options.counterexamples, "/", std::string(context.design.name()), "-",
                   std::string(context.scenario.name), "-", options.seed);
  if (options.keeps_history) checking.history_file = checking.counterexample_stem + ".history.edn";
  return checking;
}

}  // namespace

std::string RepeatLine(const Design& design, const Scenario& scenario,
                       const TortureOptions& options, const std::string& shape) {
  std::string line =
      absl::StrFormat("%s torture --variant=%s --scenario=%s --seconds=%g --processes=%d --seed=%d",
                      CommandName(), std::string(design.name()), std::string(scenario.name),
                      options.supervisor.seconds, options.supervisor.processes, options.seed);
  if (!options.workload.empty()) absl::StrAppend(&line, " --workload=", options.workload);
  if (!shape.empty()) absl::StrAppend(&line, " --shape=", shape);
  if (options.supervisor.kills != 0) absl::StrAppend(&line, " --kills=", options.supervisor.kills);
  if (options.supervisor.life_us != 0)
    absl::StrAppend(&line, " --life=", options.supervisor.life_us);
  if (!options.pauses) absl::StrAppend(&line, " --without-pauses");
  return line + "  # best effort: the schedule is the machine's";
}

TortureResult RunTorture(const Design& design, const Scenario& original,
                         const TortureOptions& options,
                         absl::FunctionRef<bool(const TortureProgress&)> progress) {
  Scenario scenario = original;
  const TortureDriver* driver = FindTortureDriver(design.kind());
  if (driver == nullptr) {
    return CannotRun(design, scenario,
                     absl::StrCat("nothing drives a ", std::string(design.kind())));
  }
  if (const std::string why = WhySkipped(*driver, design, scenario); !why.empty()) {
    return CannotRun(design, scenario, why, Verdict::kSkipped);
  }
  if (options.supervisor.life_us != 0 && scenario.timer.life_us != 0) {
    scenario.timer.life_us = options.supervisor.life_us;
  }
  if (const std::string why = WhatTheMachineRefuses(kSmallMapping); !why.empty()) {
    TortureResult refused = CannotRun(design, scenario, why);
    refused.machine_refused = true;
    return refused;
  }
  const ShapeRequest shape = ShapeOf(design, scenario, options);
  const absl::StatusOr<std::unique_ptr<PreparedRun>> prepared =
      driver->PrepareShaped(design, scenario, options.workload, shape);
  if (absl::IsUnimplemented(prepared.status())) {
    return CannotRun(design, scenario, std::string(prepared.status().message()), Verdict::kSkipped);
  }
  if (!prepared.ok()) return CannotRun(design, scenario, std::string(prepared.status().message()));
  const ControlMemory memory((*prepared)->boards_size());
  const SharedMapping<Handover> handover = MapShared<Handover>();
  if (!memory.ok() || handover == nullptr) {
    return CannotRun(design, scenario, "no memory for the run's control block");
  }
  (*prepared)->UseBoards(memory.boards());
  absl::StatusOr<std::unique_ptr<Recording>> recording =
      Recording::Create({.slots = kSlots, .capacity = kRingCapacity}, Clock::Checked());
  if (!recording.ok())
    return CannotRun(design, scenario, std::string(recording.status().message()));
  RunContext context{.design = design,
                     .scenario = scenario,
                     .seed = options.seed,
                     .prepared = **prepared,
                     .memory = memory,
                     .clock = Clock::Checked(),
                     .recording = recording->get(),
                     .segment = nullptr,
                     .location = {},
                     .segment_options = OptionsFor(scenario, shape, **prepared),
                     .usual = {},
                     .pauses = options.pauses && design.role() == Design::Role::kDesign,
                     .inherited = nullptr};
  const WaitableChildren waitable;
  SegmentUnlinker unlinker;
  if (scenario.named_segment || design.object_traits().needs_name) {
    context.location = {SegmentKind::kNamed,
                        absl::StrCat("kill9-", getpid(), "-", MonotonicNs() % 1'000'000'000)};
    if (absl::Status status = unlinker.Watch(context.location); !status.ok()) {
      return CannotRun(design, scenario, std::string(status.message()));
    }
  }
  context.segment_options.location = context.location;
  absl::StatusOr<std::unique_ptr<CheckerProcess>> checker =
      CheckerProcess::Start(CheckingOf(context, *driver, options));
  if (!checker.ok()) return CannotRun(design, scenario, std::string(checker.status().message()));
  const pid_t supervisor = ForkSupervisor(context, options, **checker, *handover);
  if (supervisor < 0) {
    return CannotRun(design, scenario, absl::StrCat("cannot fork: ", std::strerror(errno)));
  }
  int status = 0;
  const bool ended = Await(supervisor, **checker, memory, options, &status, progress);
  const std::optional<CheckedHistory> checked =
      FinishChecking(**checker, context.control(), handover->report, progress);
  if (!ended)
    Say(*handover, "the supervisor cannot be reaped: the kernel, or a debugger, holds it");
  return Conclude(design, original, options, context, *handover, checked, status);
}

}  // namespace kill9
