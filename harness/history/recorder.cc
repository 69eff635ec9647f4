#include "harness/history/recorder.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "harness/base/shared_mapping.h"

namespace kill9 {
namespace {

size_t RingBytes(const RecordingOptions& options) {
  return sizeof(RecordingRing) + options.capacity * sizeof(Operation);
}

}  // namespace

Recorder::Recorder(RecordingRing* ring, Operation* operations, uint64_t capacity,
                   const Clock& clock)
    : ring_(ring),
      operations_(operations),
      capacity_(capacity),
      // relaxed: these were written before the fork, or by this slot's last, reaped worker.
      published_(ring->published.load(std::memory_order_relaxed)),
      drained_(ring->drained.load(std::memory_order_relaxed)),
      process_(ring->process.load(std::memory_order_relaxed)),
      clock_(clock) {}

void Recorder::BeginRow(Function function, uint64_t key, std::span<const uint64_t> arguments) {
  const uint64_t count = arguments.size();
  if (published_ - drained_ + count > capacity_) WaitForRoom(count);
  for (uint64_t i = 0; i < count; ++i) {
    LayOut(i, static_cast<uint32_t>(i), function, key, arguments[i], 0);
  }
  PublishRow(count);
}

void Recorder::BeginKeys(Function function, std::span<const uint64_t> keys) {
  const uint64_t count = keys.size();
  if (published_ - drained_ + count > capacity_) WaitForRoom(count);
  for (uint64_t i = 0; i < count; ++i) {
    LayOut(i, static_cast<uint32_t>(i), function, keys[i], kNothing, 0);
  }
  PublishRow(count);
}

void Recorder::PublishRow(uint64_t count) {
  const uint64_t invoke = std::max(clock_.BeforeOperation(), last_finish_ + 1);
  for (uint64_t i = 0; i < count; ++i) {
    operations_[(published_ + i) & (capacity_ - 1)].invoke = invoke;
  }
  published_ += count;
  // release: pairs with the acquire in Recording::DrainRing and InOperation.
  ring_->published.store(published_, std::memory_order_release);
}

void Recorder::WaitForRoom(uint64_t operations) {
  constexpr int kSpins = 100;
  constexpr int kYields = 200;
  for (int attempt = 0;; ++attempt) {
    // acquire: pairs with the release in Recording::DrainRing; the record may be overwritten after
    // it.
    drained_ = ring_->drained.load(std::memory_order_acquire);
    if (published_ - drained_ + operations <= capacity_) return;
    if (attempt < kSpins) continue;
    if (attempt < kSpins + kYields) {
      sched_yield();
    } else {
      timespec pause{0, 50'000};
      nanosleep(&pause, nullptr);
    }
  }
}

absl::StatusOr<std::unique_ptr<Recording>> Recording::Create(const RecordingOptions& options,
                                                             const Clock& clock) {
  if (options.slots == 0 || !std::has_single_bit(options.capacity)) {
    return absl::InvalidArgumentError("a recording needs slots, and a power of two as capacity");
  }
  size_t bytes = options.slots * RingBytes(options);
  // Populated now: a worker's first operations shall not pay for page faults.
  char* base = MapShared(bytes, bytes);
  if (base == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot map a recording: ", std::strerror(errno)));
  }
  return std::unique_ptr<Recording>(new Recording(options, clock, base, bytes));
}

Recording::Recording(const RecordingOptions& options, const Clock& clock, char* base, size_t bytes)
    : options_(options), clock_(clock), base_(base), bytes_(bytes), slots_(options.slots) {}

Recording::~Recording() { munmap(base_, bytes_); }

RecordingRing& Recording::ring(uint32_t slot) const {
  return *reinterpret_cast<RecordingRing*>(base_ + slot * RingBytes(options_));
}

Operation* Recording::operations(uint32_t slot) const {
  return reinterpret_cast<Operation*>(base_ + slot * RingBytes(options_) + sizeof(RecordingRing));
}

void Recording::Open(uint32_t slot, uint32_t process) {
  // relaxed: the fork that follows makes it visible to the worker.
  ring(slot).process.store(process, std::memory_order_relaxed);
  slots_[slot].open = true;
  slots_[slot].bound = clock_.Now();
}

Recorder Recording::recorder(uint32_t slot) const {
  return Recorder(&ring(slot), operations(slot), options_.capacity, clock_);
}

bool Recording::InOperation(uint32_t slot) const {
  Operation operation;
  return OpenOperation(slot, &operation);
}

bool Recording::OpenOperation(uint32_t slot, Operation* operation) const {
  // acquire: pairs with the release in Recorder::Begin.
  uint64_t published = ring(slot).published.load(std::memory_order_acquire);
  // relaxed: only the supervisor writes it.
  if (published == ring(slot).drained.load(std::memory_order_relaxed)) return false;
  Operation& last = operations(slot)[(published - 1) & (options_.capacity - 1)];
  // acquire: pairs with the release in Recorder::End.
  if (std::atomic_ref<Outcome>(last.outcome).load(std::memory_order_acquire) != Outcome::kOpen) {
    return false;
  }
  *operation = last;
  return true;
}

bool Recording::CloseCrashed(uint32_t slot, uint64_t death) {
  slots_[slot].open = false;
  // relaxed, here and below: the worker has been reaped, so all that it wrote is visible.
  const uint64_t published = ring(slot).published.load(std::memory_order_relaxed);
  bool any = false;
  for (uint64_t at = ring(slot).drained.load(std::memory_order_relaxed); at != published; ++at) {
    Operation& one = operations(slot)[at & (options_.capacity - 1)];
    const std::atomic_ref<Outcome> outcome(one.outcome);
    if (outcome.load(std::memory_order_relaxed) != Outcome::kOpen) continue;
    one.finish = death;
    one.result = kNothing;
    one.result_version = 0;
    outcome.store(Outcome::kCrashed, std::memory_order_relaxed);
    any = true;
  }
  return any;
}

void Recording::DrainRing(uint32_t slot, std::vector<Operation>* into) {
  RecordingRing& head = ring(slot);
  Operation* ring_operations = operations(slot);
  // acquire: pairs with the release in Recorder::Begin.
  uint64_t published = head.published.load(std::memory_order_acquire);
  // relaxed: only the supervisor writes it.
  uint64_t drained = head.drained.load(std::memory_order_relaxed);
  uint64_t begin = drained;
  while (drained != published) {
    Operation& operation = ring_operations[drained & (options_.capacity - 1)];
    // acquire: pairs with the release in Recorder::End.
    if (std::atomic_ref<Outcome>(operation.outcome).load(std::memory_order_acquire) ==
        Outcome::kOpen) {
      // R3: it is of the last call, and was invoked no later than whatever follows it.
      slots_[slot].bound = std::max(slots_[slot].bound, operation.invoke);
      break;
    }
    into->push_back(operation);
    slots_[slot].bound = std::max(slots_[slot].bound, operation.finish);
    ++drained;
  }
  drained_total_ += drained - begin;
  // release: pairs with the acquire in Recorder::WaitForRoom; the records have been copied.
  head.drained.store(drained, std::memory_order_release);
}

uint64_t Recording::Drain(std::vector<Operation>* operations) {
  // A slot that is closed now is opened again only at a later time.
  uint64_t settled = clock_.Now();
  for (uint32_t slot = 0; slot < options_.slots; ++slot) {
    DrainRing(slot, operations);
    if (slots_[slot].open) settled = std::min(settled, slots_[slot].bound);
  }
  return settled;
}

bool Recording::empty() const {
  for (uint32_t slot = 0; slot < options_.slots; ++slot) {
    if (ring(slot).published.load(std::memory_order_acquire) !=
        ring(slot).drained.load(std::memory_order_relaxed)) {
      return false;
    }
  }
  return true;
}

}  // namespace kill9
