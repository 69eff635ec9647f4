#include "harness/explore/search/explore.h"

#include <chrono>

namespace kill9::explore {
namespace {

// At the beginning, to find the words that several participants touch.
constexpr uint64_t kFirstAtRandom = 60;
constexpr uint64_t kMostStates = 60'000'000;  // 17 bytes each
constexpr uint64_t kLooksAtTheClock = 64;     // once in so many schedules
constexpr uint64_t kNotYetDull = 200;

class Explorer {
 public:
  Explorer(Scene& scene, const ExploreOptions& options)
      : options_(options),
        limits_{
            .model = options.model, .deaths = options.deaths, .prove_hooks = options.prove_hooks},
        machine_(Machine::Get()),
        schedules_most_(options.schedules),
        began_(std::chrono::steady_clock::now()) {
    machine_.Load(scene, limits_);
  }

  ExploreResult Run() {
    Random random(options_.seed, options_.deaths);
    // Before anything is found exhaustively, so that little is begun anew.
    result_.strategy = Strategy::kRandom;
    for (uint64_t i = 0; i < kFirstAtRandom && !Over(1); ++i) RunAtRandom(random);
    if (options_.strategy != Strategy::kRandom && !found()) RunExhaustively();
    if (options_.strategy != Strategy::kExhaustive && !found() && !result_.exhaustive &&
        !result_.unsteady) {
      result_.strategy = Strategy::kRandom;
      while (!found() && !Over(1) && !IsDull(random)) RunAtRandom(random);
      result_.distinct_states += random.states();
    }
    if (found() && options_.shortens) Shorten();
    if (found() && options_.model != MemoryModel::kSc) result_.contended = machine_.Contended();
    result_.contended_words = machine_.contended_words();
    result_.novelties = machine_.novelties();
    result_.seconds = Seconds();
    return std::move(result_);
  }

 private:
  bool found() const { return result_.finding.verdict != Verdict::kPass; }
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }
  bool Over(double share) {
    if (found() || result_.unsteady) return true;
    if (options_.interrupted != nullptr && *options_.interrupted) return true;
    if (schedules_most_ != 0 && result_.schedules >= schedules_most_) return true;
    return result_.schedules % kLooksAtTheClock == 0 && Seconds() > options_.budget_seconds * share;
  }

  bool IsDull(const Random& random) {
    if (random.states() != ends_) newest_end_ = result_.schedules;
    ends_ = random.states();
    return options_.ends_when_dull && result_.schedules >= kNotYetDull &&
           result_.schedules > 2 * newest_end_;
  }

  void RunOnce(Chooser& chooser) {
    Recorder recorder(chooser, machine_);
    Finding finding;
    machine_.RunSchedule(recorder, &finding);
    ++result_.schedules;
    result_.deaths += static_cast<uint64_t>(machine_.deaths());
    if (finding.verdict == Verdict::kPass) return;
    // Which words the memory model is about changed in the middle of it: it could not be repeated,
    // and comes again, since all begins anew.
    if (options_.model != MemoryModel::kSc && machine_.grew()) return;
    result_.finding = finding;
    recorder.Finish();
    result_.schedule = recorder.schedule();
  }

  void RunAtRandom(Random& random) {
    machine_.TakeGrew();
    random.Begin();
    RunOnce(random);
  }

  void RunExhaustively() {
    result_.strategy = Strategy::kExhaustive;
    const double share = options_.strategy == Strategy::kAuto ? 0.5 : 1;
    if (options_.strategy == Strategy::kAuto && options_.schedules > result_.schedules) {
      schedules_most_ -= (options_.schedules - result_.schedules) / 2;
    }
    Exhaustive exhaustive(options_.preemptions);
    machine_.TakeGrew();
    bool more = true;
    while (more && !Over(share) && exhaustive.states() < kMostStates) {
      exhaustive.Begin();
      RunOnce(exhaustive);
      result_.unsteady |= exhaustive.unsteady();
      if (machine_.TakeGrew()) {
        exhaustive.Restart();
      } else {
        more = exhaustive.Next();
      }
    }
    schedules_most_ = options_.schedules;
    result_.exhaustive = !more && !found() && !result_.unsteady && !machine_.narrowed();
    result_.distinct_states = exhaustive.states();
  }

  Replayed Try(const Schedule& schedule) { return Replay(schedule, limits_); }
  bool Fails(const Schedule& schedule) {
    return Try(schedule).finding.verdict == result_.finding.verdict;
  }

  // Deaths first, then whose turn it is: each that is not needed.
  void Shorten() {
    Schedule& schedule = result_.schedule;
    if (!Fails(schedule)) {
      result_.unsteady = true;
      return;
    }
    for (bool shorter = true; shorter;) {
      shorter = false;
      for (size_t i = schedule.size(); i-- > 0;) {
        Schedule without = schedule;
        without.erase(without.begin() + static_cast<ptrdiff_t>(i));
        if (!Fails(without)) continue;
        schedule = without;
        shorter = true;
      }
    }
    limits_.trace = true;
    Replayed last = Try(schedule);
    result_.finding = last.finding;
    result_.steps = std::move(last.steps);
  }

  const ExploreOptions& options_;
  MachineLimits limits_;
  Machine& machine_;
  uint64_t schedules_most_;  // of the present strategy; 0: as the budget says
  const std::chrono::steady_clock::time_point began_;
  uint64_t ends_ = 0, newest_end_ = 0;  // different ends at random; when the newest one came
  ExploreResult result_;
};

}  // namespace

ExploreResult Explore(Scene& scene, const ExploreOptions& options) {
  return Explorer(scene, options).Run();
}

Replayed Replay(const Schedule& schedule, const MachineLimits& limits) {
  Machine& machine = Machine::Get();
  MachineLimits everywhere = limits;
  everywhere.ask_everywhere = true;
  machine.set_limits(everywhere);
  Follower follower(schedule, machine);
  Replayed replayed;
  machine.RunSchedule(follower, &replayed.finding);
  replayed.steps = machine.trace();
  machine.set_limits(limits);
  return replayed;
}

}  // namespace kill9::explore
