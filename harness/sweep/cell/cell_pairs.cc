// Two deaths: of a victim and of its recoverer, or of two victims at once.
#include <algorithm>

#include "harness/sweep/cell/cell_modes.h"
#include "variants/segment/hash.h"

namespace kill9::sweep {

using stepper::NowSeconds;

namespace {

// Of the second recoverer's states, after a death of the first.
constexpr uint32_t kSecondRecovererSample = 3;

bool Going(Runner& runner) { return !runner.failed() && !runner.TooManyFailures(); }

// The order in which states are taken: all of them, or a seeded sample.
class Selection {
 public:
  static constexpr uint32_t kMost = Trace::kMaxStates;
  void Choose(uint32_t count, uint32_t wanted, Random& random) {
    size_ = std::min(count, kMost);
    for (uint32_t n = 0; n < size_; ++n) chosen_[n] = n;
    if (wanted == 0 || wanted >= size_) return;
    random.DrawFirst(chosen_, size_, wanted);
    size_ = wanted;
    std::sort(chosen_, chosen_ + size_);
  }
  uint32_t size() const { return size_; }
  uint32_t operator[](uint32_t n) const { return chosen_[n]; }

 private:
  uint32_t size_ = 0;
  uint32_t chosen_[kMost];
};

// The distinct things that deaths have left: two states of a trace may leave the same bytes.
class SeenBytes {
 public:
  bool Insert(uint64_t hash) {
    for (uint32_t n = 0; n < size_; ++n) {
      if (hashes_[n] == hash) return false;
    }
    if (size_ < Trace::kMaxStates) hashes_[size_++] = hash;
    return true;
  }
  void Clear() { size_ = 0; }

