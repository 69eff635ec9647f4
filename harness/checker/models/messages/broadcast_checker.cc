#include "harness/checker/models/messages/broadcast_checker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/checker/models/checkers.h"
#include "harness/checker/search/shown.h"
#include "harness/checker/whole_by_stream.h"

namespace kill9 {
namespace {

constexpr int kChannelShift = 40;         // of numbers
constexpr uint64_t kFarthest = 1u << 20;  // a number beyond the last one that is known

bool IsReceive(const Operation& operation) {
  return operation.function == Function::kTake || operation.function == Function::kReceive;
}
bool FindsNothing(const Operation& operation) {
  return (IsReceive(operation) || operation.function == Function::kCount) &&
         operation.result == kNothing && !IsOptional(operation);
}
uint64_t NumberOf(const Operation& operation) { return operation.result_version / 2; }
bool IsMarked(const Operation& operation) { return operation.result_version % 2 == 1; }

}  // namespace

SearchResult BroadcastStream::Add(const Operation& operation) {
  recent_.Add(operation);
  if (!ReturnAllBefore(operation.invoke)) return SearchResult::kViolated;
  if (!under_way_.empty()) ++overlapping_;
  if (operation.function == Function::kSend && !OnSend(operation)) return SearchResult::kViolated;
  if (FindsNothing(operation)) OnNothing(operation);
  under_way_.push(operation);
  return SearchResult::kLinearizable;
}

SearchResult BroadcastStream::Finish() {
  if (!ReturnAllBefore(kNever)) return SearchResult::kViolated;
  if (!channels_.empty()) {
    const auto& [number, channel] = *channels_.rbegin();
    if (!Settle(number, channel.places.size())) return SearchResult::kViolated;
  }
  if (!DropUnplacedBefore(called_before_)) return SearchResult::kViolated;
  return is_undecided_ ? SearchResult::kUndecided : SearchResult::kLinearizable;
}

bool BroadcastStream::ReturnAllBefore(uint64_t time) {
  while (!under_way_.empty() && under_way_.top().finish < time) {
    const Operation operation = under_way_.top();
    under_way_.pop();
    if (!OnReturn(operation)) return false;
  }
  return true;
}

bool BroadcastStream::OnReturn(const Operation& operation) {
  if (IsOptional(operation)) return true;
  switch (operation.function) {
    case Function::kTake:
    case Function::kReceive:
      return operation.result == kNothing || OnReceived(operation);
    case Function::kAcknowledge:
    case Function::kReturn:
      return OnGivenUp(operation);
    case Function::kSubscribe:
      return OnSubscribed(operation);
    default:
      return true;
  }
}

bool BroadcastStream::OnSend(const Operation& operation) {
  const uint64_t number = NumberOf(operation);
  if (number == 0 || IsOptional(operation)) {
    if (!unplaced_finish_.try_emplace(operation.argument, operation.finish).second) {
      return Fail(operation.argument, operation, "a message is sent a second time");
    }
    unplaced_[{operation.finish, operation.argument}] = {operation.invoke, IsOptional(operation)};
    const Sends::Send send = {operation.invoke, operation.finish, operation.argument};
    to_fill_holes_.Add(send);
    if (!IsOptional(operation)) to_be_placed_.Add(send);
    return true;
  }
  Place* const place = PlaceOf(number);
  if (place == nullptr) {
    return Fail(operation.argument, operation, "G5: the number is far from those around it");
  }
  if (place->message != kNothing) {
    return Fail(operation.argument, operation, "G2: two messages have one number");
  }
  place->message = operation.argument;
  number_of_[operation.argument] = number;
  place->send_invoke = operation.invoke;
  place->there_by = std::min(place->there_by, operation.finish);
  Channel& channel = channels_[number >> kChannelShift];
  if (channel.places.size() < 2 * window_) return true;
  return Settle(number >> kChannelShift, window_);
}

bool BroadcastStream::OnSeen(uint64_t number, const Operation& operation) {
  Place* const place = PlaceOf(number);
  if (place == nullptr) {
    if (!IsSettled(number)) {
      return Fail(operation.result, operation, "G1: no message has a number like this");
    }
    is_undecided_ = true;
    return true;
  }
  if (place->message == kNothing) {
    const auto finish = unplaced_finish_.find(operation.result);
    if (finish == unplaced_finish_.end()) {
      return Fail(operation.result, operation,
                  "G1: what is received was not sent, or has another number");
    }
    const auto unplaced = unplaced_.find({finish->second, operation.result});
    place->message = operation.result;
    number_of_[operation.result] = number;
    place->send_invoke = unplaced->second.invoke;
    place->there_by = std::min(place->there_by, finish->second);
    const Sends::Send send = {unplaced->second.invoke, finish->second, operation.result};
    to_fill_holes_.Remove(send);
    to_be_placed_.Remove(send);
    unplaced_.erase(unplaced);
    unplaced_finish_.erase(finish);
  }
  if (place->message != operation.result) {
    return Fail(operation.result, operation, "G1: it is received with another message's number");
  }
  place->there_by = std::min(place->there_by, operation.finish);
  return true;
}

uint64_t BroadcastStream::NumberOfReceived(const Operation& operation) const {
  if (operation.result_version != 0) return NumberOf(operation);
  const auto number = number_of_.find(operation.result);
  return number == number_of_.end() ? 0 : number->second;
}

bool BroadcastStream::OnReceivedUnplaced(const Operation& operation) {
  const auto finish = unplaced_finish_.find(operation.result);
  if (finish == unplaced_finish_.end()) {
    return Fail(operation.result, operation, "G1: what is received was not sent");
  }
  // It has a number, if anybody knew it; how far this subscriber has come, nobody knows.
  Unplaced& unplaced = unplaced_.at({finish->second, operation.result});
  if (std::exchange(unplaced.is_optional, false)) {
    to_be_placed_.Add({unplaced.invoke, finish->second, operation.result});
  }
  Subscriber& subscriber = subscribers_[operation.process];
  subscriber.has_begun = false;
  if (operation.function == Function::kTake) subscriber.held[operation.result] = 0;
  return true;
}

bool BroadcastStream::OnReceived(const Operation& operation) {
  const uint64_t number = NumberOfReceived(operation);
  if (number == 0) return OnReceivedUnplaced(operation);
  if (!OnSeen(number, operation)) return false;
  Subscriber& subscriber = subscribers_[operation.process];
  uint64_t missed = 0;
  if (!subscriber.has_begun) {
    // It does not say where it began.
    subscriber.has_begun = true;
    subscriber.last = number;
    missed = operation.expected;
  } else if (!Advance(subscriber, number, operation, &missed)) {
    return false;
  }
  if (operation.expected != missed) {
    return Fail(operation.result, operation,
                absl::StrCat("G4: it is told to have missed ", operation.expected,
                             " before, and missed ", missed));
  }
  if (operation.function == Function::kTake) subscriber.held[operation.result] = number;
  return true;
}

bool BroadcastStream::Advance(Subscriber& subscriber, uint64_t number, const Operation& operation,
                              uint64_t* missed) {
  const bool tells_mark = operation.result_version != 0;
  std::set<uint64_t>& returned = subscriber.returned;
  const auto its = returned.find(number);
  if (its != returned.end()) {
    if (tells_mark && !IsMarked(operation)) {
      return Fail(operation.result, operation, "G3: a message comes again, and is not marked");
    }
    *missed = subscriber.missed + static_cast<uint64_t>(std::distance(returned.begin(), its));
    returned.erase(returned.begin(), std::next(its));
    subscriber.missed = 0;
    return true;
  }
  if (IsMarked(operation)) {
    return Fail(operation.result, operation, "G3: a message is marked that it had not returned");
  }
  if (number <= subscriber.last || number >> kChannelShift != subscriber.last >> kChannelShift) {
    return Fail(operation.result, operation,
                absl::StrCat("G3: it had come to number ", subscriber.last, " already"));
  }
  *missed = subscriber.missed + returned.size() + (number - subscriber.last - 1);
  if (!PassOver(subscriber.last, number, operation)) return false;
  if (subscriber.nothing != 0) NoteNothingBefore(number, subscriber.nothing);
  returned.clear();
  subscriber.last = number;
  subscriber.missed = subscriber.nothing = 0;
  return true;
}

bool BroadcastStream::PassOver(uint64_t last, uint64_t number, const Operation& operation) {
  for (uint64_t missed = last + 1; missed < number; ++missed) {
    Place* const place = PlaceOf(missed);
    if (place != nullptr) place->gone_by = std::min(place->gone_by, operation.finish);
  }
  const Place* const place = PlaceOf(number);
  if (place == nullptr || place->gone_by >= operation.invoke) return true;
  return Fail(operation.result, operation,
              absl::StrCat("G8: number ", number,
                           " is received, and another subscriber was told before that it is gone"));
}

// Only the latest call before each number counts.
void BroadcastStream::NoteNothingBefore(uint64_t number, uint64_t called) {
  auto after = nothing_before_.upper_bound(number);
  if (after != nothing_before_.begin() && std::prev(after)->second >= called) return;
  while (after != nothing_before_.end() && after->second <= called) {
    after = nothing_before_.erase(after);
  }
  nothing_before_[number] = called;
}

// What it had returned by then is gone.
void BroadcastStream::OnNothing(const Operation& operation) {
  Subscriber& subscriber = subscribers_[operation.process];
  subscriber.missed += subscriber.returned.size();
  subscriber.returned.clear();
  subscriber.nothing = operation.invoke;
}

bool BroadcastStream::OnGivenUp(const Operation& operation) {
  Subscriber& subscriber = subscribers_[operation.process];
  const auto held = subscriber.held.find(operation.argument);
  if (held == subscriber.held.end()) {
    return Fail(operation.argument, operation, "G7: it gives up a message that it does not hold");
  }
  if (operation.function == Function::kReturn && held->second != 0) {
    subscriber.returned.insert(held->second);
  }
  subscriber.held.erase(held);
  return true;
}

// The number after which it begins is of a message that was there.
bool BroadcastStream::OnSubscribed(const Operation& operation) {
  Subscriber& subscriber = subscribers_[operation.process];
  subscriber = Subscriber{};
  subscriber.has_begun = true;
  subscriber.last = operation.result;
  constexpr uint64_t kInChannel = (uint64_t{1} << kChannelShift) - 1;
  if ((operation.result & kInChannel) == 0 || IsSettled(operation.result)) return true;
  Place* const place = PlaceOf(operation.result);
  if (place == nullptr) {
    return Fail(kNothing, operation, "G1: it begins after a number that no message has");
  }
  place->there_by = std::min(place->there_by, operation.finish);
  return true;
}

bool BroadcastStream::IsSettled(uint64_t number) {
  const auto channel = channels_.find(number >> kChannelShift);
  return channel != channels_.end() && number < channel->second.base;
}

BroadcastStream::Place* BroadcastStream::PlaceOf(uint64_t number) {
  Channel& channel = channels_[number >> kChannelShift];
  if (channel.base == 0) channel.base = (number >> kChannelShift << kChannelShift) + 1;
  if (number < channel.base) return nullptr;
  const uint64_t index = number - channel.base;
  if (index >= channel.places.size() + kFarthest) return nullptr;
  if (index >= channel.places.size()) channel.places.resize(index + 1);
  return &channel.places[index];
}

bool BroadcastStream::Settle(uint64_t channel_number, size_t count) {
  for (auto& [number, channel] : channels_) {
    if (number > channel_number) break;
    if (!SettleIn(channel, number == channel_number ? count : channel.places.size())) return false;
  }
  return true;
}

bool BroadcastStream::SettleIn(Channel& channel, size_t count) {
  // Of each place, when it or a later one was there at the latest.
  std::vector<uint64_t> there_by(channel.places.size());
  uint64_t earliest = kNever;
  for (size_t i = channel.places.size(); i-- > 0;) {
    there_by[i] = earliest = std::min(earliest, channel.places[i].there_by);
  }
  for (size_t i = 0; i < count; ++i) {
    const uint64_t number = channel.base;
    auto nothing = nothing_before_.lower_bound(number >> kChannelShift << kChannelShift);
    while (nothing != nothing_before_.end() && nothing->first <= number) {
      called_before_ = std::max(called_before_, nothing->second);
      nothing = nothing_before_.erase(nothing);
    }
    Place& place = channel.places.front();
    if (place.message == kNothing && !FillHole(number, there_by[i])) {
      return false;
    }
    number_of_.erase(place.message);
    called_before_ = std::max(called_before_, place.send_invoke);
    if (place.there_by < called_before_) {
      Operation shown = recent_.last();
      return Fail(place.message, shown,
                  absl::StrCat("G2, G6: number ", number,
                               " was there before a message with a "
                               "smaller number was sent, or while a subscriber found nothing, that "
                               "then received a smaller or this one"));
    }
    channel.places.pop_front();
    ++channel.base;
  }
  return true;
}

void BroadcastStream::Sends::Add(const Send& send) {
  by_finish_.insert(ByFinish(send));
  by_invoke_.insert(ByInvoke(send));
}

void BroadcastStream::Sends::Remove(const Send& send) {
  by_finish_.erase(ByFinish(send));
  by_invoke_.erase(ByInvoke(send));
}

bool BroadcastStream::Sends::TakeFirst(uint64_t called_by) {
  if (by_finish_.empty()) return false;
  Key first = *by_finish_.begin();
  if (std::get<2>(first) > called_by) {
    // All end after that moment. So those that were called by then were under way at it, and few.
    bool any = false;
    for (const auto& [invoke, message, finish] : by_invoke_) {
      if (invoke > called_by) break;
      if (!any || Key{finish, message, invoke} < first) first = {finish, message, invoke};
      any = true;
    }
    if (!any) return false;
  }
  const auto& [finish, message, invoke] = first;
  Remove({invoke, finish, message});
  return true;
}

bool BroadcastStream::FillHole(uint64_t number, uint64_t there_by) {
  if (!DropUnplacedBefore(called_before_)) return false;
  to_be_placed_.TakeFirst(there_by);
  if (to_fill_holes_.TakeFirst(there_by)) return true;
  return Fail(kNothing, recent_.last(),
              absl::StrCat("G5: nobody received number ", number, ", and no send can have had it"));
}

bool BroadcastStream::DropUnplacedBefore(uint64_t time) {
  while (!unplaced_.empty() && unplaced_.begin()->first.first < time) {
    const auto& [finish_and_message, unplaced] = *unplaced_.begin();
    const auto& [finish, message] = finish_and_message;
    const Sends::Send send = {unplaced.invoke, finish, message};
    if (to_be_placed_.Has(send)) {
      return Fail(message, recent_.last(),
                  "G5: the send of a message returned, and it has no number");
    }
    to_fill_holes_.Remove(send);
    unplaced_finish_.erase(message);
    unplaced_.erase(unplaced_.begin());
  }
  return true;
}

bool BroadcastStream::Fail(uint64_t message, const Operation& operation, std::string why) {
  fault_ = {message, operation, std::move(why)};
  return false;
}

namespace {

class BroadcastChecker final : public ModelChecker {
 public:
  std::string_view name() const override { return "broadcast"; }
  std::string_view summary() const override {
    return "messages to every subscriber, each told exactly how many it missed";
  }
  bool Accepts(Function function) const override {
    return function >= Function::kSend && function <= Function::kSubscribe;
  }
  SearchResult Check(Condition condition, const Recoveries& recoveries, const EngineLimits&,
                     const KeyHistory& recorded, Counterexample* counterexample) const override {
    return CheckWholeByStream(BroadcastStream(/*window=*/recorded.operations.size()), condition,
                              recoveries, recorded, counterexample);
  }
  std::unique_ptr<StreamChecker> NewStream(bool, const EngineLimits&) const override {
    return std::make_unique<BroadcastStream>();
  }
};

}  // namespace

const ModelChecker& TheBroadcastChecker() {
  static const BroadcastChecker checker;
  return checker;
}

}  // namespace kill9
