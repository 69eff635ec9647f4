#include "harness/plugin/object_clock.h"

#include <dlfcn.h>
#include <sys/time.h>

#include <ctime>

namespace kill9 {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// A counter's zero. It lies in the machine's past: who sleeps until a time does not sleep.
constexpr uint64_t kZero = kSecond;
// Passes with each reading, so that who looks at the clock until a time has come sees it come.
constexpr uint64_t kReading = 100'000;

std::atomic<uint64_t>* counter = nullptr;
// What is told now: `counter` while an object runs, else null.
std::atomic<uint64_t>* told = nullptr;

uint64_t Told() {
  // relaxed: who works after whom is ordered by forks, signals and the cell's own words
  return kZero + told->fetch_add(kReading, std::memory_order_relaxed);
}

bool IsOfTheMachine(clockid_t clock) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
      return true;
    default:
      return false;  // what a process or a thread has used
  }
}

// The C library's, which this one stands before.
template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void ObjectClock::Set(std::atomic<uint64_t>* nanoseconds) { counter = nanoseconds; }

ObjectClock::InObject::InObject() { told = counter; }
ObjectClock::InObject::~InObject() { told = nullptr; }

}  // namespace kill9

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static const auto real = kill9::Real<int (*)(clockid_t, timespec*)>("clock_gettime");
  if (kill9::told == nullptr || !kill9::IsOfTheMachine(clock)) return real(clock, now);
  const uint64_t nanoseconds = kill9::Told();
  now->tv_sec = static_cast<time_t>(nanoseconds / kill9::kSecond);
  now->tv_nsec = static_cast<long>(nanoseconds % kill9::kSecond);
  return 0;
}

int gettimeofday(timeval* now, void* zone) noexcept {
  static const auto real = kill9::Real<int (*)(timeval*, void*)>("gettimeofday");
  if (kill9::told == nullptr) return real(now, zone);
  const uint64_t nanoseconds = kill9::Told();
  now->tv_sec = static_cast<time_t>(nanoseconds / kill9::kSecond);
  now->tv_usec = static_cast<suseconds_t>(nanoseconds % kill9::kSecond / 1000);
  return 0;
}

time_t time(time_t* now) noexcept {
  static const auto real = kill9::Real<time_t (*)(time_t*)>("time");
  if (kill9::told == nullptr) return real(now);
  const time_t seconds = static_cast<time_t>(kill9::Told() / kill9::kSecond);
  if (now != nullptr) *now = seconds;
  return seconds;
}
}
