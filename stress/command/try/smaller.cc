#include "stress/command/try/smaller.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "harness/base/text/count_of.h"
#include "harness/programs/programs.h"
#include "harness/torture/torture.h"

namespace kill9 {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint32_t kMostSmallerRuns = 5;  // where work bounds a trial
constexpr uint64_t kKillsForSmaller = 2;  // than it took, for a smaller run to fail in
constexpr uint64_t kLeastKillsForSmaller = 40;
constexpr double kLeastSecondsForSmaller = 0.5;  // in which a run may come to something
constexpr double kSecondsOfSmaller = 600;        // a bound all the same

// "3 participants, 8 keys, 40 kills"
std::string SizeOf(const Json& with) {
  return absl::StrCat(CountOf(with["processes"].get<uint64_t>(), "participant"), ", ",
                      CountOf(with["keys"].get<uint64_t>(), "key"), ", ",
                      CountOf(with["kills"].get<uint64_t>(), "kill"));
}
uint64_t KillsOf(const Json& run) { return run["kills"]["total"].get<uint64_t>(); }

class Reduction {
 public:
  Reduction(const programs::ProgramOptions& programs, const Json& found, const TryOptions& options,
            double seconds)
      : options_(options),
        was_stuck_(VerdictOf(found) == Verdict::kStuck),
        least_(programs),
        kills_(KillsOf(found)),
        end_(SteadyClock::now() +
             std::chrono::duration_cast<SteadyClock::duration>(
                 std::chrono::duration<double>(options.by_work() ? kSecondsOfSmaller : seconds))) {}

  Json Run() {
    const uint32_t programs = static_cast<uint32_t>(least_.programs.size());
    for (const uint32_t processes : {std::max(2u, programs), std::max(3u, programs)}) {
      programs::ProgramOptions fewer = least_;
      fewer.processes = processes;
      if (processes >= least_.processes || FailsAsWell(fewer, MoreThanItTook())) break;
    }
    if (programs::Workload(least_.workload).keys() > 1) {
      programs::ProgramOptions fewer = least_;
      fewer.workload.keys = 1;
      FailsAsWell(fewer, MoreThanItTook());
    }
    while (kills_ > 1 && Goes()) {
      programs::ProgramOptions another = least_;
      another.seed += runs_;
      FailsAsWell(another, kills_ - 1);
    }
    return Kept();
  }

 private:
  double SecondsLeft() const {
    return std::chrono::duration<double>(end_ - SteadyClock::now()).count();
  }
  bool Goes() const {
    return !*options_.interrupted && SecondsLeft() > kLeastSecondsForSmaller &&
           (!options_.by_work() || runs_ < kMostSmallerRuns);
  }
  // What is kept of the smallest takes the place of what was kept of the first.
  Json Kept() const {
    if (smallest_.is_null()) return smallest_;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(kept_, ignored)) {
      std::filesystem::rename(
          entry.path(), std::filesystem::path(options_.counterexamples) / entry.path().filename(),
          ignored);
    }
    std::filesystem::remove(kept_, ignored);
    return ParseJson(
        absl::StrReplaceAll(Dump(smallest_), {{kept_ + "/", options_.counterexamples + "/"}}));
  }
  uint64_t MoreThanItTook() const {
    return std::max(kLeastKillsForSmaller, kKillsForSmaller * kills_);
  }

  // Then it is the least so far.
  bool FailsAsWell(programs::ProgramOptions smaller, uint64_t most_kills) {
    if (!Goes()) return false;
    ++runs_;
    smaller.kills = most_kills;
    smaller.seconds = SecondsLeft();
    smaller.counterexamples = absl::StrCat(options_.counterexamples, "/smaller-", runs_);
    TortureResult result = programs::TorturePrograms(smaller, [&](const TortureProgress& state) {
      options_.progress(absl::StrFormat("the same failure with %s, %s? %s",
                                        CountOf(smaller.processes, "participant"),
                                        CountOf(programs::Workload(smaller.workload).keys(), "key"),
                                        CountOf(state.kills, "kill")));
      return !*options_.interrupted;
    });
    const bool fails = ExitCode(result.verdict) == kExitFailed && !result.machine_refused &&
                       (result.verdict == Verdict::kStuck) == was_stuck_ &&
                       !result.run.value("control", false);
    std::error_code ignored;
    std::filesystem::remove_all(fails ? kept_ : smaller.counterexamples, ignored);
    if (!fails) return false;
    kept_ = smaller.counterexamples;
    least_ = std::move(smaller);
    kills_ = KillsOf(result.run);
    smallest_ = std::move(result.run);
    return true;
  }

  const TryOptions& options_;
  const bool was_stuck_;  // else it was told something wrong, be it that it ended by that
  programs::ProgramOptions least_;
  uint64_t kills_;
  const SteadyClock::time_point end_;
  std::string kept_;  // the folder of the smallest
  Json smallest_;
  uint32_t runs_ = 0;
};

}  // namespace

Json SmallerFailure(const programs::ProgramOptions& programs, const Json& found,
                    const TryOptions& options, double seconds) {
  Json smallest = Reduction(programs, found, options, seconds).Run();
  if (smallest.is_null()) return smallest;
  smallest["found_with"] = {
      {"processes", found["processes"]}, {"keys", found["keys"]}, {"kills", KillsOf(found)}};
  return smallest;
}

std::string HowSmall(const Json& run) {
  if (!run.contains("found_with")) return "";
  const Json now = {
      {"processes", run["processes"]}, {"keys", run["keys"]}, {"kills", KillsOf(run)}};
  return absl::StrCat(", made smaller: ", SizeOf(now), " (found with ", SizeOf(run["found_with"]),
                      ")");
}

}  // namespace kill9
