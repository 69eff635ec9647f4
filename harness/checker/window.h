// What ModelChecker does for a model of the engine's kind: checks whole histories of a key and
// streams, cuts them at quiescent points, and explains a violation from the last cut.
#ifndef KILL9_HARNESS_CHECKER_WINDOW_H_
#define KILL9_HARNESS_CHECKER_WINDOW_H_

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "harness/checker/counterexample/shrink.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/search/depth_first.h"
#include "harness/checker/search/distinct_values.h"
#include "harness/checker/search/engine.h"
#include "harness/checker/search/prepare.h"

namespace kill9 {

// A window is cut no shorter than this, so that a counterexample has something before it.
inline constexpr size_t kWindowOperations = 64;
inline constexpr int kShrinkTries = 4000;
// Of the search for a counterexample, and of each condition that may hold beside a violation.
inline constexpr uint64_t kWorkOfExplaining = 1u << 26;
// Steps that the first attempt has for one return, before other ways are tried.
inline constexpr EngineLimits kFirstAttempt = {.steps = 1u << 12, .configurations = 1u << 10};

// What the engine is given of `recorded` under a condition.
template <typename Model>
std::vector<Operation> Prepare(Condition condition, const Recoveries& recoveries,
                               std::span<const Operation> recorded) {
  std::vector<Operation> operations(recorded.begin(), recorded.end());
  const bool extended = ExtendFinishes(condition, recoveries, &operations);
  if constexpr (requires { Model::kLossy; }) {
    if (extended) DropUnseen(Model::kLossy, &operations);
  }
  return operations;
}

// Runs the engine over `operations` from `initial`; cuts where it can.
template <typename Model, typename Mask, bool traced = false>
struct Pass {
  using State = typename Model::State;

  Engine<Model, Mask, traced> engine;
  size_t cut = 0;  // the window begins here
  std::vector<State> cut_states;
  size_t end = 0;  // one past the last operation invoked

  Pass(const Model& model, std::vector<State> initial, const EngineLimits& limits)
      : engine(initial, limits, model), cut_states(std::move(initial)) {}

