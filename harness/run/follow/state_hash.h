// What a program has left: the files of a few directories, as a hash and one by one.
#ifndef KILL9_HARNESS_RUN_FOLLOW_STATE_HASH_H_
#define KILL9_HARNESS_RUN_FOLLOW_STATE_HASH_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kill9::run {

// Names, kinds, permissions, owners, contents and targets of links; no times. A directory on
// another file system than its root's is no part of it; what cannot be read counts by its name.
class StateHasher {
 public:
  explicit StateHasher(std::vector<std::string> roots) : roots_(std::move(roots)) {}

  uint64_t Hash() const;
  // From here on the contents of the first root's files are known, and read no more, until they are
  // touched. REQUIRES: whoever can open or truncate a file for writing is told to Touch before; a
  // path of /proc, which may be any file, touches all.
  void Remember();
  void Touch(const std::string& path);
  // Whichever file it was.
  void TouchAny() { remembered_.clear(); }
  // Each regular file below the first root, by its path from there, with a hash of its content.
  std::map<std::string, uint64_t> Files() const;

 private:
  std::vector<std::string> roots_;  // directories, or single files
  std::map<ino_t, uint64_t> remembered_;
};

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_FOLLOW_STATE_HASH_H_
