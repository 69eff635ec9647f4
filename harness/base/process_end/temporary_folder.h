// A folder that is gone with the processes that need it, however they end: a cleaner sees to it.
// What is left of one that was killed together with its cleaner goes before the next is made.
//
// Directories of segments, and of what has names in /dev/shm (segment_file.h), lie in its folder
// "state": they are removed with what belongs to them.
#ifndef KILL9_HARNESS_BASE_PROCESS_END_TEMPORARY_FOLDER_H_
#define KILL9_HARNESS_BASE_PROCESS_END_TEMPORARY_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "harness/base/process_end/cleaner.h"

namespace kill9 {

class TemporaryFolder {
 public:
  // In $TMPDIR, else in /tmp. An error says what to do.
  static absl::StatusOr<std::unique_ptr<TemporaryFolder>> Make();
  // REQUIRES: whom this process has forked since is gone, or has become another program.
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  TemporaryFolder() = default;

  std::string path_;
  int lock_ = -1;  // as long as its owner lives
  Cleaner cleaner_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_PROCESS_END_TEMPORARY_FOLDER_H_
