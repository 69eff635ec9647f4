#include "variants/segment/file/segment_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/byte_lock.h"
#include "variants/segment/file/huge_pages.h"

namespace kill9::segment_file {
namespace {

constexpr size_t kMaximumNameBytes = 200;
constexpr std::string_view kTemporaryPrefix = ".kill9-creating-";
// Locked by the creator of a file with a temporary name, below the bytes of participants.
constexpr off_t kCreatorsByte = (off_t{1} << 62) - 1;
constexpr int kTemporaryNames = 100;  // tried, if others take them for left over
constexpr const char* kProofName = ".kill9-segment-files";
constexpr std::string_view kProof = "This directory belongs to the kill9 segment beside it.\n";

std::string ProcPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

std::string DirectoryOfPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// False also where somebody else has it.
bool LockAsCreator(int fd) { return TryLockByte(fd, kCreatorsByte) == 0; }
void UnlockAsCreator(int fd) { UnlockByte(fd, kCreatorsByte); }

// Removes what this user's dead creators have left. Whoever gets the lock of a file knows that its
// creator is dead, or has not locked it yet: then that one finds its name gone, and takes another.
void RemoveLeftOver(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), closedir);
  if (entries == nullptr) return;
  const int directory_fd = dirfd(entries.get());
  while (const dirent* entry = readdir(entries.get())) {
    if (!std::string_view(entry->d_name).starts_with(kTemporaryPrefix)) continue;
    const int fd =
        openat(directory_fd, entry->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    struct stat stat {};
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_uid == geteuid() &&
        LockAsCreator(fd)) {
      unlinkat(directory_fd, entry->d_name, 0);
    }
    close(fd);
  }
}

absl::Status CannotCreate(const std::string& directory) {
  return ErrnoStatus(errno, absl::StrCat("cannot create a segment in '", directory, "'"));
}

absl::Status CannotOpen(int error, const SegmentLocation& location, int flags) {
  const char* access = (flags & O_ACCMODE) == O_RDWR ? "read and write" : "read";
  // ENXIO is the kernel's word for a socket, ELOOP for a link that is not followed.
  const char* hint = error == ENXIO   ? " (is it a socket?)"
                     : error == ELOOP ? " (a symbolic link: name the segment itself)"
                                      : "";
  return ErrnoStatus(error,
                     absl::StrCat("cannot open ", Describe(location), " for ", access, hint));
}

}  // namespace

absl::Status ErrnoStatus(int error, const std::string& what) {
  std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EFBIG:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

std::string Describe(const SegmentLocation& location) {
  switch (location.kind) {
    case SegmentKind::kAnonymous:
      return "anonymous segment";
    case SegmentKind::kNamed:
      return absl::StrCat("segment '", location.name, "' (/dev/shm)");
    case SegmentKind::kFile:
      return absl::StrCat("segment file '", location.name, "'");
  }
  std::abort();
}

absl::StatusOr<std::string> PathOf(const SegmentLocation& location) {
  const std::string& name = location.name;
  if (location.kind == SegmentKind::kFile) {
    if (name.empty()) return absl::InvalidArgumentError("a segment file needs a path");
    if (name.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a segment file's path cannot contain a zero byte");
    }
    return name;
  }
  if (location.kind == SegmentKind::kAnonymous) {
    return absl::InvalidArgumentError("an anonymous segment has no name; pass its descriptor");
  }
  if (name.empty() || name.size() > kMaximumNameBytes || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos || name == "." || name == "..") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' cannot name a segment: 1 to ", kMaximumNameBytes,
                     " bytes without '/' or a zero byte, and not ", "'.' or '..'"));
  }
  return absl::StrCat(kSharedMemory, name);
}

// ---- A new file ---------------------------------------------------------------------------------

absl::StatusOr<NewFile> NewFile::In(const std::string& path) {
  const std::string directory = DirectoryOfPath(path);
  int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return NewFile(fd, "");
  if (errno != EOPNOTSUPP && errno != EISDIR) return CannotCreate(directory);
  RemoveLeftOver(directory);
  for (int i = 0; i < kTemporaryNames; ++i) {
    std::string temporary = absl::StrCat(directory, "/", std::string(kTemporaryPrefix), "XXXXXX");
    fd = mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return CannotCreate(directory);
    // dies before -> an empty file, which the next creator removes;  dies after -> the same
    struct stat stat {};
    if (LockAsCreator(fd) && fstat(fd, &stat) == 0 && stat.st_nlink == 1) {
      return NewFile(fd, std::move(temporary));
    }
    unlink(temporary.c_str());
    close(fd);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cannot create a segment in '", directory, "': its files take no locks"));
}

absl::StatusOr<NewFile> NewFile::Anonymous() {
  const int fd = memfd_create("kill9", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return ErrnoStatus(errno, "cannot create an anonymous segment");
  return NewFile(fd, "");
}

NewFile::NewFile(NewFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), temporary_(std::exchange(other.temporary_, "")) {}

NewFile::~NewFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
  if (fd_ >= 0) close(fd_);
}

int NewFile::Release() { return std::exchange(fd_, -1); }

absl::Status NewFile::Publish(int fd, const std::string& path) {
  int result = 0;
  if (temporary_.empty()) {
    result = linkat(AT_FDCWD, ProcPath(fd).c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
  } else {
    result = renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE);
    if (result == 0) {
      temporary_.clear();
    } else if (errno == EINVAL || errno == ENOSYS) {  // a file system that cannot
      // dies between this and unlink -> two names; the next creator removes the temporary one
      result = link(temporary_.c_str(), path.c_str());
    }
    if (result == 0) UnlockAsCreator(fd);
  }
  if (result == 0) return absl::OkStatus();
  const int error = errno;
  const std::string what = absl::StrCat("cannot name the segment '", path, "'");
  if (error == EEXIST) {
    return ErrnoStatus(error, absl::StrCat(what, " (open it, or remove it first)"));
  }
  if (temporary_.empty() && access("/proc/self/fd", F_OK) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(what, " (is /proc mounted?)"));
  }
  return ErrnoStatus(error, what);
}

