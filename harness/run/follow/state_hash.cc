#include "harness/run/follow/state_hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

namespace kill9::run {
namespace {

constexpr size_t kPieceBytes = 64 << 10;

uint64_t HashOfBytes(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

// Where its data is and what it is. A hole is passed over: a segment may be a gigabyte of them.
uint64_t HashOfFile(int fd, off_t size) {
  static char piece[kPieceBytes];
  uint64_t hash = static_cast<uint64_t>(size);
  off_t at = 0;
  while (at < size) {
    const off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole to the end
    if (data > at) at = data;
    const off_t hole = data < 0 ? size : lseek(fd, at, SEEK_HOLE);
    const off_t end = hole > at ? hole : size;
    for (ssize_t got; at < end && (got = pread(fd, piece, sizeof piece, at)) > 0; at += got) {
      hash = HashOfBytes(piece, static_cast<size_t>(got), hash ^ static_cast<uint64_t>(at));
    }
    if (at < end) break;  // it has become shorter meanwhile
  }
  return hash;
}

struct Entry {
  const std::string& path;  // from the root on
  const struct stat& status;
  uint64_t content;  // of a regular file; the target of a link
};
struct Walk {
  absl::FunctionRef<void(const Entry&)> visit;
  const std::map<ino_t, uint64_t>& remembered;  // contents, by their files
};

void VisitAt(int directory, const char* name, const std::string& path, dev_t device,
             const Walk& walk);

uint64_t ContentOf(int directory, const char* name, const struct stat& status, const Walk& walk) {
  const auto known = walk.remembered.find(status.st_ino);
  if (known != walk.remembered.end()) return known->second;
  const int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return static_cast<uint64_t>(status.st_size);
  const uint64_t hash = HashOfFile(fd, status.st_size);
  close(fd);
  return hash;
}

void VisitBelow(int directory, const std::string& path, dev_t device, const Walk& walk) {
  DIR* entries = fdopendir(directory);
  if (entries == nullptr) {
    close(directory);
    return;
  }
  while (const dirent* entry = readdir(entries)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    VisitAt(dirfd(entries), entry->d_name, absl::StrCat(path, "/", entry->d_name), device, walk);
  }
  closedir(entries);
}

// `device` 0: it is the root.
void VisitAt(int directory, const char* name, const std::string& path, dev_t device,
             const Walk& walk) {
  struct stat status {};
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (device != 0 && status.st_dev != device) return;
  uint64_t content = 0;
  if (S_ISREG(status.st_mode)) {
    content = ContentOf(directory, name, status, walk);
  } else if (S_ISLNK(status.st_mode)) {
    char target[4096];
    const ssize_t size = readlinkat(directory, name, target, sizeof target);
    if (size > 0) content = HashOfBytes(target, static_cast<size_t>(size), 0);
  }
  walk.visit({path, status, content});
  if (!S_ISDIR(status.st_mode)) return;
  const int below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (below >= 0) VisitBelow(below, path, status.st_dev, walk);
}

}  // namespace

// The order in which a directory names its entries says nothing: the hashes of all are added.
uint64_t StateHasher::Hash() const {
  uint64_t sum = 0;
  const std::map<ino_t, uint64_t> nothing;  // numbers of files are those of one file system
  for (size_t n = 0; n < roots_.size(); ++n) {
    auto add = [&](const Entry& entry) {
      const uint64_t of_path = HashOfBytes(entry.path.data(), entry.path.size(), n);
      const uint64_t facts[] = {of_path, entry.status.st_mode, entry.status.st_uid,
                                entry.status.st_gid, entry.content};
      sum += HashOfBytes(facts, sizeof facts, 0);
    };
    VisitAt(AT_FDCWD, roots_[n].c_str(), "", 0, {add, n == 0 ? remembered_ : nothing});
  }
  return sum;
}

std::map<std::string, uint64_t> StateHasher::Files() const {
  const std::map<ino_t, uint64_t> nothing;
  std::map<std::string, uint64_t> files;
  auto add = [&](const Entry& entry) {
    if (S_ISREG(entry.status.st_mode)) files.emplace(entry.path.substr(1), entry.content);
  };
  VisitAt(AT_FDCWD, roots_.front().c_str(), "", 0, {add, nothing});
  return files;
}

void StateHasher::Remember() {
  const std::map<ino_t, uint64_t> nothing;
  std::map<ino_t, uint64_t> contents;
  auto add = [&](const Entry& entry) {
    if (S_ISREG(entry.status.st_mode)) contents.emplace(entry.status.st_ino, entry.content);
  };
  VisitAt(AT_FDCWD, roots_.front().c_str(), "", 0, {add, nothing});
  remembered_ = std::move(contents);
}

void StateHasher::Touch(const std::string& path) {
  if (path.starts_with("/proc/")) return TouchAny();
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) remembered_.erase(status.st_ino);
}

}  // namespace kill9::run
