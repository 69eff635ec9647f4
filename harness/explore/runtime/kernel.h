// What the simulated kernel remembers: who has which byte lock, through which open description; who
// watches the segment's file, and what he was not told yet; and which robust mutexes a thread has
// in its list.
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_KERNEL_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_KERNEL_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <utility>

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
  // Returns whether it was the last. Then its locks go by UnlockAll, a moment later.
  bool DropReference(int description) { return --references_[description] == 0; }
  void UnlockAll(int description);

  // kNone: nobody.
  int HolderOf(off_t byte) const;
  int OwnerOf(int description) const { return owner_[description]; }
  // False: another description has it.
  bool Lock(off_t byte, int description);
  void Unlock(off_t byte, int description);
  // Everything that a process had is gone with it.
  void Release(int owner);

  // ---- Instances of inotify. Each watches the segment's file, or nothing.
  static constexpr int kMostWatches = 32;
  enum News : uint8_t { kNoNews = 0, kModified = 1, kClosed = 2 };
  int OpenWatch(int owner);  // its number, or kNone
  static int DescriptorOfWatch(int watch) { return kFirstDescriptor + kMost + watch; }
  static int WatchOf(int fd) {
    const int watch = fd - kFirstDescriptor - kMost;
    return watch >= 0 && watch < kMostWatches ? watch : kNone;
  }
  void CloseWatch(int watch) { watches_[watch] = {}; }
  // Bits of what it wants to be told; none: it watches nothing.
  void SetWanted(int watch, uint8_t wanted) { watches_[watch].wanted = wanted; }
  // Tells all who watch for it.
  void Tell(News news);
  bool IsWatched() const;
  void ForgetNews();  // all have read it
  uint8_t NewsFor(int watch) const { return watches_[watch].news; }
  // Tells it, once.
  uint8_t TakeNews(int watch) { return std::exchange(watches_[watch].news, kNoNews); }

  uint64_t Hash() const;

 private:
  struct ByteLock {
    off_t byte = 0;
    int description = kNone;
  };
  struct Watch {
    int owner = kNone;
    uint8_t wanted = kNoNews, news = kNoNews;
  };

  std::array<ByteLock, kMost> locks_;
  std::array<int, kMost> owner_ = {};
  std::array<int, kMost> references_ = {};
  std::array<Watch, kMostWatches> watches_;
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
