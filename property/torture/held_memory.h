// Looks into the memory of other processes, and does not come to an end: the kernel keeps it as
// long, also if they die meanwhile. So does whoever reads /proc/PID/mem, environ or cmdline, but
// for a moment.
#ifndef KILL9_PROPERTY_TORTURE_HELD_MEMORY_H_
#define KILL9_PROPERTY_TORTURE_HELD_MEMORY_H_

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "variants/segment/byte_lock.h"

namespace kill9 {

class HeldMemory {
 public:
  HeldMemory() {
    fd_ = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
    struct uffdio_api api {};
    api.api = UFFD_API;
    usable_ = fd_ >= 0 && ioctl(fd_, UFFDIO_API, &api) == 0;
  }
  ~HeldMemory() {
    Release();
    if (fd_ >= 0) close(fd_);
  }
  HeldMemory(const HeldMemory&) = delete;
  HeldMemory& operator=(const HeldMemory&) = delete;

  // Whether this machine allows it.
  bool usable() const { return usable_; }

  // REQUIRES: usable(); the process is a fork of this one. False: it has ended.
  bool Hold(pid_t process) {
    void* memory =
        mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register missing {};
    missing.range.start = reinterpret_cast<uint64_t>(memory);
    missing.range.len = PageBytes();
    missing.mode = UFFDIO_REGISTER_MODE_MISSING;
    if (memory == MAP_FAILED || ioctl(fd_, UFFDIO_REGISTER, &missing) != 0) return false;
    ranges_.push_back(missing.range);
    const int looking = ended_.load(std::memory_order_acquire);
    readers_.emplace_back([this, process, memory] {
      static const uint64_t kThere = 1;  // at the same address in a fork
      struct iovec here {
        memory, sizeof kThere
      };
      struct iovec there {
        const_cast<uint64_t*>(&kThere), sizeof kThere
      };
      process_vm_readv(process, &here, 1, &there, 1, 0);
      ended_.fetch_add(1, std::memory_order_release);
    });
    // It waits for its own page once it has got hold of the other's memory.
    struct uffd_msg fault {};
    for (;;) {
      if (ended_.load(std::memory_order_acquire) != looking) return false;
      struct pollfd ready {
        fd_, POLLIN, 0
      };
      if (poll(&ready, 1, 1) == 1 && read(fd_, &fault, sizeof fault) == sizeof fault) return true;
    }
  }
  void Release() {
    for (const struct uffdio_range& range : ranges_) {
      struct uffdio_zeropage zero {};
      zero.range = range;
      ioctl(fd_, UFFDIO_ZEROPAGE, &zero);
    }
    for (std::thread& reader : readers_) reader.join();
    for (const struct uffdio_range& range : ranges_) {
      munmap(reinterpret_cast<void*>(range.start), range.len);
    }
    readers_.clear();
    ranges_.clear();
  }

 private:
  int fd_ = -1;
  bool usable_ = false;
  std::atomic<int> ended_{0};
  std::vector<struct uffdio_range> ranges_;
  std::vector<std::thread> readers_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_TORTURE_HELD_MEMORY_H_
