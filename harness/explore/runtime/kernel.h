// What the simulated kernel remembers: who has which byte lock, through which open description, and
// which robust mutexes a thread has in its list.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_KERNEL_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_KERNEL_H_

#include <sys/types.h>

#include <array>
#include <cstdint>

namespace kill9::explore {

// Byte locks of open file descriptions. A description lives as long as a descriptor or a mapping
// refers to it.
class Kernel {
 public:
  static constexpr int kMost = 64;
  static constexpr int kFirstDescriptor = 100'000;
  static constexpr int kNone = -1;

  // A new description of the segment's file, with one reference; its number, or kNone.
  int Open(int owner);
  // As a descriptor that Open's caller is given, and back.
  static int DescriptorOf(int description) { return kFirstDescriptor + description; }
  static bool IsDescriptor(int fd) {
    return fd >= kFirstDescriptor && fd < kFirstDescriptor + kMost;
  }
  static int DescriptionOf(int fd) { return IsDescriptor(fd) ? fd - kFirstDescriptor : kNone; }
  void AddReference(int description) { ++references_[description]; }
  // Returns whether it was the last: its locks are gone.
  bool DropReference(int description);

  // kNone: nobody.
  int HolderOf(off_t byte) const;
  int OwnerOf(int description) const { return owner_[description]; }
  // False: another description has it.
  bool Lock(off_t byte, int description);
  void Unlock(off_t byte, int description);
  // Everything that a process had is gone with it.
  void Release(int owner);

  uint64_t Hash() const;

 private:
  struct ByteLock {
    off_t byte = 0;
    int description = kNone;
  };
  void UnlockAll(int description);

  std::array<ByteLock, kMost> locks_;
  std::array<int, kMost> owner_ = {};
  std::array<int, kMost> references_ = {};
};

// As the C library and the kernel keep it for each thread: words of mutexes that it holds, and one
// that it is about to take or to leave.
struct RobustList {
  static constexpr int kMost = 16;
  std::array<uint32_t*, kMost> held = {};
  int count = 0;
  uint32_t* pending = nullptr;

  void Add(uint32_t* word);
  void Remove(const uint32_t* word);
  bool empty() const { return count == 0 && pending == nullptr; }
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_KERNEL_H_
