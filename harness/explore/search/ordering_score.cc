#include "harness/explore/search/ordering_score.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/wait_for_end.h"
#include "harness/base/shared_mapping.h"
#include "harness/explore/search/spare_order.h"
#include "harness/stepper/trace/symbols.h"

namespace kill9::explore {
namespace {

constexpr uint64_t kSchedulesToRecord = 3000;
// First so many at random in each scenario, which tell where the weaker order allows more than the
// one that is written. Then so many more in each, more and more. Not so long: what is found would
// depend on how busy the computer is.
constexpr uint64_t kSchedulesOfFirstLook = 300;
constexpr uint64_t kSchedulesOfALook[] = {4'000, 20'000, 100'000};

constexpr std::string_view kOfNames[] = {"load",          "store", "update",
                                         "failed update", "fence", "signal fence"};
constexpr std::string_view kOrderNames[] = {"relaxed", "consume", "acquire",
                                            "release", "acq_rel", "seq_cst"};

// The same line of the source may be in the program many times.
struct Written {
  std::string file;
  int line;
  Ordering::Of of;
  Order order;
  bool operator<(const Written& other) const {
    return std::tie(file, line, of, order) <
           std::tie(other.file, other.line, other.of, other.order);
  }
};
struct Known {
  std::vector<Ordering> copies;
  std::vector<std::string> scenarios;
};

// What a child has found, where its parent sees it.
constexpr size_t kMostName = 255;
struct Looked {
  bool is_done;
  bool exhaustive;
  uint64_t schedules, novelties;
  double seconds;
  char scenario[kMostName + 1], message[2048];

  void Set(const WeakenedOrdering& weakened) {
    exhaustive = weakened.exhaustive;
    schedules = weakened.schedules;
    novelties = weakened.novelties;
    seconds = weakened.seconds;
    std::strncpy(scenario, weakened.scenario.c_str(), kMostName);
    std::strncpy(message, weakened.message.c_str(), sizeof message - 1);
  }
  void Tell(WeakenedOrdering& weakened) const {
    weakened.exhaustive = exhaustive;
    weakened.schedules = schedules;
    weakened.novelties = novelties;
    weakened.seconds = seconds;
    weakened.scenario = scenario;
    weakened.message = message;
  }
};

class Score {
 public:
  Score(const std::function<std::unique_ptr<Scene>(const std::string&)>& scene,
        const OrderingScoreOptions& options)
      : scene_(scene),
        options_(options),
        symbols_(getpid()),
        looked_(reinterpret_cast<Looked*>(MapShared(sizeof(Looked), 0))) {}
  ~Score() {
    if (looked_ != nullptr) munmap(looked_, sizeof(Looked));
  }
  Score(const Score&) = delete;
  Score& operator=(const Score&) = delete;

  void Record(const std::string& scenario) {
    Orderings::Get().Record();
    const ExploreResult result = Run(scenario, 600, kSchedulesToRecord);
    const std::vector<Ordering> orderings = Orderings::Get().StopRecording();
    // What fails as it is written says nothing about an ordering.
    if (result.finding.verdict != Verdict::kPass || result.unsteady) {
      std::fprintf(stderr, "kill9-explore: %s is left out: it fails as it is written: %s\n",
                   scenario.c_str(), result.finding.message.c_str());
      return;
    }
    for (const Ordering& ordering : orderings) {
      const stepper::SourceLine at = LineOf(ordering);
      Known& known = known_[{at.file, at.line, ordering.of, ordering.order}];
      if (std::find(known.copies.begin(), known.copies.end(), ordering) == known.copies.end()) {
        known.copies.push_back(ordering);
      }
      if (known.scenarios.empty() || known.scenarios.back() != scenario) {
        known.scenarios.push_back(scenario);
      }
    }
  }

  std::vector<WeakenedOrdering> WeakenEach() {
    std::vector<WeakenedOrdering> all;
    for (const auto& [written, known] : known_) {
      const std::string place = absl::StrCat(stepper::ShortPath(written.file), ":", written.line);
      if (!absl::StrContains(place, options_.place)) continue;
      for (const Order to : OneStepWeaker(written.of, written.order)) {
        if (Interrupted()) return all;
        all.push_back(
            {place, written.of, written.order, to, "", "",
             WhySpare(written.file, written.line, WhatIsLost(written.of, written.order, to),
                      ModelName(options_.model), options_.design)});
        LookApart(known, to, all.back());
      }
    }
    return all;
  }

 private:
  // A call's return address: the line is that of the instruction before it.
  stepper::SourceLine LineOf(const Ordering& ordering) const {
    stepper::SourceLine line = symbols_.LineOfOurs(ordering.code - 1);
    if (stepper::IsOfLibrary(line.file)) line = symbols_.LineOfOurs(ordering.caller - 1);
    return line;
  }
  bool Interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  ExploreResult Run(const std::string& scenario, double seconds, uint64_t schedules,
                    Strategy strategy = Strategy::kAuto) {
    // Until it is over: of a process that ends in it, all that is told.
    if (looked_ != nullptr) std::strncpy(looked_->scenario, scenario.c_str(), kMostName);
    const std::unique_ptr<Scene> scene = scene_(scenario);
    return Explore(*scene, {.model = options_.model,
                            .deaths = options_.deaths,
                            .strategy = strategy,
                            .schedules = schedules,
                            .budget_seconds = seconds,
                            .seed = options_.seed,
                            .interrupted = options_.interrupted});
  }

  // Whether the search is over: it was found, or there is no time left.
  bool Finds(const std::string& scenario, const ExploreResult& result,
             WeakenedOrdering& weakened) const {
    weakened.seconds += result.seconds;
    weakened.schedules += result.schedules;
    weakened.novelties += result.novelties;
    if (result.finding.verdict != Verdict::kPass) {
      weakened.scenario = scenario;
      weakened.message = result.finding.message;
      return true;
    }
    const bool enough = options_.schedules != 0 && weakened.schedules >= options_.schedules;
    return enough || weakened.seconds > options_.budget_seconds || Interrupted();
  }

  // In a process of its own, where one can be made: code of too weak an order may write anywhere.
  void LookApart(const Known& known, Order to, WeakenedOrdering& weakened) {
    const pid_t parent = getpid();
    const pid_t pid = looked_ == nullptr ? -1 : fork();
    if (pid > 0) return HearOf(pid, weakened);
    if (pid == 0) DieWithParent(parent);
    Orderings::Get().Weaken(known.copies, to);
    Look(known, weakened);
    Orderings::Get().Weaken({}, to);
    if (pid < 0) return;
    looked_->Set(weakened);
    looked_->is_done = true;
    _exit(0);
  }

  void HearOf(pid_t pid, WeakenedOrdering& weakened) {
    const int status = WaitForEnd(pid);
    looked_->Tell(weakened);
    if (!looked_->is_done) {
      weakened.message = absl::StrCat("explored code ended the process that explored it, by ",
                                      sigabbrev_np(WTERMSIG(status)));
    }
    *looked_ = {};
  }

  void Look(const Known& known, WeakenedOrdering& weakened) {
    // The more it allows, the sooner.
    std::vector<std::pair<uint64_t, std::string>> left;
    for (const std::string& scenario : known.scenarios) {
      const ExploreResult result = Run(scenario, options_.budget_seconds - weakened.seconds,
                                       kSchedulesOfFirstLook, Strategy::kRandom);
      if (Finds(scenario, result, weakened)) return;
      left.emplace_back(result.novelties, scenario);
    }
    std::stable_sort(left.begin(), left.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    for (const uint64_t schedules : kSchedulesOfALook) {
      std::vector<std::pair<uint64_t, std::string>> not_all;
      for (const auto& [novelties, scenario] : left) {
        const ExploreResult result =
            Run(scenario, options_.budget_seconds - weakened.seconds, schedules);
        if (Finds(scenario, result, weakened)) return;
        if (!result.exhaustive) not_all.emplace_back(novelties, scenario);
      }
      left = not_all;
    }
    weakened.exhaustive = left.empty();
  }

  const std::function<std::unique_ptr<Scene>(const std::string&)>& scene_;
  const OrderingScoreOptions& options_;
  const stepper::Symbols symbols_;
  Looked* const looked_;  // null: there is no room for it
  std::map<Written, Known> known_;
};

}  // namespace

OrderingAnswer AnswerOf(const WeakenedOrdering& one, MemoryModel model) {
  const bool is_found = !one.scenario.empty();
  if (is_found) return one.spare.empty() ? OrderingAnswer::kFound : OrderingAnswer::kWronglySpare;
  if (one.exhaustive) return OrderingAnswer::kNeverWrong;
  // Signal fences have no novelties.
  if (one.novelties == 0 && model == MemoryModel::kC11) return OrderingAnswer::kAllowsNothing;
  return one.spare.empty() ? OrderingAnswer::kMissed : OrderingAnswer::kSpare;
}

std::string_view NameOf(Ordering::Of of) { return kOfNames[static_cast<size_t>(of)]; }
std::string_view NameOf(Order order) { return kOrderNames[static_cast<size_t>(order)]; }

std::vector<WeakenedOrdering> ScoreOrderings(
    const std::vector<std::string>& scenarios,
    const std::function<std::unique_ptr<Scene>(const std::string& name)>& scene,
    const OrderingScoreOptions& options) {
  Score score(scene, options);
  for (const std::string& scenario : scenarios) score.Record(scenario);
  return score.WeakenEach();
}

}  // namespace kill9::explore
