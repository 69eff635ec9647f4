// Completeness: every access of explored code to the segment goes through a hook. The segment is
// not accessible but for the one instruction that follows a hook.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/explore/scenes/program_scene.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/search/explore.h"
#include "property/explore/programs/programs.h"
#include "variants/registry.h"

namespace kill9::explore {
namespace {

constexpr ExploreOptions kProve = {.deaths = 1,
                                   .strategy = Strategy::kRandom,
                                   .schedules = 4,
                                   .budget_seconds = 600,
                                   .prove_hooks = true};

TEST(ExploreHooks, SeeEveryAccessOfEveryDesign) {
  size_t kinds[2] = {0, 0};
  for (const Design* design : AllDesigns()) {
    if (design->role() != Design::Role::kDesign || !WhyNotExplored(*design).empty()) continue;
    const bool is_store = design->kind() == Variant::kKind;
    ++kinds[is_store ? 0 : 1];
    for (const char* scenario : {is_store ? "put,swap,get+erase" : "send,take,return+receive",
                                 is_store ? "draft,pin+recover" : "draft,drain+recover"}) {
      const ExploreResult result = Explore(**NewScene(*design, scenario), kProve);
      EXPECT_EQ(result.finding.verdict, Verdict::kPass)
          << design->name() << " " << scenario << ": " << result.finding.message;
    }
  }
  EXPECT_GE(kinds[0], 4u);
  EXPECT_GE(kinds[1], 3u);
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

}  // namespace
}  // namespace kill9::explore
