#include "apps/memcached/items/control_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kill9::memcached {
namespace {

constexpr char kMagic[8] = {'k', '9', 'm', 'e', 'm', 'c', '0', '1'};
constexpr size_t kPageBytes = 4096;

absl::Status Failed(const std::string& path, std::string_view what) {
  const int error = errno;
  const std::string text = absl::StrCat(path, ": ", std::string(what), ": ", strerror(error));
  return error == EACCES || error == EPERM ? absl::PermissionDeniedError(text)
         : error == ENOSPC                 ? absl::ResourceExhaustedError(text)
                                           : absl::UnknownError(text);
}

uint64_t Microseconds() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlPage>> ControlPage::Open(const std::string& path) {
  if (path.empty()) {
    const int fd = memfd_create("kill9-memcached-control", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, kPageBytes) != 0) return Failed("memory", "no page");
    return Map(fd, "memory");
  }
  for (;;) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) return Map(fd, path);
    if (errno != ENOENT) return Failed(path, "cannot open it");
    if (absl::Status made = Create(path); !made.ok()) return made;
  }
}

// Whoever opens the name finds a whole page: it gets its name last.
absl::Status ControlPage::Create(const std::string& path) {
  const std::string unfinished = absl::StrCat(path, ".", getpid());
  const int fd = open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(path, "cannot create it");
  // Allocated, not sparse: a full disk is an error here and never a SIGBUS.
  int error = posix_fallocate(fd, 0, kPageBytes);
  if (error == 0) {
    absl::StatusOr<std::unique_ptr<ControlPage>> page = Map(fd, path);  // writes what is new
    if (!page.ok()) return page.status();
    if (link(unfinished.c_str(), path.c_str()) != 0 && errno != EEXIST) error = errno;
  } else {
    close(fd);
  }
  unlink(unfinished.c_str());
  errno = error;
  return error == 0 ? absl::OkStatus() : Failed(path, "cannot create it");
}

// Takes `fd` over. An empty page becomes one.
absl::StatusOr<std::unique_ptr<ControlPage>> ControlPage::Map(int fd, const std::string& path) {
  struct stat status {};
  const bool has_size = fstat(fd, &status) == 0 && status.st_size == kPageBytes;
  if (status.st_uid != geteuid()) {
    close(fd);
    return absl::PermissionDeniedError(absl::StrCat(path, " belongs to another user"));
  }
  void* mapped =
      has_size ? mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  close(fd);
  if (!has_size) {
    return absl::DataLossError(absl::StrCat(
        path, " is no control page; remove it: the cache begins cold then, and is right"));
  }
  if (mapped == MAP_FAILED) return Failed(path, "cannot map it");
  auto* page = static_cast<Page*>(mapped);
  constexpr char kEmpty[8] = {};
  if (std::memcmp(page->magic, kEmpty, sizeof kEmpty) == 0) {
    uint32_t drawn = 0;
    if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) return Failed(path, "no random number");
    // Relaxed: nobody else sees the page yet.
    page->generation.store(drawn, std::memory_order_relaxed);
    // Above all numbers that an earlier page can have given out.
    page->cas.store(Microseconds(), std::memory_order_relaxed);
    std::memcpy(page->magic, kMagic, sizeof kMagic);
  }
  if (std::memcmp(page->magic, kMagic, sizeof kMagic) != 0) {
    munmap(mapped, kPageBytes);
    return absl::DataLossError(absl::StrCat(path, " is no control page"));
  }
  return std::unique_ptr<ControlPage>(new ControlPage(page));
}

ControlPage::~ControlPage() { munmap(page_, kPageBytes); }

void ControlPage::Flush() {
  // Release: pairs with Generation.
  page_->pending.store(0, std::memory_order_release);
  // The commit point. Dies before -> nothing was flushed; dies after -> all is; a successor sees ->
  // one of them.
  page_->generation.fetch_add(1, std::memory_order_acq_rel);
  // After a restart of the machine, too. An error leaves what a crash of the machine would.
  msync(page_, kPageBytes, MS_SYNC);
}

void ControlPage::FlushAt(int64_t seconds) {
  // Acquire: pairs with the flush that made it.
  const uint32_t next = page_->generation.load(std::memory_order_acquire) + 1;
  // Release: pairs with Generation.
  page_->pending.store(static_cast<uint64_t>(seconds) << 32 | next, std::memory_order_release);
  msync(page_, kPageBytes, MS_SYNC);
}

// Whoever comes first makes the generation, and all others find it made.
void ControlPage::Settle(uint64_t pending) {
  const auto made = static_cast<uint32_t>(pending);
  uint32_t before = made - 1;
  // The commit point, as in Flush. Relaxed on failure: it was made, or another flush came.
  page_->generation.compare_exchange_strong(before, made, std::memory_order_acq_rel,
                                            std::memory_order_relaxed);
  // Relaxed on failure: somebody else has done it.
  page_->pending.compare_exchange_strong(pending, 0, std::memory_order_release,
                                         std::memory_order_relaxed);
}

}  // namespace kill9::memcached
