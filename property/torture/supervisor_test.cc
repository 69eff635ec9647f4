// The supervisor, against workers that misbehave: each planted defect must get the verdict that it
// deserves, and whoever dies, nothing is left behind.
#include "harness/torture/supervisor/supervisor.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/torture/supervisor/vacuity.h"
#include "harness/torture/torture.h"
#include "property/scaffold/eventually.h"
#include "property/scaffold/on_one_core.h"
#include "property/scaffold/planted_store.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

// A run that ends by `kills`, far within its seconds; 0: only when something is found.
TortureOptions Options(uint64_t kills = 0) {
  TortureOptions options;
  options.seed = 7;
  options.supervisor.seconds = 600;
  options.supervisor.kills = kills;
  options.supervisor.processes = 3;
  options.supervisor.watchdog_us = 2'000'000;
  return options;
}

bool Continue(const TortureProgress&) { return true; }

// A defect is found long before so many kills, and ends the run.
TortureResult RunPlanted(Defect defect) {
  constexpr uint64_t kFarMore = 20'000;
  return RunTorture(PlantedVariant(defect), *FindScenario("steady"), Options(kFarMore), Continue);
}

struct PlantedCase {
  const char* name;
  Defect defect;
  Verdict verdict;
  const char* reason;
};

// In a table without a spare place the dead are recovered by those who attach, who tell nobody.
TEST(Vacuity, WhoAttachesToATableOfTheDeadRecovers) {
  SupervisorReport report;
  const auto kill = [&](Activity activity, uint64_t times) {
    report.kills[static_cast<size_t>(activity)] += times;
  };
  kill(Activity::kAttaching, 100);  // not participants yet
  kill(Activity::kDetaching, 100);  // not any more, perhaps
  kill(Activity::kOperation, 3);
  kill(Activity::kBetween, 1);
  EXPECT_EQ(AtLeastRecovered(report, 4), 0u) << "all of the dead may have their places still";
  kill(Activity::kRecovering, 1);
  EXPECT_EQ(AtLeastRecovered(report, 4), 1u);
  EXPECT_EQ(AtLeastRecovered(report, 4096), 0u);
}

class PlantedDefect : public testing::TestWithParam<PlantedCase> {};

TEST_P(PlantedDefect, GetsItsVerdict) {
  const TortureResult result = RunPlanted(GetParam().defect);
  EXPECT_EQ(VerdictName(result.verdict), VerdictName(GetParam().verdict)) << result.reason;
  EXPECT_THAT(result.reason, HasSubstr(GetParam().reason));
  EXPECT_EQ(result.run["verdict"], std::string(VerdictName(GetParam().verdict)));
  EXPECT_THAT(result.run["repeat"].get<std::string>(), HasSubstr("--seed=7"));
}

INSTANTIATE_TEST_SUITE_P(
    Supervisor, PlantedDefect,
    testing::Values(
        PlantedCase{"Hangs", Defect::kHangs, Verdict::kStuck, "without progress"},
        PlantedCase{"Crashes", Defect::kCrashes, Verdict::kSurvivorCrashed, "Aborted"},
        PlantedCase{"Exits", Defect::kExits, Verdict::kSurvivorCrashed, "exited with status 1"},
        PlantedCase{"StopsItself", Defect::kStopsItself, Verdict::kStuck, "without progress"},
        PlantedCase{"KilledByOthers", Defect::kKilledByOthers, Verdict::kUndecided, "did not send"},
        PlantedCase{"Torn", Defect::kTorn, Verdict::kViolation, "torn"},
        PlantedCase{"CutShort", Defect::kCutShort, Verdict::kViolation, "torn"},
        PlantedCase{"Foreign", Defect::kForeign, Verdict::kViolation, "another key's value"},
        PlantedCase{"Unknown", Defect::kUnknown, Verdict::kViolation, ""},
        PlantedCase{"LosesWrites", Defect::kLosesWrites, Verdict::kViolation, "version"},
        PlantedCase{"Forgets", Defect::kForgets, Verdict::kViolation, "write was lost"},
        PlantedCase{"RepeatsVersions", Defect::kRepeatsVersions, Verdict::kViolation, "given out"},
        PlantedCase{"PinChanges", Defect::kPinChanges, Verdict::kViolation,
                    "changed before its release"},
        PlantedCase{"ForEachTwice", Defect::kForEachTwice, Verdict::kViolation, "twice"},
        PlantedCase{"ForEachSkips", Defect::kForEachSkips, Verdict::kViolation, "write was lost"},
        PlantedCase{"KeepsDrafts", Defect::kKeepsDrafts, Verdict::kLeak, "held"},
        PlantedCase{"ForgetsRecovery", Defect::kForgetsRecovery, Verdict::kLeak, "participants"},
        PlantedCase{"AuditLies", Defect::kAuditLies, Verdict::kLeak, "does not add up"},
        PlantedCase{"WrongStatus", Defect::kWrongStatus, Verdict::kViolation, "INTERNAL"}),
    [](const testing::TestParamInfo<PlantedCase>& one) { return one.param.name; });

