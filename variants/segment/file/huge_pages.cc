#include "variants/segment/file/huge_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace kill9 {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE of Linux 6.1, which older headers do not name

}  // namespace

void AllocateHugePages(int fd, size_t size) {
  if (size < kFewestBytesInHugePages || ftruncate(fd, static_cast<off_t>(size)) != 0) return;
  char* base = MapForHugePages(fd, size);
  if (base == MAP_FAILED) return;
  const size_t whole = size / kHugePageBytes * kHugePageBytes;
  for (size_t at = 0; at < whole; at += kHugePageBytes) {
    // The kernel puts small pages together to a huge one if there is at least one.
    if (posix_fallocate(fd, static_cast<off_t>(at), 1) != 0 ||
        madvise(base + at, kHugePageBytes, kCollapse) != 0) {
      break;  // no room, no such kernel, or no 2 MiB in one piece
    }
  }
  munmap(base, size);
}

char* MapForHugePages(int fd, size_t size) {
  constexpr int kAccess = PROT_READ | PROT_WRITE;
  const auto map = [&](char* at, int flags) {
    return static_cast<char*>(mmap(at, size, kAccess, MAP_SHARED | flags, fd, 0));
  };
  if (size < kFewestBytesInHugePages) return map(nullptr, 0);
  // Reserve size + 2 MiB, then map the file at the first 2 MiB boundary.
  const size_t taken_bytes = size + kHugePageBytes;
  void* taken =
      mmap(nullptr, taken_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (taken == MAP_FAILED) return map(nullptr, 0);
  char* const begin = static_cast<char*>(taken);
  const size_t before = -reinterpret_cast<uintptr_t>(begin) % kHugePageBytes;
  char* const base = map(begin + before, MAP_FIXED);
  const int error = errno;
  if (base == MAP_FAILED) {
    munmap(begin, taken_bytes);
  } else {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t mapped = (size + page - 1) / page * page;
    if (before > 0) munmap(begin, before);
    if (before + mapped < taken_bytes) {
      munmap(base + mapped, taken_bytes - before - mapped);
    }
  }
  errno = error;
  return base;
}

}  // namespace kill9
