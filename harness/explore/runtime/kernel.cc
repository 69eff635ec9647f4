#include "harness/explore/runtime/kernel.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

int Kernel::Open(int owner) {
  for (int i = 0; i < kMost; ++i) {
    if (references_[i] != 0) continue;
    references_[i] = 1;
    owner_[i] = owner;
    return i;
  }
  return kNone;
}

void Kernel::UnlockAll(int description) {
  for (ByteLock& lock : locks_) {
    if (lock.description == description) lock.description = kNone;
  }
}

int Kernel::HolderOf(off_t byte) const {
  for (const ByteLock& lock : locks_) {
    if (lock.description != kNone && lock.byte == byte) return lock.description;
  }
  return kNone;
}

bool Kernel::Lock(off_t byte, int description) {
  const int holder = HolderOf(byte);
  if (holder != kNone) return holder == description;
  for (ByteLock& lock : locks_) {
    if (lock.description != kNone) continue;
    lock = {byte, description};
    return true;
  }
  return false;
}

void Kernel::Unlock(off_t byte, int description) {
  for (ByteLock& lock : locks_) {
    if (lock.byte == byte && lock.description == description) lock.description = kNone;
  }
}

void Kernel::Release(int owner) {
  for (int i = 0; i < kMost; ++i) {
    if (references_[i] == 0 || owner_[i] != owner) continue;
    references_[i] = 0;
    UnlockAll(i);
  }
  for (Watch& watch : watches_) {
    if (watch.owner == owner) watch = {};
  }
}

int Kernel::OpenWatch(int owner) {
  for (int i = 0; i < kMostWatches; ++i) {
    if (watches_[i].owner != kNone) continue;
    watches_[i].owner = owner;
    return i;
  }
  return kNone;
}

void Kernel::Tell(News news) {
  for (Watch& watch : watches_) {
    watch.news = static_cast<uint8_t>(watch.news | (watch.wanted & news));
  }
}

void Kernel::ForgetNews() {
  for (Watch& watch : watches_) watch.news = kNoNews;
}

bool Kernel::IsWatched() const {
  return std::any_of(watches_.begin(), watches_.end(),
                     [](const Watch& watch) { return watch.wanted != kNoNews; });
}

uint64_t Kernel::Hash() const {
  uint64_t hash = 0;
  for (const ByteLock& lock : locks_) {
    if (lock.description == kNone) continue;
    hash +=
        Mix(static_cast<uint64_t>(lock.byte), static_cast<uint64_t>(owner_[lock.description]) + 1);
  }
  for (int i = 0; i < kMostWatches; ++i) {
    const Watch& watch = watches_[i];
    if (watch.owner == kNone) continue;
    hash += Mix(static_cast<uint64_t>(kMost + i), static_cast<uint64_t>(watch.owner) << 4 |
                                                      static_cast<uint64_t>(watch.news) << 2 |
                                                      watch.wanted);
  }
  return hash;
}

void RobustList::Add(uint32_t* word) {
  if (count == kMost) {
    std::fputs("kill9-explore: a thread holds more robust mutexes than it keeps account of\n",
               stderr);
    std::abort();
  }
  held[count++] = word;
}

void RobustList::Remove(const uint32_t* word) {
  for (int i = 0; i < count; ++i) {
    if (held[i] != word) continue;
    for (; i + 1 < count; ++i) held[i] = held[i + 1];
    --count;
    return;
  }
}

}  // namespace kill9::explore