  SearchResult Run(std::span<const Operation> operations) {
    for (; end < operations.size(); ++end) {
      const Operation& operation = operations[end];
      SearchResult answer = engine.ReturnAllBefore(operation.invoke);
      if (answer == SearchResult::kLinearizable) {
        if (end - cut >= kWindowOperations && engine.quiescent()) {
          cut = end;
          cut_states = engine.states();
        }
        answer = engine.Invoke(operation);
      }
      if (answer != SearchResult::kLinearizable) {
        end = std::min(end + 1, operations.size());
        return answer;
      }
    }
    return engine.Finish();
  }
};

// What the engine has no room for, by other ways. `violating`: filled in after kViolated, unless
// null.
template <typename Model>
SearchResult DecideOtherwise(const std::vector<typename Model::State>& initial,
                             std::span<const Operation> operations, const EngineLimits& limits,
                             std::vector<Operation>* violating) {
  if constexpr (requires { Model::kLossy; }) {
    if (initial.size() == 1 && initial.front() == Model::Init(/*has_versions=*/false)) {
      if (auto distinct = CheckDistinctValues(Model::kLossy, operations)) {
        if (violating != nullptr) *violating = std::move(distinct->violating);
        return distinct->answer;
      }
    }
    SearchResult answer = SearchResult::kViolated;
    for (const auto& state : initial) {
      const SearchResult one = DepthFirst<Model>(operations).Run(state, limits);
      if (one == SearchResult::kLinearizable) return one;
      if (one == SearchResult::kUndecided) answer = one;
    }
    if (violating != nullptr) violating->assign(operations.begin(), operations.end());
    return answer;
  }
  return SearchResult::kUndecided;
}

// Whether a part of a window surely violates, within the steps of a first attempt: it is asked
// often.
template <typename Model>
bool Violates(const Model& model, const std::vector<typename Model::State>& initial,
              std::span<const Operation> operations, const EngineLimits& limits) {
  SearchResult answer = Pass<Model, uint64_t>(model, initial, limits).Run(operations);
  if (answer == SearchResult::kUndecided) {
    answer = DecideOtherwise<Model>(initial, operations, limits, nullptr);
  }
  return answer == SearchResult::kViolated;
}

// Finds the smallest violating part of a window and describes it.
template <typename Model>
Counterexample ExplainWindow(const Model& model, Condition condition,
                             const std::vector<typename Model::State>& initial,
                             std::span<const Operation> window, std::span<const Operation> recorded,
                             const EngineLimits& limits) {
  std::vector<Operation> operations({window.begin(), window.end()});
  BoundedLimits attempt(kFirstAttempt, kWorkOfExplaining);
  operations = Shrink(std::move(operations), kShrinkTries, [&](std::span<const Operation> some) {
    return Violates(model, initial, some, attempt.limits);
  });
  BoundedLimits bounded(limits, kWorkOfExplaining);
  Pass<Model, WideMask, true> pass(model, initial, bounded.limits);
  const bool placed_all_but_one = pass.Run(operations) == SearchResult::kViolated;

  Counterexample result;
  result.condition = condition;
  for (const auto& state : initial) result.initial_states.push_back(model.DescribeState(state));
  std::vector<bool> is_placed(operations.size(), false);
  const typename Engine<Model, WideMask, true>::Configuration* best = nullptr;
  for (const auto& configuration : pass.engine.last_configurations()) {
    std::vector<size_t> placed;
    for (uint32_t node = configuration.node; node != 0; node = pass.engine.nodes()[node].before) {
      placed.push_back(pass.engine.nodes()[node].operation);
    }
    if (best == nullptr || placed.size() > result.placed.size()) {
      best = &configuration;
      result.placed.assign(placed.rbegin(), placed.rend());
    }
  }
  for (size_t i : result.placed) is_placed[i] = true;
  for (auto state : initial) {
    result.states.clear();
    bool fits = true;
    for (size_t i : result.placed) {
      fits = fits && model.Step(operations[i], &state);
      result.states.push_back(model.DescribeState(state));
    }
    if (fits) break;
  }
  // Where too many overlap to say which one has no place, it is the last one called.
  result.failed = placed_all_but_one ? pass.engine.failed_number() : operations.size() - 1;
  for (size_t i = 0; i < operations.size(); ++i) {
    bool owed = !is_placed[i] && !IsOptional(operations[i]);
    if (i == result.failed ||
        (owed && best != nullptr && model.Doomed(operations[i], best->state))) {
      result.unplaceable.push_back(i);
    }
  }
  // As recorded: preparation changed ends and, of crashed writes, values.
  absl::flat_hash_map<std::pair<uint32_t, uint64_t>, const Operation*> originals;
  for (const Operation& original : recorded) {
    originals[{original.process, original.invoke}] = &original;
  }
  for (Operation& operation : operations) {
    auto original = originals.find({operation.process, operation.invoke});
    if (original == originals.end()) continue;
    const uint16_t weakened = operation.reserved;
    operation = *original->second;
    operation.reserved = weakened;
  }
  result.operations = std::move(operations);
  if (!result.operations.empty()) result.key = result.operations.front().key;
  return result;
}

template <typename Model>
class EngineStream : public StreamChecker {
 public:
  using State = typename Model::State;
  // Where no quiescent point comes along for so many operations, the window is cut at once: what is
  // open then is kept, and the operations before it are not shown by a counterexample.
  static constexpr size_t kWindowLimit = 1u << 13;
  static constexpr size_t kLimboLimit = 256;
  // What the engine has no room for is kept, so many operations, and decided by other ways at the
  // end.
  static constexpr size_t kUndecidedLimit = 1u << 16;

  EngineStream(std::string_view name, bool has_versions, const EngineLimits& limits,
               const Model& model = {})
      : model_(model),
        name_(name),
        limits_(limits),
        engine_({model.Init(has_versions)}, limits, model),
        cut_engine_(engine_) {}

  SearchResult Add(const Operation& operation) override {
    if (engine_gave_up_) return Defer(operation);
    SearchResult answer = engine_.ReturnAllBefore(operation.invoke);
    if (answer == SearchResult::kUndecided) return Defer(operation);
    if (answer != SearchResult::kLinearizable) {
      Keep(operation);
      return answer;
    }
    if (!engine_.quiescent()) ++overlapping_;
    if (window_.size() >= limits_.stream_window &&
        (engine_.quiescent() || window_.size() >= kWindowLimit)) {
      Cut();
    }
    answer = engine_.Invoke(operation);
    if (answer == SearchResult::kUndecided) return Defer(operation);
    window_.push_back(operation);
    return answer;
  }

