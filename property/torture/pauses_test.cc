// Workers' own pauses: whoever is stopped goes on, whoever rests is not stopped, and a run with
// pauses has some.
#include "harness/torture/worker/pauses.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <new>

#include "gtest/gtest.h"
#include "harness/base/shared_mapping.h"
#include "harness/torture/torture.h"
#include "property/scaffold/planted_store.h"

namespace kill9 {
namespace {

struct Paused {
  uint64_t pauses = 0, stops = 0;
};

// A child that begins `operations` of process `number`, as the parent sees it; the child rests
// first if `rests`.
Paused Watch(uint32_t number, int operations, bool rests) {
  char* const memory = MapShared(sizeof(WorkerBoard), 0);
  WorkerBoard* const board = new (memory) WorkerBoard();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Pauses pauses(*board);
    if (!pauses.ok()) _exit(1);
    pauses.Draw(/*seed=*/1, number);
    if (rests) pauses.Rest();
    for (int i = 0; i < operations; ++i) pauses.Perhaps();
    pauses.Rest();
    _exit(0);
  }
  Paused seen;
  int status = 0;
  // As the supervisor does: on a busy machine the stop may come after what was to end it.
  while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status)) {
    ++seen.stops;
    const uint64_t ends_ns = board->pause_ends_ns.load(std::memory_order_relaxed);
    while (MonotonicNs() < ends_ns + 1'000'000) usleep(1000);
    kill(child, SIGCONT);
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  seen.pauses = board->pauses.load(std::memory_order_relaxed);
  munmap(memory, sizeof(WorkerBoard));
  return seen;
}

TEST(Pauses, WhoeverIsStoppedGoesOn) {
  constexpr uint32_t kChildren = 12;
  constexpr int kOperations = 2000;
  uint64_t stops = 0;
  uint32_t never = 0;
  for (uint32_t number = 1; number <= kChildren; ++number) {
    const Paused seen = Watch(number, kOperations, /*rests=*/false);
    stops += seen.stops;
    never += seen.pauses == 0 ? 1 : 0;
  }
  EXPECT_GT(stops, 0u);
  // Some do, and some do not.
  EXPECT_GT(never, 0u);
  EXPECT_LT(never, kChildren);
}

TEST(Pauses, WhoRestsIsNotStopped) {
  for (uint32_t number = 1; number <= 4; ++number) {
    const Paused seen = Watch(number, 1000, /*rests=*/true);
    EXPECT_EQ(seen.pauses, 0u);
    EXPECT_EQ(seen.stops, 0u);
  }
}

TEST(Pauses, ARunHasThemIfItIsAskedTo) {
  const PlantedVariant sound(Defect::kNone);
  for (const bool pauses : {false, true}) {
    TortureOptions options;
    options.seed = 7;
    options.supervisor.seconds = 600;
    options.supervisor.kills = 60;
    options.pauses = pauses;
    const TortureResult result = RunTorture(sound, *FindScenario("steady"), options,
                                            [](const TortureProgress&) { return true; });
    EXPECT_EQ(result.verdict, Verdict::kPass) << result.reason;
    EXPECT_EQ(result.run["pauses"].get<uint64_t>() > 0, pauses);
  }
}

}  // namespace
}  // namespace kill9
