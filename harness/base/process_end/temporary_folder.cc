#include "harness/base/process_end/temporary_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "variants/segment/file/segment_file.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "kill9-";
constexpr std::string_view kDrawn = "XXXXXX";

// As mkdtemp(3) names one. A segment's directory in /dev/shm has the same proof, and no lock.
bool IsName(std::string_view name) {
  return name.size() == kPrefix.size() + kDrawn.size() && name.starts_with(kPrefix) &&
         name.find('.') == name.npos;
}

int Lock(const std::string& path, int how) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fd;
  int locked = flock(fd, how);
  while (locked != 0 && errno == EINTR) locked = flock(fd, how);
  if (locked == 0) return fd;
  close(fd);
  return -1;
}

// Where nobody has its lock any more. A folder that was not made here stays.
void Remove(const std::string& path, int how) {
  const int lock = Lock(path, how);
  if (lock < 0) return;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path + "/state", ignored)) {
    segment_file::RemoveDirectory(entry.path());
  }
  segment_file::RemoveDirectory(path);
  close(lock);
}

// Who is dying may still make a file while the others are removed.
void RemoveWithTheLastProcess(const std::string& path) {
  constexpr int kLooks = 200;
  for (int look = 0; look < kLooks && access(path.c_str(), F_OK) == 0; ++look) {
    if (look > 0) usleep(10'000);
    Remove(path, LOCK_EX);
  }
}

void RemoveWhatIsLeftOver(const std::string& base) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(base, ignored)) {
    if (IsName(entry.path().filename().string())) Remove(entry.path(), LOCK_EX | LOCK_NB);
  }
}

absl::Status Unusable(absl::string_view why) {
  return absl::UnavailableError(absl::StrCat(why, "; the variable TMPDIR names another place"));
}
// With errno.
absl::Status Unusable(const char* for_what, const std::string& path) {
  return Unusable(absl::StrCat("cannot ", for_what, " '", path, "': ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TemporaryFolder>> TemporaryFolder::Make() {
  const char* base = std::getenv("TMPDIR");
  if (base == nullptr || *base == '\0') base = "/tmp";
  RemoveWhatIsLeftOver(base);
  std::unique_ptr<TemporaryFolder> folder(new TemporaryFolder);
  std::string path = absl::StrCat(base, "/", std::string(kPrefix), std::string(kDrawn));
  if (mkdtemp(path.data()) == nullptr) return Unusable("make a temporary folder in", base);
  folder->path_ = path;
  folder->lock_ = Lock(path, LOCK_EX);  // somebody who looks for what is left over may have it now
  // The proof is made behind the lock: a folder that has one and no lock has no owner.
  absl::Status made =
      folder->lock_ < 0 ? Unusable("lock", path) : segment_file::MakeDirectory(path);
  if (!made.ok()) {
    rmdir(path.c_str());
    return folder->lock_ < 0 ? made : Unusable(made.message());
  }
  made = folder->cleaner_.Watch([&path] { RemoveWithTheLastProcess(path); });
  if (!made.ok()) return made;
  return folder;
}

TemporaryFolder::~TemporaryFolder() {
  if (lock_ >= 0) close(lock_);
}

}  // namespace kill9
