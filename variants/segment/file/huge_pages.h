// Shared memory in pages of 2 MiB, where the kernel has them. A random access then misses the
// caches, but not the translation of its address too: in a virtual machine, whose translations are
// walked twice, that was a quarter of the time of one (docs/decisions/2026-11-22-huge-pages.md).
//
// Linux 6.1 and later, for memfds and tmpfs, whatever /sys/kernel/mm/transparent_hugepage says;
// elsewhere nothing changes. Best effort: no caller depends on it.
#ifndef KILL9_VARIANTS_SEGMENT_FILE_HUGE_PAGES_H_
#define KILL9_VARIANTS_SEGMENT_FILE_HUGE_PAGES_H_

#include <cstddef>

namespace kill9 {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;
// Smaller files stay in small pages: what the processor remembers of translations suffices, and a
// process that attaches has few pages to fault on.
inline constexpr size_t kFewestBytesInHugePages = 2 * kHugePageBytes;

// Gives the file `size` bytes in as many huge pages as the kernel can make; the rest of it is a
// hole as before. Takes no longer than fallocate(2), which the caller still has to call for the
// rest. REQUIRES: the file is empty, and may be that large (RLIMIT_FSIZE).
void AllocateHugePages(int fd, size_t size);

// mmap(2) of a whole file, shared, for read and write, at an address at which its huge pages can be
// mapped as such. MAP_FAILED and errno as mmap.
char* MapForHugePages(int fd, size_t size);

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_FILE_HUGE_PAGES_H_
