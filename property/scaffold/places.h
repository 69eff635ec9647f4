// Folders, and places for segments, that a test may fill, and that are gone when it ends.
#ifndef KILL9_PROPERTY_SCAFFOLD_PLACES_H_
#define KILL9_PROPERTY_SCAFFOLD_PLACES_H_

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "gtest/gtest.h"
#include "variants/segment.h"

namespace kill9 {

// A folder of a test's own, without links in its path; it goes with what is in it.
class OwnFolder {
 public:
  explicit OwnFolder(const std::string& where = testing::TempDir())
      : path_(where + "/kill9-folder-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
    path_ = std::filesystem::canonical(path_).string();
  }
  ~OwnFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Place {
 public:
  Place() {
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
  }

  const std::string& directory() const { return folder_.path(); }
  SegmentLocation Location(SegmentKind kind) const {
    switch (kind) {
      case SegmentKind::kAnonymous:
        return {};
      case SegmentKind::kNamed:
        return {kind, prefix_};
      case SegmentKind::kFile:
        return {kind, directory() + "/segment"};
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
    const std::string& where = kind == SegmentKind::kNamed ? std::string("/dev/shm") : directory();
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
  OwnFolder folder_;
  std::string prefix_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_PLACES_H_
