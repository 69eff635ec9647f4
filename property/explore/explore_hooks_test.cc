// Completeness: every access of explored code to the segment goes through a hook. The segment is
// not accessible but for the one instruction that follows a hook.
#include <cstring>
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/explore/runtime/machine.h"
#include "harness/explore/scenes/program_scene.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"
#include "property/explore/programs/programs.h"
#include "variants/buffers/buffer_pool_design.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

constexpr ExploreOptions kProve = {.deaths = 1,
                                   .strategy = Strategy::kRandom,
                                   .schedules = 4,
                                   .budget_seconds = 600,
                                   .prove_hooks = true};

TEST(ExploreHooks, SeeEveryAccessOfEveryDesign) {
  const std::map<std::string_view, std::vector<const char*>> scenarios = {
      {Variant::kKind, {"put,swap,get+erase", "draft,pin+recover", "brief,wait_lease+tick,get"}},
      {ChannelDesign::kKind, {"send,take,return+receive", "draft,drain+recover", "ask+ask"}},
      {HeapDesign::kKind, {"alloc,free,drop+owners", "use,share+recover", "pass+grab"}},
      {kPoolKind, {"alloc,send,write+receive,free", "grow,drop+post,receive", "seat,share+void"}}};
  std::map<std::string_view, size_t> designs;
  for (const Design* design : AllDesigns()) {
    if (design->role() != Design::Role::kDesign || !WhyNotExplored(*design).empty()) continue;
    ++designs[design->kind()];
    for (const char* scenario : scenarios.at(design->kind())) {
      const ExploreResult result = Explore(**NewScene(*design, scenario), kProve);
      EXPECT_EQ(result.finding.verdict, Verdict::kPass)
          << design->name() << " " << scenario << ": " << result.finding.message;
    }
  }
  EXPECT_GE(designs[Variant::kKind], 4u);
  EXPECT_GE(designs[ChannelDesign::kKind], 4u);
  EXPECT_GE(designs[HeapDesign::kKind], 2u);
  EXPECT_EQ(designs[kPoolKind], 1u);
}

// This test is not compiled to be explored: what it touches itself, no hook sees.
TEST(ExploreHooks, AnAccessWithoutOneIsAFinding) {
  for (const bool unseen : {false, true}) {
    Program program;
    program.run = [unseen](char* memory, int, uint64_t* results) {
      Interpret(memory, {{Code::kStore, 0, 1}, {Code::kPlainLoad, 1, 0}}, results);
      if (unseen) results[2] = *static_cast<volatile char*>(memory);
    };
    ProgramScene scene(program);
    const ExploreResult result = Explore(scene, kProve);
    if (unseen) {
      EXPECT_EQ(result.finding.verdict, Verdict::kSurvivorCrashed);
      EXPECT_THAT(result.finding.message, testing::HasSubstr("does not see the access"));
    } else {
      EXPECT_EQ(result.finding.verdict, Verdict::kPass) << result.finding.message;
    }
  }
}

// As a wild store of a wrong program may. It went round for ever, and took more and more memory.
TEST(ExploreHooksDeathTest, WhoeverOverwritesTheExplorerEndsIt) {
  Program program;
  program.run = [](char* memory, int, uint64_t* results) {
    Interpret(memory, {{Code::kStore, 0, 1}}, results);
    std::memset(static_cast<void*>(&Machine::Get()), 'A', sizeof(Machine));
    Interpret(memory, {{Code::kStore, 0, 2}}, results);
  };
  EXPECT_DEATH(
      {
        ProgramScene scene(program);
        Explore(scene, {.strategy = Strategy::kRandom, .schedules = 4, .budget_seconds = 600});
      },
      "overwritten the explorer's own memory");
}

}  // namespace
}  // namespace kill9::explore
