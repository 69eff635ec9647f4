// How long an object is for who brings one: what the headers and the protocol leave to write.
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinesInCpp = 30;
constexpr int kMostLinesInPython = 25;

// Lines with something else than a comment, which begins with `comment`.
int LinesOf(const fs::path& path, std::string_view comment) {
  std::ifstream file(path);
  int lines = 0;
  for (std::string line; std::getline(file, line);) {
    const size_t begin = line.find_first_not_of(" \t");
    lines += begin != line.npos && line.compare(begin, comment.size(), comment) != 0;
  }
  return lines;
}

TEST(ExampleLines, AnObjectInCppHasThirty) {
  const fs::path path = KILL9_SOURCE_DIR "/apps/examples/plugin/cells_map.cc";
  EXPECT_LE(LinesOf(path, "//"), kMostLinesInCpp);
  EXPECT_GT(LinesOf(path, "//"), kMostLinesInCpp / 2) << "it is a whole one";
}

TEST(ExampleLines, AWorkerInPythonHasTwentyFive) {
  int workers = 0;
  const auto check = [&workers](const fs::path& path) {
    if (path.extension() != ".py") return;
    ++workers;
    EXPECT_LE(LinesOf(path, "#"), kMostLinesInPython) << path;
    EXPECT_GE(LinesOf(path, "#"), kMostLinesInPython / 3) << path;
  };
  for (const auto& entry : fs::directory_iterator(KILL9_SOURCE_DIR "/apps/examples/workers")) {
    check(entry.path());
  }
  check(KILL9_SOURCE_DIR "/stress/command/new/templates/python/name.py");
  EXPECT_GT(workers, 10);
}

}  // namespace
}  // namespace kill9
