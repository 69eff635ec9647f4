// A robust mutex for kill9, right at every instruction: the next holder is told that the last one
// died with it.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_mutex.so safe_mutex.cc
//   kill9 try ./libsafe_mutex.so
#include <kill9/object.h>

class SafeMutex {
 public:
  static constexpr const char* kName = "safe_mutex";
  static constexpr const char* kModel = "robust-mutex";

  static void Create(const kill9::Room& room) {
    kill9::MappedFile(room, "mutex", sizeof(Shared), true).At<Shared>(0)->robust.Make();
  }
  explicit SafeMutex(const kill9::Room& room) : file_(room, "mutex", sizeof(Shared)) {}

  kill9::Acquired Acquire(std::string_view) {
    if (!kill9::kFaulty) {
      return shared().robust.Lock() ? kill9::Acquired::kOwnerDied : kill9::Acquired::kYes;
    }
    // With the fault nobody gets it who comes after a holder's death.
    while (shared().taken.exchange(1) != 0) usleep(100);
    return kill9::Acquired::kYes;
  }
  void Release(std::string_view) {
    if (!kill9::kFaulty) return shared().robust.unlock();
    shared().taken = 0;
  }

 private:
  struct Shared {
    kill9::SharedMutex robust;
    std::atomic<int> taken;
  };
  Shared& shared() { return *file_.At<Shared>(0); }
  kill9::MappedFile file_;
};
KILL9_PLUGIN(SafeMutex)
