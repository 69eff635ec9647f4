// Whether a ThreadSanitizer can be believed about variants/: `./dev` builds this with each clang
// that it might use, and takes the first that passes both ways.
//
//   tsan_probe clean   every kind of lock that variants/ uses, taken and handed over: nothing to
//   report tsan_probe race    the same counters without a lock: a data race, exit 66
//
// An older run-time library does not know every function that takes a lock (that of clang 14:
// pthread_mutex_clocklock), and reports a race in all that such a lock guards.
#include <pthread.h>
#include <semaphore.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include "variants/segment/robust_mutex.h"

namespace {

constexpr int kThreads = 3;
constexpr int kTurns = 200;

// Each turn takes the lock, changes plain memory, and lets the others come before it leaves, so
// that the slow paths are taken, too.
template <typename Take, typename Leave>
bool HandOver(const char* name, Take take, Leave leave) {
  int counter = 0;
  const auto run = [&] {
    for (int turn = 0; turn < kTurns; ++turn) {
      take();
      ++counter;
      if (turn % 8 == 0) std::this_thread::yield();
      leave();
    }
  };
  std::thread threads[kThreads];
  for (std::thread& thread : threads) thread = std::thread(run);
  for (std::thread& thread : threads) thread.join();
  if (counter == kThreads * kTurns) return true;
  std::fprintf(stderr, "tsan_probe: %s does not exclude: %d\n", name, counter);
  return false;
}

timespec InASecond(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  ++time.tv_sec;
  return time;
}

bool Mutexes(bool robust) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_t mutex;
  pthread_mutex_init(&mutex, &attributes);
  const auto leave = [&] { pthread_mutex_unlock(&mutex); };
  const auto with = [&](const char* name, auto take) {
    return HandOver(
        name,
        [&] {
          while (take() != 0) std::this_thread::yield();
        },
        leave);
  };
  return with("lock", [&] { return pthread_mutex_lock(&mutex); }) &&
         with("trylock", [&] { return pthread_mutex_trylock(&mutex); }) &&
         with("timedlock",
              [&] {
                const timespec until = InASecond(CLOCK_REALTIME);
                return pthread_mutex_timedlock(&mutex, &until);
              }) &&
         with("clocklock", [&] {
           const timespec until = InASecond(CLOCK_MONOTONIC);
           return pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
         });
}

// Who ends with the lock held hands over what it did to whoever is told so.
bool OwnerDies() {
  kill9::RobustMutex mutex{};
  mutex.Format();
  int written = 0;
  std::thread owner([&] {
    if (mutex.Lock() == kill9::RobustMutex::Acquired::kClean) written = 1;
  });
  owner.join();
  std::thread heir([&] {
    if (mutex.Lock() != kill9::RobustMutex::Acquired::kOwnerDied) return;
    ++written;
    mutex.Consistent();
    mutex.Unlock();
  });
  heir.join();
  return written == 2;
}

bool Clean() {
  kill9::RobustMutex robust{};
  robust.Format();
  sem_t semaphore;
  sem_init(&semaphore, /*pshared=*/1, 1);
  std::mutex mutex;
  std::atomic<int> word{0};
  return Mutexes(/*robust=*/false) && Mutexes(/*robust=*/true) && OwnerDies() &&
         HandOver(
             "RobustMutex",
             [&] {
               if (robust.Lock() != kill9::RobustMutex::Acquired::kClean) std::abort();
             },
             [&] { robust.Unlock(); }) &&
         HandOver(
             "semaphore",
             [&] {
               while (sem_wait(&semaphore) != 0) {
               }
             },
             [&] { sem_post(&semaphore); }) &&
         HandOver(
             "std::mutex", [&] { mutex.lock(); }, [&] { mutex.unlock(); }) &&
         HandOver(
             "word",
             [&] {
               // Acquire: pairs with the release below.
               while (word.exchange(1, std::memory_order_acquire) != 0) std::this_thread::yield();
             },
             [&] { word.store(0, std::memory_order_release); });
}

}  // namespace

int main(int argument_count, char** arguments) {
  const bool race = argument_count == 2 && std::strcmp(arguments[1], "race") == 0;
  if (!race) return Clean() ? 0 : 1;
  HandOver(
      "nothing", [] {}, [] {});
  return 0;
}
