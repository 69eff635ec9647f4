#include "harness/run/follow/mapped_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace kill9::run {

void MappedFiles::Expire() {
  for (const Mapping& mapping : mappings_) munmap(mapping.address, mapping.bytes);
  mappings_.clear();
  known_ = false;
}

void MappedFiles::MapAll(pid_t thread, const std::vector<std::string>& roots) {
  std::ifstream maps(absl::StrCat("/proc/", thread, "/maps"));
  std::set<std::string> paths;
  for (std::string line; std::getline(maps, line);) {
    // address perms offset device inode path
    const size_t path = line.find('/'), permissions = line.find(' ') + 1;
    const bool is_shared = line.size() > permissions + 4 && line[permissions + 1] == 'w' &&
                           line[permissions + 3] == 's';
    if (is_shared && path != std::string::npos) paths.insert(line.substr(path));
  }
  for (const std::string& path : paths) {
    const bool ours = std::any_of(roots.begin(), roots.end(), [&](const std::string& root) {
      return std::string_view(path).starts_with(root);
    });
    const int fd = ours ? open(path.c_str(), O_RDONLY | O_CLOEXEC) : -1;
    struct stat status {};
    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0) {
      const size_t bytes = static_cast<size_t>(status.st_size);
      void* address = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
      if (address != MAP_FAILED) mappings_.push_back({address, bytes});
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
  for (const Mapping& mapping : mappings_) {
    hash = XXH3_64bits_withSeed(mapping.address, mapping.bytes, hash);
  }
  return hash;
}

}  // namespace kill9::run
