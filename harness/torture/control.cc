#include "harness/torture/control.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "harness/base/shared_mapping.h"

namespace kill9 {

std::string_view ActivityName(Activity activity) {
  switch (activity) {
    case Activity::kStarting:
      return "starting";
    case Activity::kAttaching:
      return "attaching";
    case Activity::kBetween:
      return "between operations";
    case Activity::kOperation:
      return "in an operation";
    case Activity::kRecovering:
      return "in Recover";
    case Activity::kDetaching:
      return "detaching";
    case Activity::kIdle:
      return "idle";
    case Activity::kParked:
      return "parked";
    case Activity::kAuditing:
      return "auditing";
    case Activity::kEnding:
      return "ending";
  }
  std::abort();
}

bool Finding::Report(Verdict what, uint32_t finder, std::string_view message) {
  uint32_t expected = kNone;
  const uint32_t claim = kBeingWritten | static_cast<uint32_t>(what) << kVerdictBit;
  if (!state.compare_exchange_strong(expected, claim, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
    return false;
  }
  verdict.store(what, std::memory_order_relaxed);  // relaxed: the release of `state` publishes it
  process.store(finder, std::memory_order_relaxed);
  const size_t size = std::min(message.size(), sizeof text - 1);
  std::memcpy(text, message.data(), size);
  text[size] = '\0';
  state.store(kReady, std::memory_order_release);  // pairs with the supervisor's acquire
  return true;
}

bool Finding::is_being_written() const {
  const uint32_t now = state.load(std::memory_order_acquire);
  return now != kNone && now != kReady;
}

Verdict Finding::found() const {
  const uint32_t now = state.load(std::memory_order_acquire);
  // Relaxed: the acquire of `state` orders it.
  return now == kReady ? verdict.load(std::memory_order_relaxed)
                       : static_cast<Verdict>(now >> kVerdictBit);
}

std::string Finding::reason() const {
  constexpr char kCutOff[] = "... (whoever found this was killed before it had told it)";
  return is_being_written() ? std::string(text) + kCutOff : std::string(text);
}

namespace {

constexpr size_t kBoardsAt = (sizeof(Control) + 4095) / 4096 * 4096;

}  // namespace

ControlMemory::ControlMemory(const BoardsSize& boards) : bytes_(kBoardsAt + boards.bytes) {
  base_ = MapShared(bytes_, kBoardsAt + boards.eager_bytes);
  if (base_ != nullptr) control().audit_slot.store(kSlots, std::memory_order_relaxed);
}

char* ControlMemory::boards() const { return base_ + kBoardsAt; }

ControlMemory::~ControlMemory() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

void WaitWhile(const std::atomic<uint32_t>& word, uint32_t value, uint64_t timeout_us) {
  const timespec timeout{static_cast<time_t>(timeout_us / 1'000'000),
                         static_cast<long>(timeout_us % 1'000'000 * 1000)};
  syscall(SYS_futex, &word, FUTEX_WAIT, value, &timeout, nullptr, 0);
}

void ChangeAndWake(std::atomic<uint32_t>& word) {
  word.fetch_add(1, std::memory_order_release);  // pairs with the waiters' acquire
  syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace kill9
