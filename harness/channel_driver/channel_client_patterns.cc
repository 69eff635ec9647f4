// The part of a channel's client for work that has a pattern.
//
// Requests and answers: each asks, and waits for its answer without a deadline; meanwhile it
// answers what it takes. An answer has the request's name as its key (value.h of store_driver),
// and is sent before the request is acknowledged: so a request is answered, by the next one if the
// first one dies, and a message that is lost leaves its asker waiting (stuck).
//
// Bursts: who finds the channel empty rests, and sends then until there is no room, or the burst is
// over; then it receives until the channel is empty. As all do, it goes from empty to full.
#include <algorithm>
#include <cstring>

#include "harness/channel_driver/channel_client.h"
#include "harness/torture/run_statistics.h"

namespace kill9 {
namespace {

// From here on a value tells its key.
constexpr uint32_t kLeastWithKey = 24;

}  // namespace

uint64_t ChannelClient::KeyOf(std::string_view bytes) const {
  uint64_t key = kValueKey;
  if (boards_.requests != nullptr && bytes.size() >= kLeastWithKey) {
    std::memcpy(&key, bytes.data() + sizeof key, sizeof key);
  }
  return key;
}

bool ChannelClient::SendOfKey(uint64_t key, ValueId id, Random& random) {
  const uint32_t size = std::max(workload_.NextSize(random), kLeastWithKey);
  return SendValue(id, key, size, Deadline::None());
}

bool ChannelClient::Ask(Random& random) {
  std::atomic<uint64_t>& own = boards_.requests->asked[slot_];
  // Acquire: pairs with an audit's Forget.
  if (own.load(std::memory_order_acquire) == RequestBoard::kNone) {
    const ValueId id = NextId();
    // Release: pairs with IsAwaited.
    own.store(id, std::memory_order_release);
    if (!SendOfKey(kValueKey, id, random)) {
      own.store(RequestBoard::kNone, std::memory_order_release);  // it was never sent
      return ServeOne(RequestBoard::kNone, Deadline::None(), random);
    }
    Count(boards_.requests->requests);
  }
  // Relaxed: nobody else writes to it while this one works.
  return ServeOne(own.load(std::memory_order_relaxed), Deadline::Never(), random);
}

bool ChannelClient::ServeOne(uint64_t own_request, Deadline deadline, Random& random) {
  Take(deadline);
  if (held_.empty()) return true;
  RequestBoard& board = *boards_.requests;
  const uint64_t request = KeyOf(held_.back().message.bytes());
  if (request == kValueKey) {
    const bool answered = SendOfKey(held_.back().id, NextId(), random);
    GiveUp(held_.size() - 1, /*acknowledge=*/answered);
    return true;
  }
  if (request == own_request) {
    GiveUp(held_.size() - 1, /*acknowledge=*/true);
    // Release: pairs with IsAwaited.
    board.asked[slot_].store(RequestBoard::kNone, std::memory_order_release);
    Count(board.answers);
    return true;
  }
  const bool awaited = board.IsAwaited(request);
  Count(awaited ? board.passed_on : board.of_nobody);
  GiveUp(held_.size() - 1, /*acknowledge=*/!awaited);
  return !awaited;  // it lets the asker come first
}

bool ChannelClient::BurstStep(Random& random) {
  BurstBoard& board = *boards_.bursts;
  if (burst_left_ > 0) {
    --burst_left_;
    if (SendStep(random)) return true;
    Count(board.met_full);
    burst_left_ = 0;
    return true;
  }
  if (workload_.MayReceive(process())) {
    if (ReceiveStep(random)) return true;
    Count(board.met_empty);
  }
  if (!workload_.MaySend(process())) return false;
  burst_left_ = 1 + static_cast<uint32_t>(random.Below(workload_.burst));
  Count(board.bursts);
  return false;
}

}  // namespace kill9
