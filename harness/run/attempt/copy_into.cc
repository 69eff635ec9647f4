#include "harness/run/attempt/copy_into.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace kill9::run {
namespace {

// Leaves errno as it is: -1 is nothing to close.
void Close(int fd) {
  if (fd >= 0) close(fd);
}

// Of one directory into another. Each function returns false where errno says why not.
class Copier {
 public:
  explicit Copier(int to) : to_(to) {}
  // From the copied directory on: what is being copied.
  const std::string& path() const { return path_; }

  // Takes `from` over.
  bool CopyBelow(int from, int to) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(from), closedir);
    if (entries == nullptr) return false;
    const size_t length = path_.size();
    errno = 0;
    while (const dirent* entry = readdir(entries.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == ".." || (length == 0 && name == kKeptName)) continue;
      absl::StrAppend(&path_, length == 0 ? "" : "/", name);
      if (!CopyEntry(from, to, name.c_str())) return false;
      path_.resize(length);
      errno = 0;
    }
    return errno == 0;
  }

 private:
  bool CopyEntry(int from, int to, const char* name) {
    struct stat status {};
    if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
      const auto [first, is_new] =
          copied_.try_emplace(std::pair(status.st_dev, status.st_ino), path_);
      if (!is_new) return linkat(to_, first->second.c_str(), to, name, 0) == 0;
    }
    switch (status.st_mode & S_IFMT) {
      case S_IFDIR:
        if (!CopyDirectory(from, to, name)) return false;
        break;
      case S_IFREG:
        if (!CopyFile(from, to, name, status.st_size)) return false;
        break;
      case S_IFLNK:
        if (!CopyLink(from, to, name)) return false;
        break;
      default:
        if (mknodat(to, name, status.st_mode, status.st_rdev) != 0) return false;
    }
    return CopyFacts(from, to, name, status);
  }

  bool CopyDirectory(int from, int to, const char* name) {
    if (mkdirat(to, name, 0700) != 0) return false;
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const int copy = openat(to, name, kFlags);
    if (copy < 0) return false;
    const absl::Cleanup close_copy = [copy] { close(copy); };
    const int original = openat(from, name, kFlags);
    return original >= 0 && CopyBelow(original, copy);
  }

  // A hole stays one: a segment may be a gigabyte of them.
  bool CopyFile(int from, int to, const char* name, off_t size) {
    const int original = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const int copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const absl::Cleanup close_both = [&] {
      Close(original);
      Close(copy);
    };
    if (original < 0 || copy < 0 || ftruncate(copy, size) != 0) return false;
    for (off_t at = 0; at < size;) {
      const off_t data = lseek(original, at, SEEK_DATA);
      if (data < 0) return errno == ENXIO;  // a hole to the end
      at = data;
      const off_t hole = lseek(original, at, SEEK_HOLE);
      if (hole < 0) return false;
      while (at < hole) {
        const size_t most = std::min(static_cast<size_t>(hole - at), sizeof piece_);
        const ssize_t got = pread(original, piece_, most, at);
        if (got == 0) return true;  // it has become shorter meanwhile
        if (got < 0 || !WriteAll(copy, {piece_, static_cast<size_t>(got)}, at)) return false;
        at += got;
      }
    }
    return true;
  }

  // Less than all is no error yet: the next call says what it is.
  static bool WriteAll(int to, std::string_view bytes, off_t at) {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(to, bytes.data(), bytes.size(), at);
      if (written < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(written));
      at += written;
    }
    return true;
  }

  static bool CopyLink(int from, int to, const char* name) {
    char target[PATH_MAX];
    const ssize_t length = readlinkat(from, name, target, sizeof target - 1);
    if (length < 0) return false;
    target[length] = '\0';
    return symlinkat(target, to, name) == 0;
  }

  // A user who cannot give files away keeps them, as with cp -a; and not each file system has each
  // attribute.
  static bool CopyFacts(int from, int to, const char* name, const struct stat& status) {
    (void)!fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
    if (!S_ISLNK(status.st_mode) && fchmodat(to, name, status.st_mode & 07777, 0) != 0) {
      return false;
    }
    CopyAttributes(absl::StrCat("/proc/self/fd/", from, "/", name),
                   absl::StrCat("/proc/self/fd/", to, "/", name));
    const timespec times[] = {status.st_atim, status.st_mtim};
    return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) == 0;
  }

  static void CopyAttributes(const std::string& from, const std::string& to) {
    char names[4096], value[4096];
    const ssize_t bytes = llistxattr(from.c_str(), names, sizeof names);
    for (const char* name = names; name < names + bytes; name += std::strlen(name) + 1) {
      const ssize_t size = lgetxattr(from.c_str(), name, value, sizeof value);
      if (size >= 0) lsetxattr(to.c_str(), name, value, static_cast<size_t>(size), 0);
    }
  }

  const int to_;
  std::string path_;
  std::map<std::pair<dev_t, ino_t>, std::string> copied_;  // of those with several names
  char piece_[64 << 10];
};

}  // namespace

absl::Status CopyInto(const std::string& from, const std::string& to) {
  const int directory = open(to.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const absl::Cleanup close_it = [directory] { Close(directory); };
  const auto copier = std::make_unique<Copier>(directory);
  const int original = open(from.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0 && original >= 0 && copier->CopyBelow(original, directory)) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("cannot copy the state (", copier->path(), "): ", std::strerror(errno)));
}

uint64_t BytesBelow(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  namespace fs = std::filesystem;
  fs::recursive_directory_iterator entries(directory, fs::directory_options::skip_permission_denied,
                                           error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    if (entries.depth() == 0 && entries->path().filename() == kKeptName) {
      entries.disable_recursion_pending();
      continue;
    }
    struct stat status {};
    if (lstat(entries->path().c_str(), &status) == 0) {
      bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

}  // namespace kill9::run
