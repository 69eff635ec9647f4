// Weakening the memory orders of a program one at a time: what matters is found.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/explore/runtime/machine.h"
#include "harness/explore/scenes/program_scene.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/ordering_score.h"
#include "harness/explore/search/spare_order.h"
#include "property/explore/programs/programs.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

std::vector<WeakenedOrdering> Score(const std::string& bug, MemoryModel model = MemoryModel::kC11) {
  const auto scene = [](const std::string& name) -> std::unique_ptr<Scene> {
    const auto found = std::find_if(PublicBugs().begin(), PublicBugs().end(),
                                    [&](const PublicBug& one) { return one.name == name; });
    return std::make_unique<ProgramScene>(found->make(true));
  };
  return ScoreOrderings({bug}, scene, {.model = model, .deaths = 1, .budget_seconds = 600});
}

size_t Found(const std::vector<WeakenedOrdering>& all) {
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& one) { return !one.scenario.empty(); }));
}

TEST(ExploreOrderings, WhatAProgramNeedsIsFound) {
  // A release and an acquire that need each other.
  std::vector<WeakenedOrdering> all = Score("relaxed_giving_back");
  EXPECT_EQ(all.size(), 2u);
  EXPECT_EQ(Found(all), 2u);
  for (const WeakenedOrdering& one : all) {
    EXPECT_THAT(one.place, testing::StartsWith("property/explore/programs/public_bugs.cc:"));
    EXPECT_THAT(one.message, testing::HasSubstr("data race"));
  }
  // Two fences, and the two accesses that begin and end the seqlock.
  all = Score("seqlock_fences");
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(Found(all), 4u);
}

TEST(ExploreOrderings, ASignalFenceThatIsNeededIsFound) {
  const std::vector<WeakenedOrdering> all = Score("mark_by_luck", MemoryModel::kCompiler);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].of, Ordering::Of::kSignalFence);
  EXPECT_EQ(all[0].scenario, "mark_by_luck");
}

// What one has written before its mark must be there when it dies: no compiler may put it off, as
// long as nothing holds it back, which may come right after the mark.
TEST(ExploreOrderings, AReleaseThatADeathNeedsIsFound) {
  Thread writes = {{Code::kStore, 0, 1}, {Code::kStore, 1, 1, std::memory_order_release}};
  const auto scene = [&writes](const std::string&) {
    Program program;
    program.participants = 1;
    program.run = [writes](char* memory, int, uint64_t* results) {
      Interpret(memory, writes, results);
    };
    program.judge = [](char* memory, const ProgramOutcome&) -> std::string {
      uint64_t words[2];
      std::memcpy(words, memory, sizeof words);
      return words[1] == 1 && words[0] == 0 ? "it is marked, and not there" : "";
    };
    return std::make_unique<ProgramScene>(program);
  };
  const auto score = [&scene] {
    return ScoreOrderings({"a"}, scene,
                          {.model = MemoryModel::kCompiler, .deaths = 1, .budget_seconds = 600});
  };
  for (const Instruction& then :
       {Instruction{Code::kLoad, 0, 0}, {Code::kFence, 0, 0}, {Code::kFetchAdd, 2, 1}}) {
    writes.resize(2);
    writes.push_back(then);
    const std::vector<WeakenedOrdering> all = score();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].of, Ordering::Of::kStore);
    EXPECT_EQ(all[0].from, Order::kRelease);
    EXPECT_EQ(all[0].scenario, "a") << static_cast<int>(then.code);
  }
}

TEST(ExploreOrderings, WhatAProgramDoesNotNeedIsNot) {
  // The update's acquire, and that of its failure, which nobody needs.
  const std::vector<WeakenedOrdering> all = Score("update_only_acquires");
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(Found(all), 2u);
  for (const WeakenedOrdering& one : all) {
    EXPECT_EQ(one.scenario.empty(),
              one.to == Order::kRelease || one.of == Ordering::Of::kFailedUpdate)
        << one.place;
    EXPECT_EQ(one.exhaustive, one.scenario.empty()) << one.place;
    // What is not needed is given by another order, too.
    EXPECT_EQ(one.novelties == 0, one.scenario.empty()) << one.place;
    // Its place says so; of what the comment is not about it does not.
    EXPECT_EQ(one.spare, one.to == Order::kRelease ? "nobody has stored before" : "") << one.place;
  }
}

// Writes the lines to a file, and asks for its last one.
std::string SaidOfTheLast(const std::vector<std::string>& lines) {
  const std::string path = absl::StrCat(testing::TempDir(), "kill9_spare_", getpid(), ".cc");
  std::ofstream file(path);
  for (const std::string& line : lines) file << line << "\n";
  file.close();
  return WhySpare(path, static_cast<int>(lines.size()), "release", "c11");
}

TEST(ExploreOrderings, ACommentIsThatOfTheStatementBehindItAndNotOfAFunction) {
  const std::string comment = "// [spare release: so]", store = "word.store(0, release);";
  EXPECT_EQ(SaidOfTheLast({comment, store}), "so");
  EXPECT_EQ(SaidOfTheLast({comment, "Clear(word,", "      generation);"}), "so");
  EXPECT_EQ(SaidOfTheLast({comment, "void Clear() {", store}), "");
}

