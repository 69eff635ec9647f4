// A semaphore of two permits for kill9, right at every instruction: each permit is a robust mutex.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_semaphore.so safe_semaphore.cc
//   kill9 try ./libsafe_semaphore.so
#include <kill9/object.h>

class SafeSemaphore {
 public:
  static constexpr const char* kName = "safe_semaphore";
  static constexpr const char* kModel = "semaphore";

  static void Create(const kill9::Room& room) {
    kill9::MappedFile file(room, "permits", sizeof(Shared), true);
    for (kill9::SharedMutex& permit : file.At<Shared>(0)->permit) permit.Make();
    file.At<Shared>(0)->taking.Make();
    file.At<Shared>(0)->left = 2;
  }
  explicit SafeSemaphore(const kill9::Room& room) : file_(room, "permits", sizeof(Shared)) {}

  kill9::Acquired Acquire(std::string_view) {
    if (kill9::kFaulty) return AcquireByNumber();
    // One takes at a time: who finds both taken, one after the other, finds them so at one moment.
    std::lock_guard lock(shared().taking);
    for (mine_ = 0; mine_ < 2; ++mine_) {
      if (shared().permit[mine_].TryLock()) return kill9::Acquired::kYes;
    }
    return kill9::Acquired::kNo;
  }
  void Release(std::string_view) {
    if (kill9::kFaulty) {
      ++shared().left;
    } else {
      shared().permit[mine_].unlock();
    }
  }

 private:
  struct Shared {
    kill9::SharedMutex taking, permit[2];
    std::atomic<int> left;
  };
  Shared& shared() { return *file_.At<Shared>(0); }
  // With the fault a permit whose holder dies is lost.
  kill9::Acquired AcquireByNumber() {
    int left = shared().left;
    while (left > 0) {
      if (shared().left.compare_exchange_weak(left, left - 1)) return kill9::Acquired::kYes;
    }
    return kill9::Acquired::kNo;
  }

  kill9::MappedFile file_;
  int mine_ = 0;
};
KILL9_PLUGIN(SafeSemaphore)
