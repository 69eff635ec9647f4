#include "harness/run/follow/mapped_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <set>

#include "harness/base/mappings/mappings.h"

namespace kill9::run {

void MappedFiles::Expire() {
  for (const Piece& piece : pieces_) munmap(piece.address, piece.bytes);
  pieces_.clear();
  known_ = false;
}

void MappedFiles::MapAll(pid_t thread, const std::vector<std::string>& roots) {
  std::set<std::string> paths;
  VisitMappings(thread, [&](const Mapping& one) {
    const bool ours = std::any_of(roots.begin(), roots.end(), [&](const std::string& root) {
      return one.path.starts_with(root);
    });
    if (ours && one.IsSharedToWrite()) paths.emplace(one.path);
    return true;
  });
  for (const std::string& path : paths) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0) {
      const size_t bytes = static_cast<size_t>(status.st_size);
      void* address = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
      if (address != MAP_FAILED) pieces_.push_back({address, bytes});
    }
    if (fd >= 0) close(fd);
  }
}

uint64_t MappedFiles::Left(pid_t thread, const StateHasher& all,
                           const std::vector<std::string>& roots) {
  if (!known_) {
    known_ = true;
    all_ = all.Hash();
    MapAll(thread, roots);
  }
  uint64_t hash = all_;
  for (const Piece& piece : pieces_) {
    hash = XXH3_64bits_withSeed(piece.address, piece.bytes, hash);
  }
  return hash;
}

}  // namespace kill9::run
