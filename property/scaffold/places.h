// Places for segments that a test may fill, and that are empty again when it ends.
#ifndef KILL9_PROPERTY_SCAFFOLD_PLACES_H_
#define KILL9_PROPERTY_SCAFFOLD_PLACES_H_

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "variants/segment.h"

namespace kill9 {

class Place {
 public:
  Place() {
    if (mkdtemp(directory_.data()) == nullptr) std::abort();
    static std::atomic<unsigned> count{0};
    prefix_ = "kill9-test-" + std::to_string(getpid()) + "-" +
              std::to_string(count.fetch_add(1, std::memory_order_relaxed));
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    std::error_code ignored;
    for (const std::string& file : Files(SegmentKind::kNamed)) {
      std::filesystem::remove("/dev/shm/" + file, ignored);
    }
    std::filesystem::remove_all(directory_, ignored);
  }

  const std::string& directory() const { return directory_; }
  SegmentLocation Location(SegmentKind kind) const {
    switch (kind) {
      case SegmentKind::kAnonymous:
        return {};
      case SegmentKind::kNamed:
        return {kind, prefix_};
      case SegmentKind::kFile:
        return {kind, directory_ + "/segment"};
    }
    std::abort();
  }
  std::string Path(const SegmentLocation& location) const {
    return location.kind == SegmentKind::kNamed ? "/dev/shm/" + location.name : location.name;
  }
  // What lies in this place by now. Nobody else uses its directory; in /dev/shm: names with its
  // prefix, and what a creator of segments might leave half made.
  std::vector<std::string> Files(SegmentKind kind) const {
    std::vector<std::string> files;
    const std::string& where = kind == SegmentKind::kNamed ? std::string("/dev/shm") : directory_;
    for (const auto& entry : std::filesystem::directory_iterator(where)) {
      std::string name = entry.path().filename();
      if (kind == SegmentKind::kFile || name.starts_with(prefix_) ||
          name.starts_with(".kill9-creating")) {
        files.push_back(std::move(name));
      }
    }
    return files;
  }

 private:
  std::string directory_ = (std::filesystem::temp_directory_path() / "kill9-test-XXXXXX").string();
  std::string prefix_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_PLACES_H_
