#include "apps/http_cache/net/loop.h"

#include <ctime>

namespace kill9::http {
namespace {

int64_t ClockMs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

Loop::Loop()
    : base_(event_base_new()),
      ticker_(event_new(base_, -1, EV_PERSIST, Tick, this)),
      graves_event_(event_new(base_, -1, 0, EmptyGraves, this)) {
  const timeval second = {1, 0};
  event_add(ticker_, &second);
}

Loop::~Loop() {
  members_.clear();
  graves_.clear();
  event_free(ticker_);
  event_free(graves_event_);
  event_base_free(base_);
}

void Loop::Bury(Member* member) {
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  graves_.push_back(std::move(found->second));
  members_.erase(found);
  event_active(graves_event_, EV_TIMEOUT, 0);
}

int64_t Loop::WallMs() { return ClockMs(CLOCK_REALTIME); }

int64_t Loop::MonotonicMs() { return ClockMs(CLOCK_MONOTONIC_COARSE); }

void Loop::Tick(int, short, void* self) {
  Loop& loop = *static_cast<Loop*>(self);
  std::vector<Member*> now;  // ticks may adopt and bury
  now.reserve(loop.members_.size());
  for (const auto& [member, owner] : loop.members_) now.push_back(member);
  const int64_t monotonic_ms = MonotonicMs();
  for (Member* const member : now) {
    if (loop.members_.contains(member)) member->Tick(monotonic_ms);
  }
  if (loop.on_tick_) loop.on_tick_();
}

void Loop::EmptyGraves(int, short, void* self) {
  std::vector<std::unique_ptr<Member>> graves;
  graves.swap(static_cast<Loop*>(self)->graves_);
}

}  // namespace kill9::http