// ---- Room ---------------------------------------------------------------------------------------

namespace {

// Beyond this limit the kernel would not say no, it would send SIGXFSZ.
absl::Status CheckFileLimit(uint64_t size, const std::string& what) {
  struct rlimit limit {};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      size > limit.rlim_cur) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for ", what, " of ", size, " bytes: this process may write files of at most ",
        limit.rlim_cur, " bytes (ulimit -f)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AllocateRoom(int fd, uint64_t size, Pages pages, const std::string& what) {
  if (absl::Status status = CheckFileLimit(size, what); !status.ok()) return status;
  if (pages == Pages::kHuge) AllocateHugePages(fd, size);
  return ExtendRoom(fd, 0, size, what);
}

absl::Status ExtendRoom(int fd, uint64_t from, uint64_t size, const std::string& what) {
  if (absl::Status status = CheckFileLimit(size, what); !status.ok()) return status;
  if (from >= size) return absl::OkStatus();
  int error = 0;
  do {
    error = posix_fallocate(fd, static_cast<off_t>(from), static_cast<off_t>(size - from));
  } while (error == EINTR);
  if (error == 0) return absl::OkStatus();
  return ErrnoStatus(error, absl::StrCat("no room for ", what, " of ", size, " bytes"));
}

absl::Status FillHoles(int fd, uint64_t size, const std::string& what) {
  struct stat stat {};
  if (fstat(fd, &stat) != 0) return ErrnoStatus(errno, what);
  if (static_cast<uint64_t>(stat.st_blocks) * 512 >= size) return absl::OkStatus();
  return AllocateRoom(fd, size, Pages::kAsTheyAre, what);
}

// ---- An existing file ---------------------------------------------------------------------------

absl::StatusOr<int> OpenExisting(const SegmentLocation& location, int flags) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  // O_NONBLOCK: a FIFO must not hang us.
  const int fd = open(path->c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return CannotOpen(errno, location, flags);
  struct stat stat {};
  if (!location.of_any_user && fstat(fd, &stat) == 0 && stat.st_uid != geteuid()) {
    close(fd);
    return absl::PermissionDeniedError(absl::StrCat(
        Describe(location), " belongs to user ", stat.st_uid, ", not to this process's, ",
        geteuid(), ", and may be changed under it; to trust that user, set of_any_user"));
  }
  return fd;
}

// ---- The directory ------------------------------------------------------------------------------

absl::Status MakeDirectory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0) {
    const int error = errno;
    // An empty one is what a creator leaves that is killed right here; it loses nothing by our use.
    std::error_code ignored;
    if (error != EEXIST || !std::filesystem::is_empty(directory, ignored) || ignored) {
      return ErrnoStatus(error, absl::StrCat("cannot make '", directory, "'"));
    }
  }
  const std::string proof = absl::StrCat(directory, "/", kProofName);
  const int fd = open(proof.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("cannot make '", proof, "'"));
  const bool written =
      write(fd, kProof.data(), kProof.size()) == static_cast<ssize_t>(kProof.size());
  close(fd);
  if (written) return absl::OkStatus();
  // Without its proof nobody would remove it.
  unlink(proof.c_str());
  rmdir(directory.c_str());
  return absl::ResourceExhaustedError(absl::StrCat("no room for '", proof, "'"));
}

void RemoveDirectory(const std::string& directory) {
  const int directory_fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory_fd < 0) return;
  const absl::Cleanup close_directory = [directory_fd] { close(directory_fd); };
  const int fd = openat(directory_fd, kProofName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  char found[kProof.size() + 1];
  const ssize_t got = read(fd, found, sizeof found);
  close(fd);
  if (got != static_cast<ssize_t>(kProof.size()) ||
      std::string_view(found, kProof.size()) != kProof) {
    return;
  }
  // The proof goes last: what a killed process leaves, or makes meanwhile, can still be removed.
  std::error_code ignored, failed;
  bool all_gone = true;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (name == kProofName) continue;
    const std::string shared = kSharedMemory + name;
    if (std::filesystem::read_symlink(entry.path(), ignored) == shared) unlink(shared.c_str());
    std::filesystem::remove_all(entry.path(), failed);
    all_gone = all_gone && !failed;
  }
  if (!all_gone) return;
  unlinkat(directory_fd, kProofName, 0);
  rmdir(directory.c_str());
}

}  // namespace kill9::segment_file
