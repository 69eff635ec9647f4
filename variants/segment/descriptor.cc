#include "variants/segment/descriptor.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <utility>

namespace kill9 {
namespace {

// Who took over which number last. A number is open once at a time: if it is taken over again, the
// former owner has lost it.
class Owners {
 public:
  static Owners& Get() {
    static Owners* owners = new Owners;
    return *owners;
  }
  uint64_t Take(int number) {
    std::lock_guard<std::mutex> guard(mutex_);
    return owners_[number] = ++last_;
  }
  bool Owns(int number, uint64_t owner) {
    std::lock_guard<std::mutex> guard(mutex_);
    auto found = owners_.find(number);
    return found != owners_.end() && found->second == owner;
  }
  void Drop(int number, uint64_t owner) {
    std::lock_guard<std::mutex> guard(mutex_);
    auto found = owners_.find(number);
    if (found != owners_.end() && found->second == owner) owners_.erase(found);
  }

 private:
  // A child of a fork in another thread must not find the mutex taken for ever.
  Owners() {
    pthread_atfork([] { Get().mutex_.lock(); }, [] { Get().mutex_.unlock(); },
                   [] { Get().mutex_.unlock(); });
  }
  std::mutex mutex_;
  std::map<int, uint64_t> owners_;
  uint64_t last_ = 0;
};

}  // namespace

Descriptor::Descriptor(int fd) : number_(fd), owner_(Owners::Get().Take(fd)) {
  struct stat stat {};
  if (fstat(fd, &stat) != 0) return;
  device_ = stat.st_dev;
  inode_ = stat.st_ino;
}

bool Descriptor::IsSameFile(int fd) const {
  struct stat stat {};
  return fstat(fd, &stat) == 0 && stat.st_dev == device_ && stat.st_ino == inode_;
}

bool Descriptor::Intact() const {
  return number_ >= 0 && Owners::Get().Owns(number_, owner_) && IsSameFile(number_);
}

void Descriptor::Close() {
  const bool intact = Intact();
  const int number = std::exchange(number_, -1);
  if (number < 0) return;
  Owners::Get().Drop(number, owner_);
  if (intact) close(number);
}

}  // namespace kill9
