// What `./dev mutants` changes: property/mutants/mutants.py over a tree of a few lines, and over
// this checkout.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string List(const std::string& folder, const std::string& arguments = "") {
  const Ended ended = RunLine(
      "cd " + folder + " && python3 " KILL9_SOURCE_DIR "/property/mutants/mutants.py --list " +
      arguments + " 2>&1");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  return ended.output;
}

std::set<std::string> Ids(const std::string& list) {
  std::set<std::string> ids;
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("variants/")) ids.insert(line);
  }
  return ids;
}

class Mutants : public testing::Test {
 protected:
  void SetUp() override {
    if (RunLine("python3 --version").exit_code != 0) GTEST_SKIP() << "needs python3";
  }
};

TEST_F(Mutants, AreTheChangesThatEachKindMakesOfALine) {
  const std::string folder = testing::TempDir() + "/mutants_" + std::to_string(getpid());
  const std::string stores = folder + "/variants/stores/cas_slots";
  std::filesystem::create_directories(stores);
  std::ofstream(stores + "/heap.cc") << R"(#include <cstdint>  // 1 == 2
static_assert(sizeof(int) == 4,
              "1 < 2");
void Put(Word& word, int n) {
  if (n < 3 && Has(word)) return;
  word.store(n - 1, std::memory_order_release);
  Say("a == b", 'c');  // d == e
}
)";
  std::ofstream(stores + "/heap_test.cc") << "  count = 1;\n";
  const std::string list = List(folder);
  std::filesystem::remove_all(folder);
  const std::string at = "variants/stores/cas_slots/heap.cc:";
  for (const char* wanted :
       {"if (n <= 3 && Has(word)) return;", "if (n < 4 && Has(word)) return;",
        "if (n < 3 || Has(word)) return;", "if (!(n < 3 && Has(word))) return;",
        "word.store(n + 1, std::memory_order_release);",
        "word.store(n - 2, std::memory_order_release);",
        "word.store(n - 1, std::memory_order_relaxed);", "+ (void)0;"}) {
    EXPECT_THAT(list, HasSubstr(wanted));
  }
  EXPECT_EQ(Ids(list).size(), 9u) << list;  // two statements can be left out
  for (const char* unwanted : {"heap.cc:1:", "heap.cc:2:", "heap.cc:3:", "heap_test"}) {
    EXPECT_THAT(list, Not(HasSubstr(unwanted)));
  }
  EXPECT_THAT(list, HasSubstr(at + "7:3:statement"));
}

TEST_F(Mutants, AreThousandsOverAllDesignsAndOfEveryKind) {
  const std::string list = List(KILL9_SOURCE_DIR);
  EXPECT_GT(Ids(list).size(), 3000u);
  for (const char* part :
       {"variants/stores/global_mutex/", "variants/stores/striped_locks/",
        "variants/stores/locked/", "variants/stores/cas_slots/", "variants/stores/seqlock_ring/",
        "variants/channels/mutex_vector/", "variants/channels/slot_ring/", "variants/segment/"}) {
    EXPECT_THAT(list, HasSubstr(part));
  }
  for (const char* kind : {":comparison\n", ":arithmetic\n", ":logic\n", ":constant\n", ":branch\n",
                           ":statement\n", ":order\n"}) {
    EXPECT_THAT(list, HasSubstr(kind));
  }
}

TEST_F(Mutants, ShardsAreDisjointAndTheSampleTogether) {
  const std::set<std::string> whole = Ids(List(KILL9_SOURCE_DIR, "--sample=40 --seed=5"));
  ASSERT_EQ(whole.size(), 40u);
  EXPECT_NE(whole, Ids(List(KILL9_SOURCE_DIR, "--sample=40 --seed=6")));
  std::set<std::string> together;
  size_t sum = 0;
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    const std::set<std::string> part =
        Ids(List(KILL9_SOURCE_DIR, std::string("--sample=40 --seed=5 --shard=") + shard));
    sum += part.size();
    together.insert(part.begin(), part.end());
  }
  EXPECT_EQ(sum, 40u);
  EXPECT_EQ(together, whole);
}

}  // namespace
}  // namespace kill9