TEST(Supervisor, PassesASoundStore) {
  const TortureResult result =
      RunTorture(PlantedVariant(Defect::kNone), *FindScenario("steady"), Options(500), Continue);
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
  EXPECT_GT(result.run["kills"]["in_operation"].get<uint64_t>(), 0u);
  EXPECT_GT(result.run["audits"].get<uint64_t>(), 1u);
  EXPECT_GT(result.run["recoveries"].get<uint64_t>(), 0u);
}

TEST(Supervisor, CallsARunWithoutKillsVacuous) {
  Scenario scenario = *FindScenario("steady");
  scenario.timer.life_us = 4'000'000'000;
  TortureOptions options = Options();
  options.supervisor.seconds = 0.5;
  options.supervisor.least_extension_seconds = 0;  // more of it brings nobody's death
  const TortureResult result =
      RunTorture(PlantedVariant(Defect::kNone), scenario, options, Continue);
  EXPECT_EQ(VerdictName(result.verdict), "vacuous");
  EXPECT_THAT(result.reason, HasSubstr("nobody was killed"));
}

// Where there are more processes than cores, few operations overlap in a short run.
TEST(Supervisor, GoesOnUntilTwoOperationsHaveOverlapped) {
  const OnOneCore pinned;
  for (int run = 0; run < 5; ++run) {
    TortureOptions options = Options();
    options.supervisor.seconds = 0.02;
    options.supervisor.least_extension_seconds = 100;  // or a thousand deaths
    options.supervisor.processes = 2;
    const TortureResult result =
        RunTorture(PlantedVariant(Defect::kNone), *FindScenario("steady"), options, Continue);
    EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
    EXPECT_GT(result.run["overlapping_operations"].get<uint64_t>(), 0u);
  }
}

TEST(Supervisor, TellsAFindingBeforeAnyKillApart) {
  const TortureResult result = RunPlanted(Defect::kAuditLies);
  EXPECT_THAT(result.reason, HasSubstr("before any kill"));
}

TEST(Supervisor, EndsEarlyWhenAskedTo) {
  const TortureResult result =
      RunTorture(PlantedVariant(Defect::kNone), *FindScenario("steady"), Options(),
                 [](const TortureProgress& state) { return state.kills < 20; });
  EXPECT_EQ(VerdictName(result.verdict), "undecided");
  EXPECT_THAT(result.reason, HasSubstr("interrupted"));
  EXPECT_GE(result.run["kills"]["total"].get<uint64_t>(), 20u);
}

// Whoever audits when the end is asked for must not take it for a fault: others go on, or die.
TEST(Supervisor, FindsNothingInAnAuditThatIsInterrupted) {
  const OnOneCore pinned;  // where who is to die may run before the supervisor goes on
  Scenario scenario = *FindScenario("kill_one_at_a_time");
  scenario.audit_interval_us = scenario.outside_interval_us = 1;  // most of the time is an audit's
  for (uint64_t run = 0; run < 20; ++run) {
    const TortureResult result =
        RunTorture(*FindVariant("global_mutex"), scenario, Options(),
                   [run](const TortureProgress& state) { return state.kills <= run % 8; });
    EXPECT_EQ(VerdictName(result.verdict), "undecided") << "run " << run << ": " << result.reason;
    EXPECT_THAT(result.reason, HasSubstr("interrupted"));
  }
}

TEST(Supervisor, StopsAtTheNumberOfKillsAskedFor) {
  const TortureResult result =
      RunTorture(PlantedVariant(Defect::kNone), *FindScenario("steady"), Options(100), Continue);
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
  EXPECT_GE(result.run["kills"]["total"].get<uint64_t>(), 100u);
}

