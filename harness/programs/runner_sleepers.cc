// The runner's part that knows who sleeps for a wake-up (of a condition), and whether one is there.
//
// Who sleeps may do so for long: it waits for the others. It has to wake up where a wake-up surely
// is there. After each death, and each wait that ended, somebody who is awake is asked how many
// there are; if there is one, nothing else is asked until somebody has taken it: nobody then who
// comes along makes up for a wake-up that was swallowed.
#include <algorithm>

#include "harness/programs/runner.h"

namespace kill9::programs {
namespace {

constexpr uint64_t kOneSignalIn = 4;  // has somebody who sleeps killed around it
constexpr uint64_t kLeastKillNs = 50'000;

}  // namespace

uint64_t Runner::Sleepers() const {
  return static_cast<uint64_t>(
      std::count_if(participants_.begin(), participants_.end(), &Runner::Sleeps));
}

// What an idle participant is asked next.
std::optional<Call> Runner::DrawCall(Participant& one) {
  const auto drawn = [&] {
    return workload_.Draw(random_, one.program->functions, one.held, ending_);
  };
  if (!workload_.HasSleepers()) return drawn();
  const uint64_t sleepers = Sleepers();
  const bool is_quiet = std::none_of(
      participants_.begin(), participants_.end(),
      [](const Participant& other) { return other.stage == Stage::kCalling && !Sleeps(other); });
  if (is_due_) return std::nullopt;
  if (looks_ && sleepers > 0) {
    if (!is_quiet) return std::nullopt;
    return Call{Function::kWakeUps};
  }
  if (ending_) {
    if (sleepers == 0 || !is_quiet) return std::nullopt;
    return Call{Function::kBroadcast, 0, sleepers + open_waits_};
  }
  std::optional<Call> call = drawn();
  // Somebody stays awake.
  const bool may_sleep = sleepers + 2 <= participants_.size();
  if (call->function == Function::kWait && !may_sleep) call = Call{Function::kSignal, 0, 1};
  if (killing_ && RowOf(call->function).effect == Effect::kAdds) KillASleeper(*call);
  return call;
}

// Who was chosen to be woken may die before it wakes.
void Runner::KillASleeper(const Call& call) {
  if (random_.Below(kOneSignalIn) != 0) return;
  Participant& other = *Anybody();
  if (!Sleeps(other) || other.kill_ns != 0 || other.calls != nullptr) return;
  const uint64_t usual = latency_ns_[static_cast<size_t>(call.function)].Quantile(0.5);
  other.kill_ns = NowNs() + random_.Below(2 * usual + kLeastKillNs);
}

// What was asked before somebody took a wake-up, or died, tells nothing about what is there now.
void Runner::NoteWakeUps(const Operation& done) {
  if (!workload_.HasSleepers()) return;
  if (done.function == Function::kWait) {
    open_waits_ += done.outcome == Outcome::kUnknown;
    return NoteChange();
  }
  if (done.invoke <= changed_ns_) return;
  const bool is_there = done.outcome == Outcome::kOk && Sleepers() > 0;
  if (done.function == Function::kWakeUps && looks_) {
    looks_ = false;
    is_due_ = is_there && done.result > open_waits_;
  }
  if (done.function == Function::kBroadcast && ending_) is_due_ = is_there;
}

void Runner::NoteChange() {
  if (!workload_.HasSleepers()) return;
  changed_ns_ = NowNs();
  is_due_ = false;
  looks_ = true;
}

}  // namespace kill9::programs
