// Resume: a victim that stood still while others worked, and then goes on.
//
// Between two accesses to the segment (system calls count as such) a process sees and changes
// nothing of the others, so a stop right before each access speaks for all instructions between it
// and the access before. Inside a repeated string instruction the first, second, fourth, eighth ...
// iteration is taken.
#include <sys/wait.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "harness/sweep/cell_modes.h"

namespace kill9::sweep {

using stepper::HowItWaits;
using stepper::kInsideString;
using stepper::kTouches;
using stepper::Reap;
using stepper::StuckDetector;
using stepper::Tracee;
using stepper::Waiting;

namespace {

// The steps to stop at. The last is the end of the operation.
class ResumePoints {
 public:
  void Find(const Trace& trace) {
    size_ = 0;
    uint32_t iteration = 0;
    for (uint32_t at = 0; at < trace.size() && size_ < kMost; ++at) {
      iteration = trace[at].flags & kInsideString ? iteration + 1 : 0;
      if (at + 1 != trace.size()) {
        if (!(trace[at].flags & kTouches)) continue;
        if (iteration > 1 && !std::has_single_bit(iteration)) continue;
      }
      points_[size_++] = at;
    }
  }
  void Sample(uint32_t wanted, Random& random) {
    if (wanted == 0 || wanted >= size_) return;
    for (uint32_t n = 0; n < wanted; ++n)
      std::swap(points_[n], points_[n + random.Below(size_ - n)]);
    size_ = wanted;
    std::sort(points_, points_ + size_);
  }
  uint32_t size() const { return size_; }
  uint32_t operator[](uint32_t n) const { return points_[n]; }