TEST(Supervisor, CannotCreateASegmentThatDoesNotFit) {
  Scenario scenario = *FindScenario("steady");
  scenario.segment_bytes = uint64_t{1} << 60;
  const TortureResult result =
      RunTorture(PlantedVariant(Defect::kNone), scenario, Options(), Continue);
  EXPECT_EQ(VerdictName(result.verdict), "undecided");
  EXPECT_THAT(result.reason, HasSubstr("cannot create the segment"));
}

// Empty if the process is gone, or goes while it is read.
std::string StatusLine(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  return line;
}

// The descendants of `ancestor`, by /proc.
std::vector<pid_t> Descendants(pid_t ancestor) {
  std::vector<std::pair<pid_t, pid_t>> parents;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string text = StatusLine(std::stoi(name));
    const size_t after_name = text.rfind(')');
    if (after_name == std::string::npos) continue;
    char state = 0;
    int parent = 0;
    if (std::sscanf(text.c_str() + after_name + 1, " %c %d", &state, &parent) != 2) continue;
    if (state != 'Z') parents.emplace_back(std::stoi(name), parent);
  }
  std::vector<pid_t> found = {ancestor};
  for (size_t i = 0; i < found.size(); ++i) {
    for (const auto& [pid, parent] : parents) {
      if (parent == found[i]) found.push_back(pid);
    }
  }
  found.erase(found.begin());
  return found;
}

bool Exists(pid_t pid) {
  const std::string text = StatusLine(pid);
  const size_t after_name = text.rfind(')');
  return after_name != std::string::npos && text.compare(after_name, 3, ") Z") != 0;
}

bool SegmentsOf(pid_t pid) {
  const std::string prefix = "kill9-" + std::to_string(pid) + "-";
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    if (entry.path().filename().string().rfind(prefix, 0) == 0) return true;
  }
  return false;
}

// Runs `scenario` for long in a process of its own; waits until its workers are at work.
pid_t StartRun(const char* scenario, size_t least_descendants) {
  const pid_t caller = fork();
  if (caller == 0) {
    RunTorture(*FindVariant("global_mutex"), *FindScenario(scenario), Options(), Continue);
    _exit(0);
  }
  EXPECT_TRUE(Eventually([&] { return Descendants(caller).size() >= least_descendants; }));
  return caller;
}

class NothingIsLeft : public testing::TestWithParam<const char*> {};

TEST_P(NothingIsLeft, WhenTheCallerIsKilled) {
  const pid_t caller = StartRun(GetParam(), 3);
  const bool named = FindScenario(GetParam())->named_segment;
  if (named) {
    EXPECT_TRUE(Eventually([caller] { return SegmentsOf(caller); }));
  }
  kill(caller, SIGSTOP);  // so that it starts nobody else while we look
  const std::vector<pid_t> descendants = Descendants(caller);
  EXPECT_FALSE(descendants.empty());
  kill(caller, SIGKILL);
  waitpid(caller, nullptr, 0);
  for (const pid_t pid : descendants) EXPECT_TRUE(Eventually([pid] { return !Exists(pid); }));
  EXPECT_TRUE(Eventually([caller] { return !SegmentsOf(caller); }));
}

TEST_P(NothingIsLeft, WhenTheSupervisorIsKilled) {
  const pid_t caller = StartRun(GetParam(), 3);
  std::vector<pid_t> workers;
  pid_t supervisor = 0;
  ASSERT_TRUE(Eventually([&] {
    for (const pid_t pid : Descendants(caller)) {
      workers = Descendants(pid);
      if (workers.size() >= 2 && getpgid(pid) == pid) {  // the supervisor leads its group
        supervisor = pid;
        return true;
      }
    }
    return false;
  }));
  kill(supervisor, SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(caller, &status, 0), caller);  // the caller ends by itself
  EXPECT_TRUE(WIFEXITED(status));
  for (const pid_t pid : workers) EXPECT_TRUE(Eventually([pid] { return !Exists(pid); }));
  EXPECT_FALSE(SegmentsOf(caller));
}

INSTANTIATE_TEST_SUITE_P(Supervisor, NothingIsLeft,
                         testing::Values("steady", "kill_all", "stop_and_resume", "pid_reuse",
                                         "fork_inherit"),
                         [](const testing::TestParamInfo<const char*>& one) { return one.param; });

}  // namespace
}  // namespace kill9