 private:
  uint32_t size_ = 0;
  uint64_t hashes_[Trace::kMaxStates];
};

Selection selection, second_selection;
SeenBytes seen_leftovers;

// A second recoverer dies, too, after the first has died at `at`.
void KillSecondRecoverer(Runner& runner, Trace& unjudged, uint32_t victim_at, uint32_t at,
                         const stepper::Snapshot& left_by, const stepper::Snapshot& left,
                         Trace& second, Random& random) {
  const VictimRun first = RecoveryOf(runner, left_by, kRecovererPid, false);
  if (!runner.KillAndLeave(first, unjudged, at, left.data())) return;
  const VictimRun run = RecoveryOf(runner, left, kSecondRecovererPid, true);
  if (!runner.TraceRepeatably(run, second)) return;
  for (uint32_t n = 0; Going(runner) && n < kSecondRecovererSample; ++n) {
    uint32_t state = static_cast<uint32_t>(random.Below(second.state_count()));
    uint32_t second_at = second.state(state).first;
    JudgeRequest to_judge = runner.to_judge();
    to_judge.plan = static_cast<Plan>(n % kPlanCount);
    Judgement answer;
    if (!runner.KillAt(run, second, second_at, to_judge, &answer)) return;
    ++runner.result().recoverers_recoverer_kill_points;
    if (answer.verdict != Verdict::kPass) {
      runner.Fail({Mode::kRecovery, to_judge.plan, {victim_at, at, second_at}}, &second, second_at,
                  answer);
    }
  }
}

}  // namespace

VictimRun RecoveryOf(const Runner& runner, const stepper::Snapshot& base, pid_t pid, bool judged) {
  VictimRun run = runner.RunOfOne(runner.recovery());
  run.tracee[0].number = kRecoverer;
  run.base = base.data();
  run.tracee[0].pid = pid;
  run.judged = judged;
  return run;
}

VictimRun TwoVictims(const Runner& runner) {
  VictimRun run = runner.RunOfOne(runner.request().operation);
  run.tracee[1] = {
      .operation = runner.OperationOf(runner.second()), .number = 1, .pid = Runner::kOtherPid};
  run.count = 2;
  return run;
}

void RecoverySweep(Runner& runner) {
  const CellRequest& request = runner.request();
  CellResult& result = runner.result();
  Random random(request.seed);
  Trace victim_trace, recovery, unjudged, second;
  const stepper::Snapshot left = runner.NewSnapshot();
  const stepper::Snapshot left_again = runner.NewSnapshot();
  VictimRun victim = runner.RunOfOne(request.operation);
  victim.judged = false;
  if (!runner.TraceRepeatably(victim, victim_trace)) return;
  const double start = NowSeconds();
  selection.Choose(victim_trace.state_count(), request.pairs, random);
  seen_leftovers.Clear();
  for (uint32_t n = 0; Going(runner) && n < selection.size(); ++n) {
    uint32_t victim_at = victim_trace.state(selection[n]).first;
    if (!runner.KillAndLeave(victim, victim_trace, victim_at, left.data())) return;
    if (!seen_leftovers.Insert(runner.HashOf(left))) continue;
    const VictimRun run = RecoveryOf(runner, left, kRecovererPid, true);
    if (!runner.TraceRepeatably(run, recovery)) return;
    ++result.recovery_states;
    result.recovery_instructions += recovery.size() - 1;
    for (uint32_t state = 0; Going(runner) && state < recovery.state_count(); ++state) {
      uint32_t at = recovery.state(state).first;
      JudgeRequest to_judge = runner.to_judge();
      to_judge.plan = static_cast<Plan>((n + state) % kPlanCount);
      Judgement answer;
      if (!runner.KillAt(run, recovery, at, to_judge, &answer)) return;
      ++result.recovery_kill_points;
      if (answer.verdict != Verdict::kPass) {
        runner.Fail({Mode::kRecovery, to_judge.plan, {victim_at, at, kNowhere}}, &recovery, at,
                    answer);
      }
    }
    runner.addresses().AddTrace(recovery);
    if (!Going(runner)) return;
    if (!runner.TraceRepeatably(RecoveryOf(runner, left, kRecovererPid, false), unjudged)) return;
    uint32_t at = unjudged.state(static_cast<uint32_t>(random.Below(unjudged.state_count()))).first;
    KillSecondRecoverer(runner, unjudged, victim_at, at, left, left_again, second, random);
  }
  result.kill_seconds += NowSeconds() - start;
}

void TwoVictimsSweep(Runner& runner) {
  const CellRequest& request = runner.request();
  CellResult& result = runner.result();
  Random random(request.seed + 1);
  Trace other_trace, trace;
  VictimRun other = TwoVictims(runner);
  other.subject = 1;
  if (!runner.TraceRepeatably(other, other_trace)) return;
  JudgeRequest to_judge = runner.to_judge();
  const double start = NowSeconds();
  selection.Choose(other_trace.state_count(), request.pairs, random);
  for (uint32_t n = 0; Going(runner) && n < selection.size(); ++n) {
    const uint32_t other_at = other_trace.state(selection[n]).first;
    VictimRun run = TwoVictims(runner);
    run.tracee[1].trace = &other_trace;
    run.tracee[1].at = other_at;
    if (!runner.TraceOnce(run, trace)) return;
    ++result.two_victim_pairs;
    second_selection.Choose(trace.state_count(), request.pairs, random);
    // One more where the first victim had to wait for the second: it dies waiting.
    const uint32_t kills = second_selection.size() + (trace.ends_blocked() ? 1 : 0);
    for (uint32_t state = 0; Going(runner) && state < kills; ++state) {
      uint32_t at = state < second_selection.size() ? trace.state(second_selection[state]).first
                                                    : trace.size();
      to_judge.plan = static_cast<Plan>((n + state) % kPlanCount);
      Judgement answer;
      if (!runner.KillAt(run, trace, at, to_judge, &answer)) return;
      ++result.two_victim_kill_points;
      if (answer.verdict != Verdict::kPass) {
        runner.Fail({Mode::kTwoVictims, to_judge.plan, {at, other_at, kNowhere}}, &trace, at,
                    answer);
      }
    }
  }
  result.kill_seconds += NowSeconds() - start;
}

}  // namespace kill9::sweep
