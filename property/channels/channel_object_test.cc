// Channels join what every object must do (property/conformance/object_conformance.h).
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "property/conformance/object_conformance.h"
#include "variants/channel.h"

namespace kill9 {
namespace {

constexpr uint64_t kKept = 32;  // no more than a member may hold

// Sends the number, and takes out the oldest ones where there are many: also those that others left
// who were killed before they did. What comes back is drained at once, and a batch of slot_ring's
// has at most 64 messages that came back.
absl::Status SendNumber(SharedObject& object, uint64_t n) {
  Channel& channel = static_cast<Channel&>(object);
  absl::Status status = channel.Send(absl::StrCat(n), Deadline::None()).status();
  while (status.ok()) {
    const absl::StatusOr<Occupancy> occupancy = channel.Look();
    if (!occupancy.ok() || occupancy->waiting <= kKept) return occupancy.status();
    std::string oldest;
    status = channel.Receive(&oldest, Deadline::None()).status();
  }
  return status;
}

// The last numbers are there, one after the other; of several senders whose messages have no order,
// as many.
absl::Status FindNumbersInOrder(Channel& channel, ChannelTraits::Order order, uint64_t first,
                                uint64_t end) {
  std::vector<uint64_t> numbers;
  absl::StatusOr<MessageBatch> batch = channel.Drain(Channel::kAll, Deadline::None());
  if (batch.ok()) {
    for (const Message& message : *batch) {
      uint64_t number = 0;
      if (!absl::SimpleAtoi(std::string(message.bytes), &number)) {
        return absl::DataLossError("no number");
      }
      numbers.push_back(number);
    }
    if (absl::Status status = channel.Return(*std::move(batch)); !status.ok()) return status;
  } else if (!absl::IsDeadlineExceeded(batch.status())) {
    return batch.status();
  }
  if (numbers.empty()) {
    return first == 0 ? absl::OkStatus() : absl::DataLossError("nothing is there");
  }
  const bool in_order = order == ChannelTraits::Order::kTotal;
  if (!in_order) std::sort(numbers.begin(), numbers.end());
  if ((in_order && numbers.back() + 1 < first) || numbers.back() >= end) {
    return absl::DataLossError(absl::StrCat("the last number is ", numbers.back(), " of ",
                                            numbers.size(), "; expected ", first, " to ", end));
  }
  for (size_t i = 1; i < numbers.size(); ++i) {
    if (in_order ? numbers[i] != numbers[i - 1] + 1 : numbers[i] == numbers[i - 1]) {
      return absl::DataLossError(absl::StrCat(numbers[i], " follows ", numbers[i - 1]));
    }
  }
  const uint64_t least = std::min(first, kKept - 1);
  if (numbers.size() >= least) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("only ", numbers.size(), " are left"));
}

// A broadcast, to which all who look have subscribed, some late: what there is, is in order. A
// number whose send was cut off by a death may be there twice: it is sent again.
absl::Status FindInBroadcast(SharedObject& object, bool, uint64_t, uint64_t end) {
  Channel& channel = static_cast<Channel&>(object);
  absl::StatusOr<MessageBatch> batch = channel.Drain(Channel::kAll, Deadline::None());
  if (absl::IsDeadlineExceeded(batch.status())) return absl::OkStatus();
  if (!batch.ok()) return batch.status();
  uint64_t next = 0;
  for (const Message& message : *batch) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(std::string(message.bytes), &number) || number + 1 < next ||
        number >= end) {
      return absl::DataLossError(
          absl::StrCat("'", std::string(message.bytes), "' comes after ", next, " of ", end));
    }
    next = number + 1;
  }
  return channel.Return(*std::move(batch));
}

std::vector<absl::Status> CallEach(SharedObject& object) {
  Channel& channel = static_cast<Channel&>(object);
  const std::string_view one[] = {"one"};
  std::string message;
  return {channel.Send("", Deadline::None()).status(),
          channel.SendMany(one, Deadline::None()).status(),
          channel.Reserve(1, Deadline::None()).status(),
          channel.Receive(&message, Deadline::None()).status(),
          channel.Take(Deadline::None()).status(),
          channel.Drain(1, Deadline::None()).status(),
          channel.Close(),
          channel.Look().status(),
          channel.ReadinessDescriptor().status()};
}

template <ChannelTraits::Order order>
absl::Status FindNumbers(SharedObject& object, bool, uint64_t first, uint64_t end) {
  return FindNumbersInOrder(static_cast<Channel&>(object), order, first, end);
}

using Order = ChannelTraits::Order;
const ObjectKind kInTotalOrder = {ChannelDesign::kKind, SendNumber, FindNumbers<Order::kTotal>,
                                  CallEach};
const ObjectKind kInOrderOfSenders = {ChannelDesign::kKind, SendNumber,
                                      FindNumbers<Order::kPerSender>, CallEach};
const ObjectKind kInBroadcast = {ChannelDesign::kKind, SendNumber, FindInBroadcast, CallEach};

std::vector<ObjectCase> AllCases() {
  std::vector<ObjectCase> cases = CasesOf(kInTotalOrder);
  for (ObjectCase& one : cases) {
    const auto& design = static_cast<const ChannelDesign&>(*one.design);
    if (design.traits().order == Order::kPerSender) one.kind = &kInOrderOfSenders;
    if (design.traits().delivery == ChannelTraits::Delivery::kBroadcast) one.kind = &kInBroadcast;
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Channels, ObjectConformance, ::testing::ValuesIn(AllCases()),
                         ObjectTestName);

}  // namespace
}  // namespace kill9
