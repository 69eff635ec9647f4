// What a process has left, asked before each of its instructions.
//
// Between two system calls only files that it has mapped can change. They are mapped here, too, and
// hashed without a system call.
#ifndef KILL9_HARNESS_RUN_FOLLOW_MAPPED_FILES_H_
#define KILL9_HARNESS_RUN_FOLLOW_MAPPED_FILES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/run/follow/state_hash.h"

namespace kill9::run {

class MappedFiles {
 public:
  MappedFiles() = default;
  ~MappedFiles() { Expire(); }
  MappedFiles(const MappedFiles&) = delete;
  MappedFiles& operator=(const MappedFiles&) = delete;

  // A system call comes: what is known of files does not hold any longer.
  void Expire();
  // A hash of what is left by a program whose thread stands before an instruction. Files that
  // somebody else changes meanwhile are seen after the next call.
  uint64_t Left(pid_t thread, const StateHasher& all, const std::vector<std::string>& roots);

 private:
  struct Piece {
    void* address;
    size_t bytes;
  };
  void MapAll(pid_t thread, const std::vector<std::string>& roots);

  bool known_ = false;
  uint64_t all_ = 0;
  std::vector<Piece> pieces_;
};

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_FOLLOW_MAPPED_FILES_H_