// A comment that says that an order is spare stands before one: in each design.
TEST(ExploreOrderings, EachSpareOrderOfADesignIsThere) {
  size_t spare = 0;
  const std::regex mark(R"(\[spare ((?:failed )?(\w+))(?: under (\w+)(?: of (\w+))?)?: )");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(KILL9_SOURCE_DIR "/variants")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream source(entry.path());
    std::string comment, line;
    for (int number = 1; std::getline(source, line); ++number) {
      const size_t first = line.find_first_not_of(' ');
      if (first != std::string::npos && line.find("//") == first) {
        comment += line.substr(first + 2);
        continue;
      }
      const std::string before = std::exchange(comment, "");
      auto found = std::sregex_iterator(before.begin(), before.end(), mark);
      if (found == std::sregex_iterator()) continue;
      // Where the statement has its order, or ends: a comment before a function is not found there.
      int statement = number;
      for (std::string more; line.find(';') == std::string::npos && std::getline(source, more);) {
        ++number;
        if (line.find("memory_order") == std::string::npos) statement = number;
        line += more;
      }
      for (; found != std::sregex_iterator(); ++found, ++spare) {
        const std::string model = (*found)[3].matched ? (*found)[3] : std::string("c11");
        const std::string lost = (*found)[1];
        const std::string design = (*found)[4];
        EXPECT_NE(WhySpare(entry.path(), statement, lost, model, design), "") << statement;
        EXPECT_TRUE(design.empty() || WhySpare(entry.path(), statement, lost, model).empty());
        // A call of what has the order names none.
        const std::string order = (*found)[2] == "fence" ? "signal_fence" : (*found)[2].str();
        const bool has = line.find(order) != std::string::npos ||
                         line.find("acq_rel") != std::string::npos ||
                         line.find("memory_order") == std::string::npos;
        EXPECT_TRUE(has) << entry << ":" << statement << ": " << line;
      }
    }
  }
  EXPECT_GT(spare, 0u);
}

// Where the order is too weak the program overwrites its explorer.
TEST(ExploreOrderings, WhatEndsTheExplorerIsFoundAndTheOthersToo) {
  const auto scene = [](const std::string&) {
    Program program;
    program.run = [](char* memory, int participant, uint64_t* results) {
      if (participant == 0) {
        const Thread writes = {{Code::kStore, 0, 1},
                               {Code::kStore, 1, 1, std::memory_order_release}};
        return Interpret(memory, writes, results);
      }
      Interpret(memory, {{Code::kLoad, 1, 0, std::memory_order_acquire}, {Code::kLoad, 0, 0}},
                results);
      if (results[0] == 1 && results[1] == 0) {
        std::memset(static_cast<void*>(&Machine::Get()), 'A', sizeof(Machine));
      }
    };
    return std::make_unique<ProgramScene>(program);
  };
  const std::vector<WeakenedOrdering> all = ScoreOrderings({"a"}, scene, {.budget_seconds = 600});
  EXPECT_EQ(all.size(), 2u);  // the release and the acquire
  for (const WeakenedOrdering& one : all) {
    EXPECT_EQ(one.scenario, "a") << one.place;
    EXPECT_THAT(one.message, testing::HasSubstr("ended the process that explored it")) << one.place;
  }
}

// How many seq_cst orders of a design, at such a place, are found to matter in a scene.
size_t FoundSeqCst(const char* design, const std::string& scenario, const std::string& place) {
  const Variant& variant = *FindVariant(design);
  const auto scene = [&](const std::string& name) { return *NewScene(variant, name); };
  size_t found = 0;
  for (const WeakenedOrdering& one : ScoreOrderings(
           {scenario}, scene, {.budget_seconds = 600, .schedules = 4000, .place = place})) {
    found += one.from == Order::kSeqCst && !one.scenario.empty();
  }
  return found;
}

TEST(ExploreOrderings, WhatTheKernelsBarrierPaysForIsNeededWhereThereIsNone) {
  // Who publishes a hold and who looks for holds, each by a store and a load.
  EXPECT_EQ(FoundSeqCst("cas_slots", "put,put,put+pin@full@fences", "cas_slots/c"), 4u);
  EXPECT_EQ(FoundSeqCst("cas_slots", "put,put,put+pin@full", "cas_slots/c"), 0u);
}

// Who scans for holds must not pass by one that attached meanwhile, and that one must see the scan:
// only in a scene in which somebody comes.
TEST(ExploreOrderings, WhoHasJustComeIsNotPassedBy) {
  constexpr char kAttach[] = "seqlock_ring/seqlock_ring.cc", kScan[] = "seqlock_ring/space.cc";
  EXPECT_EQ(FoundSeqCst("seqlock_ring", "put+glance@full", kAttach), 1u);
  EXPECT_EQ(FoundSeqCst("seqlock_ring", "put+glance@full", kScan), 3u);
  EXPECT_EQ(FoundSeqCst("seqlock_ring", "put+pin@full", kAttach), 0u);
}

// What stands at the end of several branches, too: it has a line of its own.
TEST(ExploreOrderings, EachOrderHasALine) {
  const Design* const design = FindDesign("global_mutex");
  const std::vector<WeakenedOrdering> all =
      ScoreOrderings({"pin+put", "draft+get"},
                     [design](const std::string& name) { return *NewScene(*design, name); },
                     {.model = MemoryModel::kCompiler, .schedules = 1, .place = "stores/locked/"});
  EXPECT_GT(all.size(), 10u);
  for (const WeakenedOrdering& one : all) {
    EXPECT_THAT(one.place, testing::Not(testing::EndsWith(":0")));
  }
}

}  // namespace
}  // namespace kill9::explore
