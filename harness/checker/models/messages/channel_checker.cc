#include "harness/checker/models/messages/channel_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/checker/models/checkers.h"
#include "harness/checker/search/shown.h"
#include "harness/checker/whole_by_stream.h"

namespace kill9 {
namespace {

bool IsTake(const Operation& operation) {
  return operation.function == Function::kTake || operation.function == Function::kReceive;
}
uint64_t SequenceOf(const Operation& operation) { return operation.result_version / 2; }
bool IsMarked(const Operation& operation) { return operation.result_version % 2 == 1; }

}  // namespace

void ChannelStream::TakenFront::Add(uint64_t sequence, uint64_t invoke) {
  const auto above = by_sequence_.lower_bound(sequence);
  if (above != by_sequence_.end() && above->second >= invoke) return;
  auto end = by_sequence_.upper_bound(sequence);
  auto begin = end;
  while (begin != by_sequence_.begin() && std::prev(begin)->second <= invoke) --begin;
  by_sequence_.erase(begin, end);
  by_sequence_[sequence] = invoke;
}

uint64_t ChannelStream::TakenFront::LatestAbove(uint64_t sequence) const {
  const auto above = by_sequence_.upper_bound(sequence);
  return above == by_sequence_.end() ? 0 : above->second;
}

SearchResult ChannelStream::Add(const Operation& operation) {
  recent_.Add(operation);
  if (!ReturnAllBefore(operation.invoke)) return SearchResult::kViolated;
  if (!under_way_.empty()) ++overlapping_;
  if (!OnInvoke(operation)) return SearchResult::kViolated;
  under_way_.push(operation);
  return SearchResult::kLinearizable;
}

SearchResult ChannelStream::Finish() {
  if (!ReturnAllBefore(kNever)) return SearchResult::kViolated;
  // What is left may be there still, unless it was overtaken. The one that had to be gone first is
  // explained first.
  std::vector<std::pair<uint64_t, uint64_t>> overtaken;
  for (const uint64_t message : sure_) {
    const Life& life = lives_.at(message);
    if (WasOvertaken(life) && !MayHaveBeenHeld(life))
      overtaken.push_back({life.send_invoke, message});
  }
  std::sort(overtaken.begin(), overtaken.end());
  for (const auto& [sent, message] : overtaken) {
    if (Explain(lives_.at(message))) continue;
    Fail(message, recent_.last(), "a message was left out: later ones were taken, it never was");
    return SearchResult::kViolated;
  }
  return SearchResult::kLinearizable;
}

bool ChannelStream::ReturnAllBefore(uint64_t time) {
  while (!under_way_.empty() && under_way_.top().finish < time) {
    const Operation operation = under_way_.top();
    under_way_.pop();
    if (!OnReturn(operation)) return false;
  }
  return true;
}

bool ChannelStream::OnInvoke(const Operation& operation) {
  if (operation.function == Function::kSend) return OnSendCalled(operation);
  if (operation.function == Function::kReturn) {
    // From its call on others may have it.
    const auto entry = lives_.find(operation.argument);
    if (entry != lives_.end()) returns_under_way_.insert(operation.process);
    return true;
  }
  if (!IsTake(operation)) return true;
  if (operation.result != kNothing) return OnTakeCalled(operation);
  if (IsOptional(operation)) {
    last_cut_off_ = std::max(last_cut_off_, operation.finish);
    if (operation.function == Function::kReceive) cut_off_receives_.insert(operation.finish);
  }
  return true;
}

bool ChannelStream::OnReturn(const Operation& operation) {
  switch (operation.function) {
    case Function::kSend:
      return OnSendReturned(operation);
    case Function::kTake:
    case Function::kReceive:
      if (operation.result != kNothing) return OnTakeReturned(operation);
      return IsOptional(operation) || OnNothing(operation);
    case Function::kCount:
      return OnCount(operation);
    default:
      return OnGivenUp(operation);
  }
}

bool ChannelStream::OnSendCalled(const Operation& operation) {
  const auto [entry, fresh] = lives_.try_emplace(operation.argument);
  Life& life = entry->second;
  if (!fresh) return Fail(operation.argument, operation, "a message is sent a second time");
  life.send_invoke = operation.invoke;
  life.send_finish = operation.finish;
  life.sender = operation.process;
  life.send_is_optional = IsOptional(operation);
  life.sequence = SequenceOf(operation);
  if (const auto early = early_takes_.find(operation.argument); early != early_takes_.end()) {
    life.takes_under_way = early->second;
    life.seen = true;
    early_takes_.erase(early);
  }
  if (life.sequence == 0) return true;
  if (life.sequence <= sent_most_[GroupOf(life)]) {
    return Fail(operation.argument, operation,
                "H2: a message has no greater sequence than one whose send had returned before");
  }
  if (!by_sequence_[GroupOf(life)].try_emplace(life.sequence, operation.argument).second) {
    return Fail(operation.argument, operation, "H2: two messages have one sequence");
  }
  return true;
}

bool ChannelStream::OnSendReturned(const Operation& operation) {
  const auto entry = lives_.find(operation.argument);
  if (entry == lives_.end()) return true;  // taken and acknowledged already
  Life& life = entry->second;
  life.send_has_returned = true;
  // Of one that was cut off: if somebody has seen it, it was there before the death.
  if (life.sequence != 0) {
    uint64_t& most = sent_most_[GroupOf(life)];
    most = std::max(most, life.sequence);
  }
  if (!life.send_is_optional && !life.seen) {
    BecomeSure(operation.argument, life, operation.invoke, operation.finish);
  }
  return true;
}

bool ChannelStream::OnTakeCalled(const Operation& operation) {
  const auto entry = lives_.find(operation.result);
  if (entry == lives_.end()) {
    ++early_takes_[operation.result];
    return true;
  }
  Life& life = entry->second;
  if (life.sequence == 0) life.sequence = SequenceOf(operation);
  // A send that was cut off, of which this is the first news: it has been there since the death.
  const bool is_news = life.send_is_optional && !life.seen && life.send_finish < operation.invoke;
  if (is_news) {
    life.since = life.send_finish;
    life.from = life.send_invoke;
  }
  life.seen = true;
  ++life.takes_under_way;
  // One that is marked may have been held meanwhile, by a take that was cut off.
  const bool was_held = IsMarked(operation) && MayHaveBeenHeld(life);
  if (life.since != kNever && !was_held) {
    if (WasOvertaken(life)) {
      return Fail(operation.result, operation,
                  "H3: while the message was there, a later one was taken");
    }
    if (last_nothing_ > life.since) {
      return Fail(operation.result, operation,
                  "H4: while the message was there, a receiver found nothing");
    }
  }
  BecomeUnsure(operation.result, life);
  return true;
}

bool ChannelStream::OnTakeReturned(const Operation& operation) {
  const auto entry = lives_.find(operation.result);
  if (entry == lives_.end()) {
    return Fail(operation.result, operation,
                "H1: what was taken was not sent, or was acknowledged before");
  }
  Life& life = entry->second;
  if (life.sequence == 0) life.sequence = SequenceOf(operation);
  if (operation.result_version != 0) {
    if (SequenceOf(operation) != life.sequence) {
      return Fail(operation.result, operation, "H2: a message has two sequences");
    }
    const bool was_taken = life.first_take < operation.invoke;
    if (was_taken && !IsMarked(operation)) {
      return Fail(operation.result, operation, "H5: a message comes again, and is not marked");
    }
    if (IsMarked(operation) && life.first_take == kNever && last_cut_off_ < life.send_invoke) {
      return Fail(operation.result, operation, "H5: a message is marked that nobody had taken");
    }
  }
  if (life.takes_under_way > 0) --life.takes_under_way;
  life.first_take = std::min(life.first_take, operation.finish);
  taken_[GroupOf(life)].Add(life.sequence, operation.invoke);
  if (operation.function == Function::kReceive) {
    if (life.owner == operation.process) life.owner = kNobody;
    Forget(operation.result);
    return true;
  }
  life.owner = operation.process;
  life.owner_take_finish = operation.finish;
  return true;
}

bool ChannelStream::OnGivenUp(const Operation& operation) {
  const bool returns = operation.function == Function::kReturn;
  const auto under_way = returns_under_way_.find(operation.process);
  const bool was_there = returns && under_way != returns_under_way_.end();
  if (was_there) returns_under_way_.erase(under_way);
  const auto entry = lives_.find(operation.argument);
  if (entry == lives_.end()) {
    if (IsOptional(operation) || was_there) return true;
    return Fail(operation.argument, operation,
                "H6: who acknowledges or returns a message has it no more: it was acknowledged");
  }
  Life& life = entry->second;
  if (IsOptional(operation)) {
    life.may_be_gone |= !returns;
    return true;
  }
  if (life.owner != operation.process && life.owner != kNobody &&
      life.owner_take_finish < operation.invoke) {
    return Fail(operation.argument, operation,
                "H6: the message was given to another while this one held it");
  }
  if (!returns) {
    Forget(operation.argument);
    return true;
  }
  if (life.owner == operation.process) life.owner = kNobody;
  if (life.takes_under_way == 0 && life.owner == kNobody) {
    BecomeSure(operation.argument, life, operation.invoke, operation.finish);
  }
  return true;
}

bool ChannelStream::OnNothing(const Operation& operation) {
  last_nothing_ = std::max(last_nothing_, operation.invoke);
  if (sure_.empty() || sure_since_ > operation.invoke) return true;
  std::vector<std::pair<uint64_t, uint64_t>> there;
  for (const uint64_t message : sure_) {
    const Life& life = lives_.at(message);
    if (life.since <= operation.invoke) there.push_back({life.send_invoke, message});
  }
  std::sort(there.begin(), there.end());
  for (const auto& [sent, message] : there) {
    Life& life = lives_.at(message);
    // What a take had that was cut off comes again; what a receive had may be gone.
    if (!MayHaveBeenHeld(life) && !Explain(life)) {
      return Fail(message, operation, "H4: a receiver found nothing, and this message was there");
    }
    BecomeUnsure(message, life);
  }
  // Some message at each moment, though none all the time; if none was held meanwhile.
  if (there.empty() && last_cut_off_ < sure_from_) {
    return Fail(*sure_.begin(), operation,
                "H4: a receiver found nothing, and at each moment some message was there");
  }
  sure_since_ = operation.finish;
  sure_from_ = kNever;
  for (const uint64_t message : sure_) {
    sure_from_ = std::min(sure_from_, lives_.at(message).from);
  }
  return true;
}

bool ChannelStream::OnCount(const Operation& operation) {
  if (operation.result != 0) return true;  // only an empty channel says what must be gone
  std::vector<std::pair<uint64_t, uint64_t>> missing;
  for (const auto& [message, life] : lives_) {
    const bool must_be = !life.send_is_optional || life.seen;
    if (life.send_finish < operation.invoke && must_be && !life.may_be_gone) {
      missing.push_back({life.send_invoke, message});
    }
  }
  std::sort(missing.begin(), missing.end());
  for (const auto& [sent, message] : missing) {
    if (!Explain(lives_.at(message))) {
      return Fail(message, operation, "H7: the channel is empty, and this message was never gone");
    }
  }
  std::vector<uint64_t> gone;
  for (const auto& [message, life] : lives_) {
    if (life.send_finish < operation.invoke) gone.push_back(message);
  }
  for (const uint64_t message : gone) Forget(message);
  cut_off_receives_.clear();
  return true;
}

void ChannelStream::BecomeSure(uint64_t message, Life& life, uint64_t call, uint64_t time) {
  if (sure_.empty()) {
    sure_since_ = time;
    sure_from_ = kNever;
  }
  sure_from_ = std::min(sure_from_, call);
  life.since = time;
  life.from = call;
  sure_.insert(message);
}

void ChannelStream::BecomeUnsure(uint64_t message, Life& life) {
  life.since = kNever;
  sure_.erase(message);
}

void ChannelStream::Forget(uint64_t message) {
  const auto entry = lives_.find(message);
  if (entry == lives_.end()) return;
  BecomeUnsure(message, entry->second);
  const auto group = by_sequence_.find(GroupOf(entry->second));
  if (group != by_sequence_.end()) group->second.erase(entry->second.sequence);
  lives_.erase(entry);
}

bool ChannelStream::Explain(Life& life) {
  if (life.may_be_gone) return true;
  const auto death = cut_off_receives_.lower_bound(life.send_invoke);
  if (death == cut_off_receives_.end()) return false;
  cut_off_receives_.erase(death);
  life.may_be_gone = true;
  return true;
}

bool ChannelStream::WasOvertaken(const Life& life) const {
  const auto group = taken_.find(GroupOf(life));
  return life.sequence != 0 && group != taken_.end() &&
         group->second.LatestAbove(life.sequence) > life.since;
}

bool ChannelStream::Fail(uint64_t message, const Operation& operation, std::string why) {
  fault_ = {message, operation, std::move(why)};
  return false;
}

SearchResult ChannelChecker::Check(Condition condition, const Recoveries& recoveries,
                                   const EngineLimits&, const KeyHistory& recorded,
                                   Counterexample* counterexample) const {
  return CheckWholeByStream(ChannelStream(name_, order_), condition, recoveries, recorded,
                            counterexample);
}

std::unique_ptr<StreamChecker> ChannelChecker::NewStream(bool, const EngineLimits&) const {
  return std::make_unique<ChannelStream>(name_, order_);
}

const ModelChecker& TheChannelChecker() {
  static const ChannelChecker checker(
      "channel", "messages in one order: send, take, acknowledge, return, receive",
      ChannelOrder::kTotal);
  return checker;
}

const ModelChecker& TheSenderOrderChecker() {
  static const ChannelChecker checker("channel-per-sender",
                                      "messages in the order of each sender; else as a channel",
                                      ChannelOrder::kPerSender);
  return checker;
}

}  // namespace kill9
