#include "harness/base/shared_mapping.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "variants/segment/file/huge_pages.h"

namespace kill9 {
namespace {

constexpr int kCollapse = 25;       // MADV_COLLAPSE of Linux 6.1
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE of Linux 5.14

// `size` bytes of addresses that begin at a multiple of 2 MiB.
char* MapAligned(size_t size) {
  constexpr int kFlags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  const size_t taken_bytes = size + kHugePageBytes;
  void* taken =
      mmap(nullptr, taken_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (taken == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(taken);
  const size_t before = -reinterpret_cast<uintptr_t>(begin) % kHugePageBytes;
  void* base = mmap(begin + before, size, PROT_READ | PROT_WRITE, kFlags | MAP_FIXED, -1, 0);
  if (base == MAP_FAILED) {
    munmap(begin, taken_bytes);
    return nullptr;
  }
  if (before > 0) munmap(begin, before);
  munmap(begin + before + size, kHugePageBytes - before);
  return static_cast<char*>(base);
}

}  // namespace

char* MapShared(size_t bytes, size_t eager_bytes) {
  const size_t size = (bytes + 4095) / 4096 * 4096;
  char* base = MapAligned(size);
  if (base == nullptr) return nullptr;
  for (size_t at = 0; at < std::min(eager_bytes, size); at += kHugePageBytes) {
    const size_t here = std::min(kHugePageBytes, size - at);
    if (here == kHugePageBytes) {
      // The kernel puts small pages together to a huge one if there is at least one.
      *const_cast<volatile char*>(base + at) = 0;
      if (madvise(base + at, here, kCollapse) == 0) continue;
    }
    madvise(base + at, here, kPopulateWrite);  // else each page comes when it is touched
  }
  return base;
}

void* MapSharedPages(size_t bytes) {
  void* const pages =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

void UnmapPages(void* pages, size_t bytes) { munmap(pages, bytes); }

void KeepFromChildren(void* begin, size_t bytes) {
  const uintptr_t first = (reinterpret_cast<uintptr_t>(begin) + 4095) / 4096 * 4096;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(begin) + bytes) / 4096 * 4096;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTFORK);
}

}  // namespace kill9
