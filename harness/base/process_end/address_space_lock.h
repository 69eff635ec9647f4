// Whether the memory of a process is gone. It may outlive the process, and its reaping, for as long
// as somebody else looks into it (process_vm_readv, /proc/PID/mem or environ; for a moment ps and
// pgrep, too): the kernel keeps what is mapped there until they are done, and so the locks by which
// participants tell that they live (variants/segment/byte_lock.h).
//
// It is told by a lock of the same kind, which a mapping alone keeps. That one is at a low address:
// Linux lets go of the lowest mapping last (seen of 6.18; else the others follow at once).
//
// So who kills a participant, reaps it, and then expects others to find it dead waits for AwaitGone
// in between.
#ifndef KILL9_HARNESS_BASE_PROCESS_END_ADDRESS_SPACE_LOCK_H_
#define KILL9_HARNESS_BASE_PROCESS_END_ADDRESS_SPACE_LOCK_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "variants/segment/byte_lock.h"

namespace kill9 {

class AddressSpaceLocks {
 public:
  AddressSpaceLocks() : fd_(memfd_create("kill9-memory", MFD_CLOEXEC)) {}
  ~AddressSpaceLocks() {
    if (fd_ >= 0) close(fd_);
  }
  AddressSpaceLocks(const AddressSpaceLocks&) = delete;
  AddressSpaceLocks& operator=(const AddressSpaceLocks&) = delete;

  // Binds the lock of this number to this process's memory. Where that is not possible (no /proc),
  // nothing is told of it. Its children do not have the lock.
  void Take(uint32_t number) const {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd_);
    const int own = open(path, O_RDWR | O_CLOEXEC);
    if (own < 0) return;
    void* const low = reinterpret_cast<void*>(uintptr_t{1} << 20);
    if (TryLockByte(own, static_cast<off_t>(number)) == 0) {
      void* page = mmap(low, PageBytes(), PROT_NONE, MAP_SHARED, own, 0);
      if (page != MAP_FAILED) madvise(page, PageBytes(), MADV_DONTFORK);
    }
    close(own);
  }
  // Whether the memory of who took it is still there. REQUIRES: called by another process.
  bool IsTaken(uint32_t number) const {
    return fd_ >= 0 && IsByteLocked(fd_, static_cast<off_t>(number));
  }
  // Waits until it is gone, as long as that takes. REQUIRES: who took it was reaped.
  void AwaitGone(uint32_t number) const {
    constexpr useconds_t kLookUs = 50;
    while (IsTaken(number)) usleep(kLookUs);
  }

 private:
  int fd_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PROCESS_END_ADDRESS_SPACE_LOCK_H_
