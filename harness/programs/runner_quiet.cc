// The runner's part that says how long the work goes on, and what is asked of the quiet state.
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "harness/programs/runner.h"

namespace kill9::programs {
namespace {

constexpr uint64_t kControlCalls = 50;  // of each participant
constexpr uint64_t kKillsBetweenAudits = 50;
constexpr uint64_t kClosingMost = 1 << 20;  // calls, where they go on until nothing is left

}  // namespace

// With kills, for as long as is asked for; longer, up to as long again, if nothing was proved.
bool Runner::GoesOn() const {
  if (over()) return false;
  if (options_.control) return calls_ < kControlCalls * participants_.size();
  if (options_.run.kills != 0 && kills_total() >= options_.run.kills) return false;
  const double seconds = static_cast<double>(NowNs() - started_ns_) / 1e9;
  if (seconds < options_.run.seconds) return true;
  const bool proves_nothing = kills_[static_cast<size_t>(Stage::kCalling)] == 0;
  return proves_nothing && seconds < 2 * options_.run.seconds + 1;
}

void Runner::WorkUntilDone() {
  killing_ = !options_.control;
  for (Participant& one : participants_) Doom(one);
  issuing_ = true;
  while (GoesOn()) {
    Step();
    const uint64_t total = kills_total();
    if (total < audited_kills_ + kKillsBetweenAudits) continue;
    audited_kills_ = total;
    const bool audits = std::any_of(programs_.begin(), programs_.end(),
                                    [](const Program& one) { return one.offer.audit; });
    if (!audits || !Quieten()) continue;
    Audit();
    ending_ = false;
    killing_ = true;
  }
}

// Lets everybody answer, and give back what it has; kills nobody meanwhile. True: all are idle.
bool Runner::Quieten() {
  killing_ = false;
  ending_ = true;
  for (Participant& one : participants_) {
    if (one.kill_sent_ns == 0) one.kill_ns = 0;
  }
  const auto quiet = [](const Participant& one) {
    return one.stage == Stage::kIdle && !one.held.has_value() && one.kill_sent_ns == 0;
  };
  while (!over() && !std::all_of(participants_.begin(), participants_.end(), quiet)) Step();
  return !over();
}

Runner::Participant* Runner::Anybody() {
  return &participants_[random_.Below(participants_.size())];
}

// REQUIRES: all are idle.
void Runner::Audit() {
  Participant* auditor = Anybody();
  for (size_t n = 0; n < participants_.size() && !auditor->program->offer.audit; ++n) {
    auditor = &participants_[(auditor->number + 1) % participants_.size()];
  }
  if (!auditor->program->offer.audit) return;
  issuing_ = false;
  auditor->stage = Stage::kAuditing;
  auditor->request = ++requests_;
  auditor->charged_ns = auditor->looked_ns = 0;
  SendLine(auditor->connection, Dump(Json{{"id", auditor->request}, {"f", "audit"}}));
  StepUntilIdle(*auditor);
  ++audits_;
  issuing_ = true;
}

void Runner::StepUntilIdle(const Participant& one) {
  while (!over() && one.stage != Stage::kIdle) Step();
}

// What the state has become: told by who was there all the time, and by a newcomer.
void Runner::Close() {
  if (over() || !Quieten()) return;
  issuing_ = false;
  Audit();
  issuing_ = false;
  Participant& survivor = *Anybody();
  if (!workload_.ClosesUntilNothing()) CloseBy(survivor);
  if (over()) return;
  CloseBy(Replace(survivor));
}

void Runner::CloseBy(Participant& one) {
  for (Call call : workload_.Closing()) {
    if (call.function == Function::kRelease && !one.held.has_value()) continue;
    for (uint64_t n = 0; n < kClosingMost && !over(); ++n) {
      if (call.function == Function::kAt) call.argument = n;  // of a list, index by index
      Ask(one, call);
      StepUntilIdle(one);
      if (call.function == Function::kRelease && one.held.has_value()) continue;
      if (!workload_.ClosesUntilNothing() || one.operation.result == kNothing) break;
    }
  }
}

// Somebody ends of its own accord, at the end of its input, and another one begins in its place.
Runner::Participant& Runner::Replace(Participant& one) {
  one.stage = Stage::kEnding;
  one.charged_ns = one.looked_ns = 0;
  one.connection.CloseSending();
  while (!over() && one.stage != Stage::kVacant) Step();
  if (!over()) Start(one);
  StepUntilIdle(one);
  return one;
}

}  // namespace kill9::programs
