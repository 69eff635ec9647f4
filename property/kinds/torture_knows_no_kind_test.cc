// Torture drives objects of any kind: what it says of one kind it would say wrongly of another. So
// none of its sources names a kind's contract, its driver, its operations or what it is made of.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

// Lines of a source that name a kind, each with its number. Atomic stores and the keys of the
// checker's counts are none.
std::vector<std::string> LinesThatNameAKind(std::istream& source) {
  static const std::regex kHarmless(
      R"((\.|->)store\(|\bkeys_(violating|undecided)|"[a-z ]*keys?")");
  static const std::regex kOfAKind(
      R"(\b[Ss]tores?\b|\bVariant\b|variants/(store|registry)\.h|_driver/|\bKey(Table|Board)?s?\b|)"
      R"(\bkeys?\b|\bpins?\b|\bdrafts?\b|\bPut\b|\bErase\b|\bCompareAndSwap\b|\bForEach\b|)"
      R"(Function::k(?!Recover\b|Attach\b|Detach\b))");
  std::vector<std::string> found;
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (std::regex_search(std::regex_replace(line, kHarmless, ""), kOfAKind)) {
      found.push_back(std::to_string(number) + ": " + line);
    }
  }
  return found;
}

TEST(Torture, NamesNoKindOfObject) {
  size_t sources = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(KILL9_SOURCE_DIR) / "harness/torture")) {
    const std::string extension = entry.path().extension();
    const std::string name = entry.path().filename();
    // A test's premise may be a store's history. The checker's outcome is of keys, whatever they
    // are.
    if ((extension != ".h" && extension != ".cc") || name.ends_with("_test.cc") ||
        name.starts_with("checker_process")) {
      continue;
    }
    ++sources;
    std::ifstream source(entry.path());
    EXPECT_THAT(LinesThatNameAKind(source), testing::IsEmpty()) << entry.path();
  }
  EXPECT_GT(sources, 20u);
}

TEST(Torture, WouldBeSeenToNameAKind) {
  for (const char* planted :
       {"#include \"harness/store_driver/keys.h\"", "  store.Put(key, value);",
        "  case Function::kGet:", "// A client of the store.", "  const Variant& variant;",
        "  client_.Begin(Function::kErase, 1);", "  std::atomic<uint64_t> key;"}) {
    std::istringstream source(planted);
    EXPECT_THAT(LinesThatNameAKind(source), testing::SizeIs(1)) << planted;
  }
  std::istringstream harmless("  word.store(1);\n  Begin(Function::kRecover, 0);\n");
  EXPECT_THAT(LinesThatNameAKind(harmless), testing::IsEmpty());
}

}  // namespace
}  // namespace kill9