  void Keep(const Operation& operation) override { rest_.push_back(operation); }
  SearchResult Finish() override {
    const SearchResult answer = engine_gave_up_ ? SearchResult::kUndecided : engine_.Finish();
    if (answer != SearchResult::kUndecided || !cut_engine_.quiescent()) return answer;
    window_.insert(window_.end(), rest_.begin(), rest_.end());
    rest_.clear();
    return DecideOtherwise<Model>(cut_engine_.states(), window_, limits_, &violating_);
  }
  uint64_t overlapping() const override { return overlapping_; }

  // From each state that the cut may have left: what came before it had its effects strictly, and
  // a write in limbo has had none unless its value is there. It still can have one if it need not
  // have come before what came before the cut.
  bool HoldsUnder(Condition condition, const Recoveries& recoveries) const override {
    if (!cut_engine_.quiescent()) return false;
    std::vector<Operation> ends = limbo_;
    ExtendFinishes(condition, recoveries, &ends);
    BoundedLimits attempt(kFirstAttempt, kWorkOfExplaining), bounded(limits_, kWorkOfExplaining);
    for (const State& state : cut_engine_.states()) {
      std::vector<Operation> operations;
      for (size_t i = 0; i < limbo_.size(); ++i) {
        const bool too_late = ends[i].finish < cut_call_;
        if (!too_late && !model_.Holds(state, limbo_[i].argument)) operations.push_back(limbo_[i]);
      }
      operations.insert(operations.end(), window_.begin(), window_.end());
      operations.insert(operations.end(), rest_.begin(), rest_.end());
      operations = Prepare<Model>(condition, recoveries, operations);
      SearchResult answer = Pass<Model, WideMask>(model_, {state}, attempt.limits).Run(operations);
      if (answer == SearchResult::kUndecided) {
        answer = DecideOtherwise<Model>({state}, operations, bounded.limits, nullptr);
      }
      if (answer == SearchResult::kLinearizable) return true;
    }
    return false;
  }

  Counterexample Explain() const override {
    Counterexample result;
    if (cut_engine_.quiescent()) {
      result = ExplainWindow(model_, Condition::kStrict, cut_engine_.states(),
                             violating_.empty() ? window_ : violating_, window_, limits_);
      result.model = name_;
      return result;
    }
    // Cut without a quiescent point: shown as it is.
    result.model = name_;
    result.operations = window_;
    result.key = window_.front().key;
    result.failed = window_.size() - 1;
    const Operation& failed = engine_.failed_operation();
    for (size_t i = 0; i < window_.size(); ++i) {
      if (window_[i].process == failed.process && window_[i].invoke == failed.invoke) {
        result.failed = i;
      }
    }
    result.unplaceable = {result.failed};
    return result;
  }

 private:
  // Undecided at once where the states before it are not known, or there is too much of it.
  SearchResult Defer(const Operation& operation) {
    if (!engine_gave_up_) {
      engine_gave_up_ = true;
      for (const Operation& one : window_) last_finish_ = std::max(last_finish_, one.finish);
    }
    if (last_finish_ >= operation.invoke) ++overlapping_;
    last_finish_ = std::max(last_finish_, operation.finish);
    Keep(operation);
    return cut_engine_.quiescent() && rest_.size() <= kUndecidedLimit ? SearchResult::kLinearizable
                                                                      : SearchResult::kUndecided;
  }

  // Writes cut off by a death before the window, whose values were not seen: under a weaker
  // condition they may still come. What has been (or may have been) seen is not among them, so that
  // it is not placed twice: of a write that took effect and was overwritten unseen, the same states
  // can be reached without it. What overlaps a cut may have been seen before it: it is left out.
  void Cut() {
    for (const Operation& operation : window_) {
      if (cut_engine_.quiescent() && operation.outcome == Outcome::kCrashed &&
          operation.argument != kNothing) {
        limbo_.push_back(operation);
      }
    }
    if (!limbo_.empty()) {
      for (const Operation& operation : window_) Forget(operation);
    }
    if (limbo_.size() > kLimboLimit) limbo_.erase(limbo_.begin(), limbo_.end() - kLimboLimit);
    cut_engine_ = engine_;
    cut_call_ = window_.back().invoke;
    window_.clear();
  }

