#include "harness/torture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/auditor.h"
#include "harness/segment_janitor.h"
#include "harness/vacuity.h"

namespace kill9 {
namespace {

constexpr uint32_t kSpareParticipants =
    4;  // an auditor, the inherited handle, and two for who is on the way
constexpr int kExitSkipped = 10;
constexpr int kExitSetup = 11;

// What the supervisor leaves for its caller, in shared memory.
struct Handover {
  SupervisorReport report;
  char message[512];
};
static_assert(std::is_trivially_copyable_v<SupervisorReport>);

class CountingSink final : public HistorySink {
 public:
  bool ready() override { return true; }
  void Feed(const std::vector<Operation>&, uint64_t) override {}
  bool found_violation() override { return false; }
};

template <typename Shared>
Shared* MapShared() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) Shared();
}

void Say(Handover& handover, const std::string& message) {
  message.copy(handover.message, sizeof handover.message - 1);
}

SegmentOptions OptionsFor(const RunContext& context, const TortureOptions& options) {
  SegmentOptions segment;
  segment.location = context.location;
  segment.size_bytes = context.scenario.segment_bytes;
  segment.max_participants = options.supervisor.processes + kSpareParticipants;
  segment.hash_seed = options.seed;
  return segment;
}

// The supervisor's process, once it is in the right namespace.
[[noreturn]] void RunSupervisorProcess(RunContext& context, const TortureOptions& options,
                                       Handover& handover) {
  context.supervisor = getpid();
  setpgid(0, 0);                              // Ctrl-C is the caller's
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // children of killed workers come here
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, nullptr);
  context.errors_fd = memfd_create("kill9-errors", MFD_CLOEXEC);
  absl::StatusOr<std::shared_ptr<Segment>> segment =
      context.variant.Create(OptionsFor(context, options));
  if (!segment.ok()) {
    Say(handover, absl::StrCat("cannot create the segment: ", segment.status().ToString()));
    _exit(kExitSetup);
  }
  if (!context.scenario.named_segment) context.segment = *segment;
  if (context.scenario.inherit_handle) {
    absl::StatusOr<std::unique_ptr<Store>> inherited = context.variant.Attach(*segment);
    if (!inherited.ok()) {
      Say(handover, absl::StrCat("cannot attach: ", inherited.status().ToString()));
      _exit(kExitSetup);
    }
    context.inherited = *std::move(inherited);
  }
  segment->reset();
  CountingSink sink;
  handover.report = Supervisor(context, options.supervisor, sink).Run();
  _exit(0);
}

