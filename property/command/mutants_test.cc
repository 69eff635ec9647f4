// What `./dev mutants` changes: property/mutants/mutants.py over a tree of a few lines, and over
// this checkout.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/result/json_forward.h"
#include "nlohmann/json.hpp"
#include "property/command/command_for_tests.h"
#include "variants/buffers/buffer_pool_design.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Say(const std::string& folder, const std::string& arguments) {
  const Ended ended =
      RunLine("cd " + folder + " && python3 " KILL9_SOURCE_DIR "/property/mutants/mutants.py " +
              arguments + " 2>&1");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  return ended.output;
}

std::string List(const std::string& folder, const std::string& arguments = "") {
  return Say(folder, "--list " + arguments);
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
  void TearDown() override { std::filesystem::remove_all(folder_); }
  // A file of a tree of its own.
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path whole = folder_ + "/" + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }

  const std::string folder_ = testing::TempDir() + "/mutants_" + std::to_string(getpid());
};

TEST_F(Mutants, AreTheChangesThatEachKindMakesOfALine) {
  Write("variants/stores/cas_slots/cas_slots.cc", "const Variant& CasSlots() {\n");
  Write("variants/stores/cas_slots/heap.cc", R"(#include <cstdint>  // 1 == 2
static_assert(sizeof(int) == 4,
              "1 < 2");
void Put(Word& word, int n) {
  if (n < 3 && Has(word)) return;
  word.store(n - 1, std::memory_order_release);
  Say("a == b", 'c');  // d == e
}
)");
  Write("variants/stores/cas_slots/heap_test.cc", "  count = 1;\n");
  const std::string list = List(folder_);
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

// Its folder says so; nothing else was written down.
TEST_F(Mutants, AreOfADesignOfAnyKindThatWasJustAdded) {
  Write("variants/ropes/twisted_rope/twisted_rope.cc",
        "#include \"variants/ropes/shared/knot.h\"\n"
        "#include \"variants/registry.h\"\n"
        "const RopeDesign& TwistedRope() {\n  count = 1;\n");
  Write("variants/ropes/twisted_rope/twisted_rope_test.cc", "TEST_F(TwistedRopeTest, Holds) {}\n");
  Write("variants/ropes/shared/knot.h", "inline int Knot() { return 1; }\n");
  Write("variants/ropes/shared/knot.cc", "#include \"variants/ropes/shared/knot.h\"\nint a = 1;\n");
  Write("variants/ropes/shared/loop.h", "inline int Loop() { return 1; }\n");
  Write("variants/registry.h", "#include \"variants/ropes/shared/loop.h\"\nint b = 1;\n");
  Write("variants/peers/other/other.cc", "const RopeDesign& Other() {\n  count = 1;\n");
  Write("property/ropes/rope_death_test.cc", "TEST_P(RopeDeath, Holds) {}\nTEST(Ropes, Are) {}\n");
  Write("property/ropes_kind/rope_object_test.cc", "");
  const Json designs = Json::parse(Say(folder_, "--designs"));
  const Json expected = {
      {"kinds", "ropes"},
      {"files",
       {"variants/ropes/shared/knot.cc", "variants/ropes/shared/knot.h",
        "variants/ropes/twisted_rope/twisted_rope.cc"}},
      {"beside", {"variants/ropes/twisted_rope/twisted_rope_test.cc"}},
      {"of_all", {"property/ropes/rope_death_test.cc", "property/ropes_kind/rope_object_test.cc"}},
      {"asked", {"*/twisted_rope", "TwistedRopeTest.*", "*/TwistedRopeTest.*"}}};
  ASSERT_EQ(designs.size(), 1u) << designs;
  Json found = designs.at("twisted_rope");
  std::sort(found["files"].begin(), found["files"].end());
  EXPECT_EQ(found, expected) << found.dump(1);
  EXPECT_EQ(Ids(List(folder_)).size(), 4u) << List(folder_);
}

// Each has mutants, tests of its kind, and a folder of its own.
TEST_F(Mutants, KnowsEveryDesignOfTheRegistryAndNoOther) {
  const Json known = Json::parse(Say(KILL9_SOURCE_DIR, "--designs"));
  const std::string list = List(KILL9_SOURCE_DIR);
  size_t designs = 0;
  for (const Design* design : AllDesigns()) {
    const std::string name(design->name());
    const bool is_design = design->role() == Design::Role::kDesign;
    designs += is_design ? 1 : 0;
    ASSERT_EQ(known.contains(name), is_design) << name;
    if (!is_design) continue;
    const Json& one = known.at(name);
    const std::string kinds = one.at("kinds");
    // The only one of its kind has the kind's folder.
    const bool alone = design->kind() == kPoolKind;
    EXPECT_EQ(kinds, alone ? "buffers" : std::string(design->kind()) + "s");
    EXPECT_THAT(list, HasSubstr("variants/" + kinds + "/" + (alone ? "" : name + "/")));
    EXPECT_GE(one.at(alone ? "beside" : "of_all").size(), alone ? 3u : 5u) << name;
    EXPECT_GE(one.at("files").size(), 10u) << name;
  }
  EXPECT_EQ(known.size(), designs);
}

TEST_F(Mutants, AreThousandsOfEveryKind) {
  const std::string list = List(KILL9_SOURCE_DIR);
  EXPECT_GT(Ids(list).size(), 6000u);
  for (const char* part : {"variants/stores/locked/", "variants/channels/shared/",
                           "variants/segment/", "variants/segment.cc", "variants/heap.cc"}) {
    EXPECT_THAT(list, HasSubstr(part));
  }
  for (const char* kind : {":comparison\n", ":arithmetic\n", ":logic\n", ":constant\n", ":branch\n",
                           ":statement\n", ":order\n"}) {
    EXPECT_THAT(list, HasSubstr(kind));
  }
}

// Three mutants, each asked by a program that never ends; two at a time.
TEST_F(Mutants, AreLeftAtOnceByCtrlC) {
  Write("three.py", R"(
import signal, sys
# A shell has what is in its background ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv.pop(1))
import mutants
class Trees:
    designs = {}
mutants.Tree = Trees
mutants.Builder = lambda folder: None
mutants.chosen = lambda tree, arguments: [{"id": name} for name in "abc"]
mutants.check_controls = lambda *arguments: None
mutants.run = lambda *arguments: mutants.ask("/bin/sleep", ["infinity"], None)
sys.exit(mutants.main())
)");
  const Ended ended =
      RunLine("cd " + folder_ + " && { TMPDIR=" + folder_ +
              " python3 three.py " KILL9_SOURCE_DIR
              "/property/mutants --workers=2 --state=state/s --json=said.json >out 2>&1 & "
              "python=$!; asked() { cat /proc/$python/task/*/children; }; "
              "until [ $(asked | wc -w) -eq 2 ]; do sleep 0.05; done; sleepers=$(asked); "
              "kill -INT $python; wait $python; code=$?; cat out; "
              "for one in $sleepers; do kill -0 $one && echo left $one; done; ls; ls state; "
              "exit $code; } 2>/dev/null");
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("interrupted: 0 of 3 are done"));
  EXPECT_THAT(ended.output, Not(HasSubstr("left")));
  EXPECT_THAT(ended.output, Not(HasSubstr("Traceback")));
  EXPECT_THAT(ended.output, ::testing::EndsWith("out\nsaid.json\nstate\nthree.py\ns\n"));
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