  void Forget(const Operation& operation) {
    std::erase_if(limbo_,
                  [&](const Operation& crashed) { return model_.MayHaveSeen(operation, crashed); });
  }

  [[no_unique_address]] const Model model_;
  const std::string_view name_;
  EngineLimits limits_;
  Engine<Model> engine_;
  Engine<Model> cut_engine_;
  std::vector<Operation> window_;
  std::vector<Operation> limbo_;
  uint64_t cut_call_ = 0;        // the last call before the cut
  std::vector<Operation> rest_;  // what follows a violation, or the engine has no room for
  bool engine_gave_up_ = false;
  uint64_t last_finish_ = 0;          // since then, of what was added
  std::vector<Operation> violating_;  // found otherwise
  uint64_t overlapping_ = 0;
};

// What a model is called, and which operations it has.
struct ModelWords {
  std::string_view name;
  std::string_view summary;
  bool (*accepts)(Function function);
};
template <typename Model>
constexpr ModelWords WordsOf() {
  return {Model::kName, Model::kSummary, &Model::Accepts};
}

// A model whose keys are checked by the engine. Models that differ in their words only are one type
// of checker: each type takes seconds to compile.
template <typename Model>
class EngineChecker : public ModelChecker {
 public:
  explicit EngineChecker(const ModelWords& words = WordsOf<Model>(), const Model& model = {})
      : words_(words), model_(model) {}

  std::string_view name() const override { return words_.name; }
  std::string_view summary() const override { return words_.summary; }
  bool Accepts(Function function) const override { return words_.accepts(function); }

  SearchResult Check(Condition condition, const Recoveries& recoveries, const EngineLimits& limits,
                     const KeyHistory& recorded, Counterexample* counterexample) const override {
    std::vector<Operation> prepared;
    std::span<const Operation> operations = recorded.operations;
    if (recorded.optional) {
      prepared = Prepare<Model>(condition, recoveries, operations);
      operations = prepared;
    }
    auto initial = model_.Init(recorded.versions);
    const EngineLimits attempt = {
        .steps = std::min(limits.steps, kFirstAttempt.steps),
        .configurations = std::min(limits.configurations, kFirstAttempt.configurations),
        .work_left = limits.work_left};
    SearchResult answer = CheckWith<uint64_t>(condition, initial, operations, recorded.operations,
                                              attempt, limits, counterexample);
    if (answer == SearchResult::kUndecided) {
      std::vector<Operation> violating;
      answer = DecideOtherwise<Model>({initial}, operations, limits, &violating);
      if (answer == SearchResult::kViolated && counterexample != nullptr) {
        *counterexample =
            ExplainWindow(model_, condition, {initial}, violating, recorded.operations, limits);
        counterexample->model = words_.name;
      }
    }
    if (answer == SearchResult::kUndecided) {
      answer = CheckWith<WideMask>(condition, initial, operations, recorded.operations, limits,
                                   limits, counterexample);
    }
    return answer;
  }

  std::unique_ptr<StreamChecker> NewStream(bool has_versions,
                                           const EngineLimits& limits) const override {
    return std::make_unique<EngineStream<Model>>(words_.name, has_versions, limits, model_);
  }

 private:
  template <typename Mask>
  SearchResult CheckWith(Condition condition, const typename Model::State& initial,
                         std::span<const Operation> operations, std::span<const Operation> recorded,
                         const EngineLimits& attempt, const EngineLimits& limits,
                         Counterexample* counterexample) const {
    Pass<Model, Mask> pass(model_, {initial}, attempt);
    SearchResult answer = pass.Run(operations);
    if (answer == SearchResult::kViolated && counterexample != nullptr) {
      *counterexample =
          ExplainWindow(model_, condition, pass.cut_states,
                        operations.subspan(pass.cut, pass.end - pass.cut), recorded, limits);
      counterexample->model = words_.name;
    }
    return answer;
  }

  const ModelWords words_;
  [[no_unique_address]] const Model model_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_WINDOW_H_