// Forks the supervisor; for pid_reuse as the first process of a PID namespace of its own.
pid_t ForkSupervisor(RunContext& context, const TortureOptions& options, Handover& handover) {
  const pid_t caller = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != caller) _exit(kExitOrphan);
  if (!context.scenario.reuse_pids) RunSupervisorProcess(context, options, handover);

  if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
    Say(handover, absl::StrCat("no PID namespace is allowed here: ", std::strerror(errno)));
    _exit(kExitSkipped);
  }
  const pid_t inner = fork();
  if (inner == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, "10", 2, 0) != 2) {
      Say(handover, absl::StrCat("PIDs cannot be chosen (/proc/sys/kernel/ns_last_pid): ",
                                 std::strerror(errno)));
      _exit(kExitSkipped);
    }
    close(fd);
    RunSupervisorProcess(context, options, handover);
  }
  int status = 0;
  while (waitpid(inner, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(inner > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : kExitSetup);
}

uint64_t SumOfBoards(const Control& control, std::atomic<uint64_t> WorkerBoard::* field) {
  uint64_t sum = 0;
  for (const WorkerBoard& board : control.boards) {
    sum += (board.*field).load(std::memory_order_relaxed);
  }
  return sum;
}

// Waits for the supervisor, showing progress; false if it had to be killed.
bool Await(pid_t supervisor, const ControlMemory& memory, const TortureOptions& options,
           int* status, absl::FunctionRef<bool(const TortureProgress&)> progress) {
  Control& control = memory.control();
  const uint64_t begin = MonotonicNs();
  const uint64_t patience_ns = 30'000'000'000u + options.supervisor.watchdog_us * 4000;
  uint64_t heartbeat = 0;
  uint64_t heartbeat_at = begin;
  while (waitpid(supervisor, status, WNOHANG) == 0) {
    const uint64_t now = MonotonicNs();
    const TortureProgress state = {
        static_cast<double>(now - begin) / 1e9, control.kills.load(std::memory_order_relaxed),
        SumOfBoards(control, &WorkerBoard::operations),
        control.finding.state.load(std::memory_order_acquire) != Finding::kNone};
    if (!progress(state)) control.interrupted.store(1, std::memory_order_relaxed);
    if (control.heartbeat.load(std::memory_order_relaxed) != heartbeat) {
      heartbeat = control.heartbeat.load(std::memory_order_relaxed);
      heartbeat_at = now;
    } else if (now - heartbeat_at > patience_ns) {
      kill(supervisor, SIGKILL);
      waitpid(supervisor, status, 0);
      return false;
    }
    usleep(state.seconds < 0.2 ? 5'000 : 20'000);
  }
  return true;
}

Json Counts(const Control& control, const SupervisorReport& report, const Clock& clock) {
  const auto load = [](const std::atomic<uint64_t>& word) {
    return word.load(std::memory_order_relaxed);
  };
  uint64_t longest = 0;
  for (const WorkerBoard& board : control.boards) {
    longest = std::max(longest, load(board.longest_wait_ticks));
  }
  Json places = Json::object();
  for (size_t place = 0; place < kPlaces; ++place) {
    std::string name(PlaceName(static_cast<Place>(place)));
    std::replace(name.begin(), name.end(), ' ', '_');
    places[name] = report.kills[place];
  }
  const double kills_per_second =
      report.seconds > 0 ? static_cast<double>(report.kills_total()) / report.seconds : 0;
  return {{"kills",
           {{"total", report.kills_total()},
            {"in_operation", report.kills_in_operation()},
            {"in_recovery", report.kills_at(Place::kRecovering)},
            {"places", places}}},
          {"kills_per_second", kills_per_second},
          {"forks", report.forks},
          {"stops", report.stops},
          {"generations", report.generations},
          {"reused_pids", report.reused_pids},
          {"inherited_refusals", load(control.inherited_refusals)},
          {"recoveries", load(control.recoveries)},
          {"recovered",
           {{"participants", load(control.recovered_participants)},
            {"blocks", load(control.recovered_blocks)},
            {"rolled_back", load(control.rolled_back)},
            {"rolled_forward", load(control.rolled_forward)}}},
          {"recovery_us",
           {{"p50", control.recovery_us.Quantile(0.5)},
            {"p99", control.recovery_us.Quantile(0.99)},
            {"max", control.recovery_us.largest()}}},
          {"longest_wait_us", clock.ToNanoseconds(longest) / 1000},
          {"audits", load(control.audits)},
          {"fills", load(control.fills)},
          {"filled_keys", load(control.filled_keys)},
          {"refused", SumOfBoards(control, &WorkerBoard::refused)},
          {"leaked_blocks", load(control.leaked_blocks)},
          {"doubly_owned_blocks", load(control.doubly_owned_blocks)},
          {"lost_writes", load(control.lost_writes)}};
}

TortureResult Conclude(const Variant& variant, const Scenario& scenario,
                       const TortureOptions& options, const RunContext& context,
                       const Handover& handover, bool ended, int status) {
  const Control& control = context.control();
  const SupervisorReport& report = handover.report;
  TortureResult result;
  result.verdict = Verdict::kPass;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitSkipped) {
    result.verdict = Verdict::kSkipped;
    result.reason = handover.message;
  } else if (control.finding.state.load(std::memory_order_acquire) != Finding::kNone) {
    result.verdict = control.finding.verdict.load(std::memory_order_relaxed);
    result.reason = control.finding.text;
    if (report.kills_total() == 0) result.reason += " (before any kill)";
  } else if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    result.verdict = Verdict::kUndecided;
    result.reason =
        handover.message[0] != '\0' ? handover.message : "the supervisor did not end properly";
  } else if (report.interrupted) {
    result.verdict = Verdict::kUndecided;
    result.reason = "interrupted before its end";
  } else if (std::string what = WhatIsMissing(scenario, variant.traits(), report, control);
             !what.empty()) {
    result.verdict = Verdict::kVacuous;
    result.reason = std::move(what);
  }
  Json& run = result.run;
  run = {{"variant", variant.name()},
         {"scenario", scenario.name},
         {"verdict", VerdictName(result.verdict)},
         {"expected_verdict", variant.expected_verdict()}};
  if (!result.reason.empty()) run["reason"] = result.reason;
  run["condition"] = nullptr;
  run["seconds"] = report.seconds;
  run["processes"] = options.supervisor.processes;
  run["operations"] = report.operations;
  run["operations_per_second"] =
      report.seconds > 0 ? static_cast<double>(report.operations) / report.seconds : 0;
  run.update(Counts(control, report, context.clock));
  run["survivors_crashed"] = result.verdict == Verdict::kSurvivorCrashed ? 1 : 0;
  run["repeat"] = RepeatLine(variant, scenario, options);
  return result;
}