 private:
  static constexpr uint32_t kMost = 64u << 10;
  uint32_t size_ = 0;
  uint32_t points_[kMost];
};
ResumePoints points;  // not on the stack, and not allocated (C1)

// Waits until the interferer is through, or waits for the victim.
bool LapEnds(Runner& runner, pid_t interferer) {
  StuckDetector stuck_detector(interferer, runner.request().watchdog_seconds);
  int asleep = 0;
  while (runner.stage().probe.load(std::memory_order_acquire) == 0) {
    runner.Nap();
    const Waiting waiting = HowItWaits(interferer);
    asleep = waiting == Waiting::kForOthers ? asleep + 1 : 0;
    constexpr int kAsleepLooks = 3;
    if (waiting == Waiting::kGone || asleep >= kAsleepLooks || stuck_detector.Exhausted())
      return false;
  }
  return true;
}

const char* Describe(const Answered& answered, char (&text)[160]) {
  constexpr const char* kNames[] = {"", "put", "get", "erase", "compare_and_swap"};
  std::snprintf(text, sizeof text, "%s answered %s, %svalue %u, version %llu",
                kNames[static_cast<int>(answered.kind)], answered.yes ? "yes" : "no",
                answered.sound ? "" : "(bytes that nobody wrote) ", answered.id,
                static_cast<unsigned long long>(answered.version));
  return text;
}

// What for_each may show: each key that nobody touched once, as it is; the subject as it was.
const char* WrongVisit(const Runner& runner, const CellSharedMemory& stage) {
  static uint8_t seen[CellSharedMemory::kMostKeys];
  const Scene& scene = runner.scene();
  const bool lossless = scene.variant->traits().lossless;
  const uint32_t subject = scene.Subject(runner.request().operation);
  if (stage.victim.strange) return "for_each showed a key that nobody put";
  std::memset(seen, 0, sizeof seen);
  for (uint32_t n = 0; n < stage.victim.visits; ++n) {
    const Visit& visit = stage.victim.visit[n];
    if (!visit.answered.sound) return "for_each showed bytes that nobody wrote";
    if (seen[visit.key]++ != 0) return "for_each showed a key twice";
    auto same = [&visit](uint32_t id, Version version) {
      return visit.answered.id == id && visit.answered.version == version;
    };
    const Entry& entry = scene.entries[visit.key];
    bool legal = entry.present && same(entry.id, entry.version);
    for (uint32_t put = 0; visit.key == subject && put < stage.interferences.count; ++put) {
      const Answered& answered = stage.interferences.answered[put];
      legal = legal || (answered.kind == Answered::Kind::kPut && answered.yes &&
                        same(answered.id, answered.version));
    }
    if (!legal) return "for_each showed a value that its key did not hold";
  }
  for (uint32_t key = 0; lossless && key < scene.entries.size(); ++key) {
    if (key != subject && scene.entries[key].present && !seen[key]) {
      return "for_each did not show a key that was there throughout";
    }
  }
  return nullptr;
}

Judgement JudgeLap(Runner& runner, const JudgeRequest& orders) {
  static char message[600];
  const CellSharedMemory& stage = runner.stage();
  const Scene& scene = runner.scene();
  const uint32_t subject = scene.Subject(runner.request().operation);
  if (const char* wrong = WrongVisit(runner, stage);
      wrong != nullptr && runner.request().operation == OperationKind::kForEach &&
      stage.victim_status == absl::StatusCode::kOk) {
    return {Verdict::kViolation, DecidedOutcome::kNone, wrong};
  }
  const Answered& victims = stage.victim.answered;
  if (!Fits(scene.variant->traits(), scene.entries[subject], stage.interferences, victims,
            stage.read_back[subject])) {
    char text[160];
    int length = std::snprintf(message, sizeof message,
                               "the victim's %s; beside it:", Describe(victims, text));
    for (uint32_t n = 0; n < stage.interferences.count && length < 500; ++n) {
      length += std::snprintf(message + length, sizeof message - static_cast<size_t>(length),
                              " %s;", Describe(stage.interferences.answered[n], text));
    }
    const Entry& last = stage.read_back[subject];
    if (length < 500) {
      std::snprintf(message + length, sizeof message - static_cast<size_t>(length),
                    " at last: %s %u, version %llu", last.present ? "value" : "absent", last.id,
                    static_cast<unsigned long long>(last.version));
    }
    return {Verdict::kViolation, DecidedOutcome::kNone, message};
  }
  return runner.JudgeAsReadBack(orders);
}

}  // namespace

VictimRun ResumeRun(const Runner& runner) {
  VictimRun run = runner.RunOfOne(runner.request().operation);
  run.tracee[0].tells_all = true;
  return run;
}

bool ResumeAfterInterference(Runner& runner, const VictimRun& run, Trace& trace, uint32_t at,
                             Interference interference) {
  Runner::Stopped stopped;
  const bool twice = runner.request().operation == OperationKind::kPin;
  if (!runner.StopBesideInterferer(run, trace, at, interference, twice, &stopped)) return false;
  runner.LetSurvivorGo();
  bool lapped = LapEnds(runner, stopped.prober);
  if (lapped) ++runner.result().resume_stops;
  Judgement answer;
  bool ended = stopped.victim().Continue() == Tracee::Stop::kTrap;  // on the end marker
  int status = 0;
  // A interferer that waited for a stopped lock owner goes on now.
  bool read = ended && (lapped || LapEnds(runner, stopped.prober));
  if (read) {
    runner.LetSurvivorGo(2);
    read = Reap(stopped.prober, runner.request().watchdog_seconds, &status) && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
    stopped.prober = 0;
  }
  if (!ended) {
    answer = {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
              "a process that was stopped did not finish when it went on"};
  } else if (!read) {
    bool crashed = stopped.prober == 0 ? WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL
                                       : HowItWaits(stopped.prober) == Waiting::kGone;
    answer = {crashed ? Verdict::kSurvivorCrashed : Verdict::kStuck, DecidedOutcome::kNone,
              crashed ? "a survivor crashed beside a stopped process"
                      : "a survivor made no progress after the stopped process had gone on"};
  } else if (stopped.victim().Continue() != Tracee::Stop::kExited) {
    answer = {Verdict::kSurvivorCrashed, DecidedOutcome::kNone,
              "a process that was stopped could not tell what it was answered"};
  } else {
    JudgeRequest orders = runner.orders();
    orders.plan = static_cast<Plan>(at % kPlanCount);
    orders.alternatives = 0;
    answer = JudgeLap(runner, orders);
  }
  runner.EndStop(stopped);
  if (answer.verdict != Verdict::kPass) {
    runner.Fail(
        {Mode::kResume, Plan::kWorkFirst, {at, static_cast<uint32_t>(interference), kNowhere}},
        &trace, at, answer);
  }
  return true;
}

void ResumeSweep(Runner& runner) {
  Trace trace;
  Random random(runner.request().seed + 2);
  const VictimRun run = ResumeRun(runner);
  if (!runner.TraceRepeatably(run, trace)) return;
  points.Find(trace);
  runner.result().resume_points = points.size();
  points.Sample(runner.request().pairs, random);
  for (uint32_t n = 0; n < points.size(); ++n) {
    for (int interference = 0; interference < kLapCount; ++interference) {
      if (runner.failed() || runner.TooManyFailures()) return;
      if (!ResumeAfterInterference(runner, run, trace, points[n],
                                   static_cast<Interference>(interference)))
        return;
    }
  }
}

}  // namespace kill9::sweep
