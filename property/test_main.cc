// The main of the tests' programs. Each is made of the tests of a folder (CMakeLists.txt), and is
// called by the names of its sources: by one of these it runs the tests of that source, by its own
// name all. Tests that stand in a header are those of the source that includes it.
//
// What they write into testing::TempDir() is in a folder of this run alone, which goes with it: no
// other run, earlier or beside it, has files of the same names there.
#include <fnmatch.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/first_in_main.h"

namespace kill9 {

// Of each program its own (property/files_of_tests.cc).
extern const char* const kFilesOfTests;

namespace {

using Pattern = absl::string_view;

bool AnyMatches(Pattern patterns, const std::string& name) {
  for (const Pattern pattern : absl::StrSplit(patterns, ':')) {
    if (fnmatch(std::string(pattern).c_str(), name.c_str(), 0) == 0) return true;
  }
  return false;
}

// As GoogleTest does: patterns, and behind a '-' those of what is left out.
bool Passes(const std::string& filter, const std::string& name) {
  const std::vector<Pattern> parts = absl::StrSplit(filter, absl::MaxSplits('-', 1));
  if (!parts[0].empty() && !AnyMatches(parts[0], name)) return false;
  return parts.size() == 1 || !AnyMatches(parts[1], name);
}

// Who has the tests that stand in a file, both without what follows the dot in their names.
std::map<std::string, std::string> SourceOfFile() {
  std::map<std::string, std::string> sources;
  for (const Pattern named : absl::StrSplit(kFilesOfTests, ',')) {
    const std::pair<Pattern, Pattern> of = absl::StrSplit(named, absl::MaxSplits('=', 1));
    sources.emplace(of.first, of.second.empty() ? of.first : of.second);
  }
  return sources;
}

// Of one source: those that the caller's own filter lets through. False: a test is in none of the
// sources, and would be run by nobody.
bool KeepTestsOf(const std::string& source) {
  const std::map<std::string, std::string> source_of_file = SourceOfFile();
  if (!source_of_file.contains(source)) return true;
  const std::string filter = GTEST_FLAG_GET(filter);
  std::string kept;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    std::string of_suite;
    int left_out = 0;
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const testing::TestInfo& test = *suite.GetTestInfo(j);
      const auto of = source_of_file.find(std::filesystem::path(test.file()).stem());
      const std::string name = absl::StrCat(suite.name(), ".", test.name());
      if (of == source_of_file.end()) {
        std::fprintf(stderr, "%s:%d: %s is in no source of this program\n", test.file(),
                     test.line(), name.c_str());
        return false;
      }
      const bool keeps = of->second == source && Passes(filter, name);
      if (keeps) absl::StrAppend(&of_suite, name, ":");
      left_out += keeps ? 0 : 1;
    }
    // GoogleTest says what its filter is: the shorter, the better.
    absl::StrAppend(&kept, left_out == 0 ? absl::StrCat(suite.name(), ".*:") : of_suite);
  }
  GTEST_FLAG_SET(filter, kept.empty() ? "-*" : kept);
  return true;
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  for (const kill9::FirstInMain::Function first : kill9::FirstInMain::All()) {
    if (const std::optional<int> done = first(argc, argv)) return *done;
  }
  const std::string name = std::filesystem::path(argv[0]).filename();
  testing::InitGoogleMock(&argc, argv);
  if (!kill9::KeepTestsOf(name)) return 1;
  std::string folder = testing::TempDir() + "kill9-test-XXXXXX";
  // For everybody, as the folder around it: tests become other users.
  if (mkdtemp(folder.data()) == nullptr || chmod(folder.c_str(), 01777) != 0) {
    std::perror(folder.c_str());
    return 1;
  }
  setenv("TEST_TMPDIR", folder.c_str(), 1);
  const int status = RUN_ALL_TESTS();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return status;
}
