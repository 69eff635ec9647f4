// A condition for kill9, right at every instruction: a number of wake-ups, and who waits for one
// looks again now and then.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_condition.so safe_condition.cc
//   kill9 try ./libsafe_condition.so
#include <kill9/object.h>
#include <linux/futex.h>
#include <sys/syscall.h>

class SafeCondition {
 public:
  static constexpr const char* kName = "safe_condition";
  static constexpr const char* kModel = "condition";

  static void Create(const kill9::Room& room) {
    kill9::MappedFile(room, "wake_ups", sizeof(uint32_t), true);
  }
  explicit SafeCondition(const kill9::Room& room) : file_(room, "wake_ups", sizeof(uint32_t)) {}

  void Wait() {
    while (true) {
      uint32_t there = wake_ups();
      if (there > 0 && wake_ups().compare_exchange_strong(there, there - 1)) return;
      if (there == 0) Sleep();
    }
  }
  void Signal() { Broadcast(1); }
  void Broadcast(uint64_t number) {
    wake_ups() += static_cast<uint32_t>(number);
    syscall(SYS_futex, &wake_ups(), FUTEX_WAKE, static_cast<int>(number), nullptr, nullptr, 0);
  }
  uint64_t Read() { return wake_ups(); }

 private:
  std::atomic<uint32_t>& wake_ups() { return *file_.At<std::atomic<uint32_t>>(0); }
  // With the fault who sleeps relies on being woken: who was chosen for it may be dead by then.
  void Sleep() {
    const timespec most{0, 20'000'000};
    syscall(SYS_futex, &wake_ups(), FUTEX_WAIT, 0, kill9::kFaulty ? nullptr : &most, nullptr, 0);
  }

  kill9::MappedFile file_;
};
KILL9_PLUGIN(SafeCondition)
