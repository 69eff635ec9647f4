#include "harness/stepper/shared_bytes.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "variants/segment/file/segment_file.h"
#include "variants/segment/hash.h"

namespace kill9::stepper {
namespace {

constexpr size_t kPieceBytes = 16 * SharedBytes::kPageBytes;
constexpr char kZeros[SharedBytes::kPageBytes] = {};

bool AreNone(const PidsByNumber& pids) { return pids == PidsByNumber{}; }

// A futex keeps flags in the two highest bits beside the thread id.
void Replace(char* bytes, size_t size, const PidsByNumber& pids) {
  uint32_t* words = reinterpret_cast<uint32_t*>(bytes);
  for (size_t n = 0; n < size / sizeof(uint32_t); ++n) {
    const uint32_t id = words[n] & FUTEX_TID_MASK;
    for (size_t number = 0; id != 0 && number < kNumbers; ++number) {
      if (id != static_cast<uint32_t>(pids[number])) continue;
      words[n] = (words[n] & ~FUTEX_TID_MASK) |
                 (static_cast<uint32_t>(kFirstNumber) + static_cast<uint32_t>(number));
      break;
    }
  }
}

}  // namespace

absl::Status SharedBytes::Open(char* segment, size_t segment_bytes, const std::string& directory) {
  segment_ = segment;
  segment_bytes_ = segment_bytes;
  scratch_.emplace(std::max(segment_bytes, kPieceBytes));
  if (directory.empty()) return absl::OkStatus();
  directory_ = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", directory));
  shared_memory_ = open(segment_file::kSharedMemory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(directory, code)) {
    const std::string name = entry.path().filename();
    File file{};
    if (file_count_ == kMostFiles || name.size() >= sizeof file.name) {
      return absl::ResourceExhaustedError("the object has more files than can be put back");
    }
    name.copy(file.name, sizeof file.name - 1);
    std::error_code no_link;
    const std::string target = std::filesystem::read_symlink(entry.path(), no_link);
    const bool is_elsewhere = target == segment_file::kSharedMemory + name;
    file.folder = is_elsewhere ? shared_memory_ : directory_;
    file.fd = openat(file.folder, file.name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat status {};
    if (file.fd < 0 || fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      return absl::UnavailableError(absl::StrCat("cannot put back ", name));
    }
    file.inode = status.st_ino;
    file.mode = status.st_mode;
    files_[file_count_++] = file;
  }
  return code ? absl::UnavailableError(code.message()) : absl::OkStatus();
}

void SharedBytes::WatchName(const std::string& name) {
  watched_path_ = absl::StrCat(segment_file::kSharedMemory, name);
}

size_t SharedBytes::snapshot_bytes() const {
  return segment_bytes_ +
         (has_files() ? sizeof(SavedFiles) + kMostPages * sizeof(SavedPage) : size_t{0});
}

SharedBytes::SavedFiles& SharedBytes::FilesOf(char* snapshot) const {
  return *reinterpret_cast<SavedFiles*>(snapshot + segment_bytes_);
}
SharedBytes::SavedPage* SharedBytes::PagesOf(char* snapshot) const {
  return reinterpret_cast<SavedPage*>(snapshot + segment_bytes_ + sizeof(SavedFiles));
}
size_t SharedBytes::Used(const char* snapshot) const {
  if (!has_files()) return segment_bytes_;
  return segment_bytes_ + sizeof(SavedFiles) +
         FilesOf(const_cast<char*>(snapshot)).pages * sizeof(SavedPage);
}

bool SharedBytes::ForEachPage(const File& file,
                              absl::FunctionRef<bool(uint32_t index, const char* bytes)> visit) {
  constexpr off_t kMask = static_cast<off_t>(kPageBytes) - 1;
  off_t at = 0;
  while ((at = lseek(file.fd, at, SEEK_DATA)) >= 0) {
    const off_t end = lseek(file.fd, at, SEEK_HOLE);
    for (at &= ~kMask; at < end;) {
      const ssize_t got = pread(file.fd, scratch_->data(), kPieceBytes, at);
      if (got <= 0) break;
      const size_t pages = (static_cast<size_t>(got) + kPageBytes - 1) / kPageBytes;
      std::memset(scratch_->data() + got, 0, pages * kPageBytes - static_cast<size_t>(got));
      for (size_t n = 0; n < pages; ++n) {
        const char* page = scratch_->data() + n * kPageBytes;
        if (std::memcmp(page, kZeros, kPageBytes) == 0) continue;
        if (!visit(static_cast<uint32_t>(static_cast<size_t>(at) / kPageBytes + n), page)) {
          return false;
        }
      }
      at += static_cast<off_t>(pages * kPageBytes);
    }
    at = std::max(at, end);  // a piece may reach beyond a hole
  }
  return true;
}

bool SharedBytes::Follow(File& file) {
  struct stat status {};
  if (fstatat(file.folder, file.name, &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (status.st_ino == file.inode) return true;  // which our descriptor keeps from being reused
  const int fd = openat(file.folder, file.name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  const bool taken = dup3(fd, file.fd, O_CLOEXEC) == file.fd;
  close(fd);
  file.inode = status.st_ino;
  return taken;
}

bool SharedBytes::Save(char* snapshot) {
  std::memcpy(snapshot, segment_, segment_bytes_);
  if (!has_files()) return true;
  SavedFiles& saved = FilesOf(snapshot);
  SavedPage* pages = PagesOf(snapshot);
  saved = {};
  for (uint32_t n = 0; n < file_count_; ++n) {
    struct stat status {};
    if (!Follow(files_[n])) {
      error_ = "the object removed a file";
      return false;
    }
    fstat(files_[n].fd, &status);
    saved.sizes[n] = static_cast<uint64_t>(status.st_size);
    const bool all = ForEachPage(files_[n], [&](uint32_t index, const char* bytes) {
      if (saved.pages == kMostPages) return false;
      SavedPage& page = pages[saved.pages++];
      page.file = n;
      page.index = index;
      std::memcpy(page.bytes, bytes, kPageBytes);
      return true;
    });
    if (!all) {
      error_ = "the object's files are larger than a snapshot";
      return false;
    }
  }
  return true;
}

// Those that came later.
void SharedBytes::RemoveUnknownFiles() {
  struct Entry {  // as getdents64(2) writes them
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
  };
  alignas(Entry) char buffer[4096];
  lseek(directory_, 0, SEEK_SET);
  long got = 0;
  while ((got = syscall(SYS_getdents64, directory_, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < got;) {
      const Entry& entry = *reinterpret_cast<const Entry*>(buffer + at);
      at += entry.bytes;
      if (entry.type == DT_DIR) continue;
      const bool known = std::any_of(files_, files_ + file_count_, [&entry](const File& file) {
        return std::strcmp(file.name, entry.name) == 0;
      });
      if (!known) unlinkat(directory_, entry.name, 0);
    }
  }
}

bool SharedBytes::PutBack(File& file, uint64_t size) {
  if (!Follow(file)) {
    const int fd = openat(file.folder, file.name, O_RDWR | O_CREAT | O_EXCL, file.mode & 07777);
    if (fd < 0) return false;
    close(fd);
    if (!Follow(file)) return false;
  }
  return ftruncate(file.fd, 0) == 0 && ftruncate(file.fd, static_cast<off_t>(size)) == 0;
}

bool SharedBytes::Restore(const char* snapshot) {
  if (!watched_path_.empty()) unlink(watched_path_.c_str());
  std::memcpy(segment_, snapshot, segment_bytes_);
  if (!has_files()) return true;
  char* from = const_cast<char*>(snapshot);  // which is only read
  const SavedFiles& saved = FilesOf(from);
  const SavedPage* pages = PagesOf(from);
  bool good = true;
  RemoveUnknownFiles();
  for (uint32_t n = 0; n < file_count_; ++n) good = good && PutBack(files_[n], saved.sizes[n]);
  for (uint64_t n = 0; good && n < saved.pages; ++n) {
    const SavedPage& page = pages[n];
    const uint64_t begin = uint64_t{page.index} * kPageBytes;
    const size_t size =
        static_cast<size_t>(std::min<uint64_t>(kPageBytes, saved.sizes[page.file] - begin));
    good = pwrite(files_[page.file].fd, page.bytes, size, static_cast<off_t>(begin)) ==
           static_cast<ssize_t>(size);
  }
  if (!good) error_ = "a file of the object cannot be put back";
  return good;
}

uint64_t SharedBytes::HashOf(const char* snapshot) const {
  return XXH3_64bits(snapshot, Used(snapshot));
}

uint64_t SharedBytes::HashSegment(const PidsByNumber& pids) const {
  if (AreNone(pids)) return XXH3_64bits(segment_, segment_bytes_);
  std::memcpy(scratch_->data(), segment_, segment_bytes_);
  Replace(scratch_->data(), segment_bytes_, pids);
  return XXH3_64bits(scratch_->data(), segment_bytes_);
}

// While a segment is being created, all that others can see of it is its name and what is behind
// that.
uint64_t SharedBytes::HashWatched() {
  if (watched_path_.empty()) return 0;
  int fd = open(watched_path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, scratch_->data(), segment_bytes_);
  close(fd);
  return got < 0 ? 1 : XXH3_64bits(scratch_->data(), static_cast<size_t>(got));
}

uint64_t SharedBytes::HashOutside(const PidsByNumber& pids) {
  const bool replaces = !AreNone(pids);
  uint64_t sum = HashWatched();
  for (uint32_t n = 0; n < file_count_; ++n) {
    if (!Follow(files_[n])) continue;  // a removed one counts as nothing
    struct stat status {};
    fstat(files_[n].fd, &status);
    const uint64_t seed = uint64_t{n + 1} << 32;
    sum += XXH3_64bits_withSeed(&status.st_size, sizeof status.st_size, seed);
    ForEachPage(files_[n], [&](uint32_t index, const char* bytes) {
      if (replaces) Replace(const_cast<char*>(bytes), kPageBytes, pids);  // of scratch_
      sum += XXH3_64bits_withSeed(bytes, kPageBytes, seed + index + 1);
      return true;
    });
  }
  return sum;
}

}  // namespace kill9::stepper