TortureResult CannotRun(const Variant& variant, const Scenario& scenario,
                        const std::string& reason) {
  TortureResult result;
  result.reason = reason;
  result.run = {{"variant", variant.name()},
                {"scenario", scenario.name},
                {"verdict", VerdictName(result.verdict)},
                {"reason", reason}};
  return result;
}

}  // namespace

std::string RepeatLine(const Variant& variant, const Scenario& scenario,
                       const TortureOptions& options) {
  return absl::StrFormat(
      "kill9 torture --variant=%s --scenario=%s --seconds=%g --processes=%d --seed=%d%s"
      "  # best effort: the schedule is the machine's",
      std::string(variant.name()), std::string(scenario.name), options.supervisor.seconds,
      options.supervisor.processes, options.seed,
      options.workload == nullptr
          ? ""
          : absl::StrCat(" --workload=", std::string(options.workload->name)));
}

TortureResult RunTorture(const Variant& variant, const Scenario& original,
                         const TortureOptions& options,
                         absl::FunctionRef<bool(const TortureProgress&)> progress) {
  Scenario scenario = original;
  if (options.workload != nullptr) scenario.workload = *options.workload;
  const KeyTable keys(scenario.workload.keys, kFillKeys);
  const WorkloadGenerator generator(scenario.workload,
                                    AdaptMix(scenario.workload.mix, variant.traits()));
  const ControlMemory memory(keys.size());
  Handover* handover = MapShared<Handover>();
  if (!memory.ok() || handover == nullptr) {
    return CannotRun(variant, scenario, "no memory for the run's control block");
  }
  const std::unique_ptr<Handover, void (*)(Handover*)> unmap(
      handover, [](Handover* mapped) { munmap(mapped, sizeof(Handover)); });
  absl::StatusOr<std::unique_ptr<Recording>> recording =
      Recording::Create({.slots = kSlots, .capacity = 1u << 12}, Clock::Checked());
  if (!recording.ok()) return CannotRun(variant, scenario, recording.status().ToString());
  RunContext context{.variant = variant,
                     .scenario = scenario,
                     .seed = options.seed,
                     .keys = keys,
                     .generator = generator,
                     .memory = memory,
                     .clock = Clock::Checked(),
                     .recording = recording->get(),
                     .segment = nullptr,
                     .location = {},
                     .inherited = nullptr};
  SegmentJanitor janitor;
  if (scenario.named_segment) {
    context.location = {SegmentKind::kNamed,
                        absl::StrCat("kill9-", getpid(), "-", MonotonicNs() % 1'000'000'000)};
    if (absl::Status status = janitor.Watch(context.location); !status.ok()) {
      return CannotRun(variant, scenario, status.ToString());
    }
  }
  const pid_t supervisor = ForkSupervisor(context, options, *handover);
  if (supervisor < 0) {
    return CannotRun(variant, scenario, absl::StrCat("cannot fork: ", std::strerror(errno)));
  }
  int status = 0;
  const bool ended = Await(supervisor, memory, options, &status, progress);
  return Conclude(variant, original, options, context, *handover, ended, status);
}

}  // namespace kill9
