// What a segment is to the file system: a name, a file that gets it in one step, and room.
#ifndef KILL9_VARIANTS_SEGMENT_FILE_SEGMENT_FILE_H_
#define KILL9_VARIANTS_SEGMENT_FILE_SEGMENT_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment.h"

namespace kill9::segment_file {

absl::Status ErrnoStatus(int error, const std::string& what);
std::string Describe(const SegmentLocation& location);
absl::StatusOr<std::string> PathOf(const SegmentLocation& location);

// A file that is going to be a segment and has no name yet (S1).
class NewFile {
 public:
  // In the directory of `path`. Where the file system has no nameless files, under a temporary name
  // and a lock that tells others of it that its creator lives; those of dead creators are removed.
  static absl::StatusOr<NewFile> In(const std::string& path);
  static absl::StatusOr<NewFile> Anonymous();
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  int fd() const { return fd_; }
  // Hands the descriptor over.
  int Release();
  // Gives `fd`, which was this file's, its name. Fails where the name exists already: two creators
  // cannot both win.
  absl::Status Publish(int fd, const std::string& path);

 private:
  NewFile(int fd, std::string temporary) : fd_(fd), temporary_(std::move(temporary)) {}

  int fd_;
  std::string temporary_;  // empty: nameless
};

// How a file gets its room: kHuge is for new ones that are memory, and best effort.
enum class Pages : uint8_t { kAsTheyAre, kHuge };
// Gives the whole file its room (S2), so that no access to the mapping can fail later.
absl::Status AllocateRoom(int fd, uint64_t size, Pages pages, const std::string& what);
// The same for what lies behind the first `from` bytes, which have theirs.
absl::Status ExtendRoom(int fd, uint64_t from, uint64_t size, const std::string& what);
// A copy of a segment's file may have holes; writing to one on a full disk would be a SIGBUS.
absl::Status FillHoles(int fd, uint64_t size, const std::string& what);

// Opens what the location names, if it is this user's or `location` says that it need not be.
// `flags` as of open(2). A name that is a symbolic link is refused.
absl::StatusOr<int> OpenExisting(const SegmentLocation& location, int flags);

// The directory of a segment's own files: made with a file in it that proves it (S5).
absl::Status MakeDirectory(const std::string& directory);
// What is behind a name under /dev/shm belongs to a directory that has a symbolic link of that name
// to it.
inline constexpr char kSharedMemory[] = "/dev/shm/";
// Removes the directory and all that belongs to it, if it was made by MakeDirectory. Best effort.
void RemoveDirectory(const std::string& directory);

}  // namespace kill9::segment_file

#endif  // KILL9_VARIANTS_SEGMENT_FILE_SEGMENT_FILE_H_
