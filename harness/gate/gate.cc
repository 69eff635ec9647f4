#include "harness/gate/gate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/gate/plan/needed_seconds.h"
#include "harness/result/merge.h"

namespace kill9::gate {
namespace {

// The tiers' shares of the budget, in percent, in their order. What a tier leaves goes to those
// after it.
constexpr std::array<double, kTiers> kShares = {6, 24, 10, 4, 18, 6, 22, 10};

// A torture run shorter than this proves too little; and what a run takes besides its seconds.
constexpr double kLeastTortureSeconds = 0.5;
constexpr double kMostTortureSeconds = 10;
constexpr double kTortureOverheadSeconds = 0.8;
constexpr double kLeastSeconds = 1;  // of one step of the sweep, or of explore
constexpr int kMostTries = 3;
constexpr uint64_t kMoreKills = 4;

int64_t UnixTimeUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

size_t Cores() { return std::max(1u, std::thread::hardware_concurrency()); }

GateCount CountOf(const std::vector<StepResult>& answers) {
  GateCount count;
  for (const StepResult& answer : answers) count.Add(answer.verdict);
  return count;
}

size_t VariantsOf(const std::vector<GateStep>& steps) {
  std::set<std::string> variants;
  for (const GateStep& step : steps) variants.insert(step.variant);
  return variants.size();
}

}  // namespace

Gate::Gate(const GateOptions& options, const volatile std::sig_atomic_t* interrupted,
           std::function<void(const StepResult&)> answered,
           std::function<void(const GateProgress&)> working)
    : options_(options),
      interrupted_(interrupted),
      answered_(std::move(answered)),
      begin_(NowSeconds()),
      deadline_(begin_ + options.budget_seconds),
      pool_(interrupted),
      planner_(options, pool_, deadline_) {
  if (working == nullptr) return;
  pool_.WhileRunning([this, working = std::move(working)](const GateStep& step, double seconds) {
    working({.step = step,
             .step_seconds = seconds,
             .ended = steps_ended_,
             .all = steps_,
             .left_seconds = deadline_ - NowSeconds()});
  });
}

absl::StatusOr<GateResult> Gate::Run() {
  if (!options_.memory.empty()) {
    absl::StatusOr<PassHistory> memory = PassHistory::Load(options_.memory);
    if (!memory.ok()) return memory.status();
    memory_ = *std::move(memory);
  }
  absl::StatusOr<std::vector<TierPlan>> plan = PlanTiers();
  if (!plan.ok()) return plan.status();
  if (!options_.shard.whole()) {
    if (absl::Status status = KeepShare(&*plan); !status.ok()) return status;
  }
  for (const TierPlan& one : *plan) steps_ += one.steps.size();
  RunTiers(*std::move(plan));
  if (const int killed = pool_.EndOrphans(); killed > 0) {
    StepResult left;
    if (!answers_.empty()) left.unit = answers_.back().unit;
    left.name = "processes left behind";
    left.verdict = Verdict::kViolation;
    left.reason = absl::StrCat("processes that outlived the commands that began them: ", killed);
    Add(std::move(left));
  }
  GateResult result{.answers = std::move(answers_),
                    .units = std::move(units_),
                    .not_run = steps_not_run_,
                    .seconds = NowSeconds() - begin_};
  result.needed_seconds = NeededSeconds(result.answers, result.seconds, Cores());
  result.exit_code = CountOf(result.answers).exit_code(*interrupted_ != 0);
  if (!options_.memory.empty()) result.remembered = memory_.Save(options_.memory);
  return result;
}

std::string Conclusion(const GateResult& result) {
  const GateCount count = CountOf(result.answers);
  std::string text = count.Conclusion(result.exit_code);
  if (count.wrong + count.undecided > 0 && result.needed_seconds > 0) {
    absl::StrAppendFormat(&text, ": this machine needs --budget=%.0f", result.needed_seconds);
  }
  if (result.not_run > 0) {
    absl::StrAppend(&text, "; not run after the first failure: ", result.not_run);
  }
  return text;
}

absl::StatusOr<std::vector<Gate::TierPlan>> Gate::PlanTiers() {
  std::vector<TierPlan> plan;
  for (const Tier tier : options_.tiers) {
    absl::StatusOr<std::vector<GateStep>> steps = PlanOrSkip(tier);
    if (!steps.ok()) return steps.status();
    plan.push_back({tier, *std::move(steps)});
  }
  return plan;
}

absl::Status Gate::KeepShare(std::vector<TierPlan>* plan) {
  for (const TierPlan& one : *plan) {
    for (const GateStep& step : one.steps) units_.push_back(step.Id());
  }
  const absl::StatusOr<std::vector<size_t>> share = ShareOf(options_.shard, units_);
  if (!share.ok()) return share.status();
  std::set<std::string> mine;
  for (const size_t unit : *share) mine.insert(units_[unit]);
  for (TierPlan& one : *plan) {
    std::erase_if(one.steps, [&mine](const GateStep& step) { return !mine.contains(step.Id()); });
  }
  return absl::OkStatus();
}

void Gate::RunTiers(std::vector<TierPlan> plan) {
  double shares = 0;
  for (const TierPlan& one : plan) shares += kShares[static_cast<size_t>(one.tier)];
  // Checker and property tests first, together: their programs run side by side.
  std::vector<GateStep> tests;
  for (TierPlan& one : plan) {
    const double share = kShares[static_cast<size_t>(one.tier)];
    std::erase_if(one.steps, [this](const GateStep& step) {
      if (!step.skipped.empty()) Take(step, {}, Read(step, {}));
      return !step.skipped.empty();
    });
    if (one.tier == Tier::kChecker || one.tier == Tier::kProperty) {
      tests.insert(tests.end(), one.steps.begin(), one.steps.end());
    } else {
      RunSteps(std::exchange(tests, {}), Cores());
      const double now = NowSeconds();
      RunTier(one.tier, std::move(one.steps),
              now + std::max(0.0, deadline_ - now) * share / shares);
    }
    shares -= share;
  }
  RunSteps(tests, Cores());
}

absl::StatusOr<std::vector<GateStep>> Gate::PlanOrSkip(Tier tier) {
  absl::StatusOr<std::vector<GateStep>> steps = planner_.Plan(tier);
  if (steps.ok()) return steps;
  const std::string reason(steps.status().message());
  if (absl::IsFailedPrecondition(steps.status()) && !options_.tiers_are_named) {
    return std::vector<GateStep>{{.tier = tier, .name = "all", .skipped = reason}};
  }
  return absl::Status(steps.status().code(),
                      absl::StrCat("tier ", std::string(TierName(tier)), ": ", reason));
}

void Gate::RunTier(Tier tier, std::vector<GateStep> steps, double until) {
  if (Planner::IsSample(tier)) {
    RunSample(std::move(steps), until);
  } else if (tier == Tier::kBaselines) {
    for (const GateStep& step : steps) RunUntilDecided(step, [](GateStep&) {});
  } else {
    RunSteps(steps, Cores());
  }
}

void Gate::RunSample(std::vector<GateStep> steps, double until) {
  if (steps.empty()) return;
  memory_.Order(steps, options_.seed);
  if (options_.by_work() && steps[0].tier != Tier::kPlanted) return RunByWork(steps);
  if (steps[0].tier == Tier::kTorture) return RunTorture(steps, until);
  if (steps[0].tier == Tier::kPlanted) return RunPlanted(steps, until);
  double shares = 0;
  for (const GateStep& step : steps) shares += Planner::ShareOf(step);
  for (GateStep& step : steps) {
    const double share = Planner::ShareOf(step);
    const double seconds = (until - NowSeconds()) / shares;
    planner_.SetSeconds(step, share * std::max(seconds, kLeastSeconds));
    RunSteps({step}, 1);
    shares -= share;
  }
}

void Gate::RunTorture(const std::vector<GateStep>& steps, double until) {
  const double least_each = kLeastTortureSeconds + kTortureOverheadSeconds;
  // What a busy machine leaves of the time: the last run must not be cut off.
  constexpr double kUsable = 0.75;
  until = NowSeconds() + kUsable * std::max(0.0, until - NowSeconds());
  const double fit = (until - NowSeconds()) / least_each;
  std::vector<GateStep> chosen =
      FairShare(steps, std::max(VariantsOf(steps), static_cast<size_t>(fit)));
  for (size_t n = 0; n < chosen.size(); ++n) {
    const double left = (until - NowSeconds()) / static_cast<double>(chosen.size() - n);
    planner_.SetSeconds(chosen[n], std::clamp(left - kTortureOverheadSeconds, kLeastTortureSeconds,
                                              kMostTortureSeconds));
    RunSteps({chosen[n]}, 1);
  }
}

void Gate::RunPlanted(const std::vector<GateStep>& steps, double until) {
  // One bug of each variant and one control whatever the share; then as many as it allows.
  std::set<std::string> seen;
  std::vector<GateStep> first;
  std::vector<GateStep> others;
  for (const GateStep& step : steps) {
    const bool is_new = seen.insert(step.must_pass() ? "control" : step.variant).second;
    (is_new ? first : others).push_back(step);
  }
  RunSteps(first, 1);
  for (const GateStep& step : FairShare(others, others.size())) {
    if (NowSeconds() >= until) return;
    RunSteps({step}, 1);
  }
}

void Gate::RunByWork(const std::vector<GateStep>& steps) {
  for (const GateStep& step : steps) {
    uint64_t kills = options_.kills;
    RunUntilDecided(step, [&](GateStep& sized) {
      planner_.SetWork(sized, kills);
      kills *= kMoreKills;
    });
  }
}

// What proved nothing, since too few were killed or the machine was too busy, is tried again: that
// turns no wrong answer into a right one.
void Gate::RunUntilDecided(const GateStep& step, absl::FunctionRef<void(GateStep&)> size) {
  Outcome last;
  std::vector<StepResult> answers;
  bool undecided = true;
  for (int tries = 0; undecided && tries < kMostTries; ++tries) {
    GateStep sized = step;
    size(sized);
    pool_.Run({sized}, 1, deadline_, [&](const GateStep& one, const Outcome& outcome) {
      last = outcome;
      answers = Read(one, outcome);
    });
    undecided = std::any_of(answers.begin(), answers.end(), [](const StepResult& answer) {
      return ExitCode(answer.verdict) == kExitUndecided && !answer.lacked_time;
    });
    if (*interrupted_ != 0) break;
  }
  Take(step, last, std::move(answers));
}

void Gate::RunSteps(const std::vector<GateStep>& steps, size_t parallel) {
  pool_.Run(steps, parallel, deadline_, [this](const GateStep& step, const Outcome& outcome) {
    Take(step, outcome, Read(step, outcome));
  });
}

void Gate::Take(const GateStep& step, const Outcome& outcome, std::vector<StepResult> answers) {
  if (outcome.ending == ExitReason::kNotWanted) {
    ++steps_not_run_;
    return;
  }
  ++steps_ended_;
  bool all_passed = true;
  for (StepResult& answer : answers) {
    all_passed = all_passed && answer.verdict == Verdict::kPass;
    answer.unit = step.Id();
    Add(std::move(answer));
  }
  if (!all_passed) return;
  memory_.Passed(step, UnixTimeUs());
  std::error_code ignored;
  std::filesystem::remove(step.log_file, ignored);
  if (!step.result_file.empty()) std::filesystem::remove(step.result_file, ignored);
}

void Gate::Add(StepResult answer) {
  if (options_.fail_fast && ExitCode(answer.verdict) == kExitFailed) pool_.Stop();
  answered_(answer);
  answers_.push_back(std::move(answer));
}

}  // namespace kill9::gate
