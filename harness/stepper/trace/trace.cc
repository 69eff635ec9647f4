#include "harness/stepper/trace/trace.h"

#include <algorithm>

#include "variants/segment/hash.h"

namespace kill9::stepper {
namespace {

constexpr uint32_t kIndexSize = 4 * Trace::kMaxStates;

}  // namespace

void Trace::Clear() {
  size_ = 0;
  state_count_ = 0;
  ends_blocked_ = false;
  index_.Clear();
}

uint32_t Trace::FindState(const StateId& id) {
  for (uint64_t at = XXH3_64bits(&id, sizeof id);; ++at) {
    uint32_t& slot = index_[at % kIndexSize];
    if (slot == 0) {
      if (state_count_ == kMaxStates) return kMaxStates;
      states_[state_count_] = {id, size_, 0};
      slot = ++state_count_;
    }
    if (states_[slot - 1].id == id) return slot - 1;
  }
}

bool Trace::Add(uint64_t address, uint32_t registers, const StateId& id, uint32_t flags) {
  if (size_ == kMaxSteps) return false;
  uint32_t state = FindState(id);
  if (state == kMaxStates) return false;
  ++states_[state].points;
  if (size_ > 0 && states_[steps_[size_ - 1].state].id.segment_hash != id.segment_hash) {
    steps_[size_ - 1].flags |= kChanged;
  }
  steps_[size_++] = {address, registers, state, 0, 0, 0, flags};
  return true;
}

uint32_t Trace::FirstDifference(const Trace& other) const {
  uint32_t common = std::min(size_, other.size_);
  for (uint32_t at = 0; at < common; ++at) {
    if (steps_[at].address != other.steps_[at].address ||
        !(states_[steps_[at].state].id == other.states_[other.steps_[at].state].id)) {
      return at;
    }
  }
  return size_ == other.size_ ? size_ : common;
}

}  // namespace kill9::stepper
