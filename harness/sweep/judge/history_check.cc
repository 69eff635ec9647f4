#include "harness/sweep/judge/history_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "harness/checker/checker.h"
#include "harness/checker/search/prepare.h"
#include "harness/checker/search/shown.h"
#include "variants/segment/hash.h"

namespace kill9::sweep {
namespace {

constexpr uint64_t kFollowedKeys = 4096;

bool IsRead(const Operation& operation) {
  return operation.outcome == Outcome::kOk && Reads(operation);
}

}  // namespace

HistoryCheck::HistoryCheck(const Scene& scene, std::span<const Operation> beginning)
    : scene_(scene), beginning_(beginning), model_(FindModel(scene.design().model())) {}

// Once the victims have ended, survivors take turns. A read that shows what the operation before it
// on its key showed then says nothing more, and most reads do.
void HistoryCheck::Gather(CellHistory& history) {
  operations_.assign(beginning_.begin(), beginning_.end());
  uint64_t victims_end = 0;
  for (uint32_t number = 0; number < kMostVictims; ++number) {
    for (const Operation& operation : history.VictimLog(number).operations()) {
      operations_.push_back(operation);
      victims_end = std::max(victims_end, operation.finish);
    }
  }
  last_.assign(kFollowedKeys, nullptr);
  for (const Operation& operation : history.SurvivorLog().operations()) {
    if (IsKeyed(operation.function) && operation.key < kFollowedKeys) {
      const Operation*& last = last_[operation.key];
      if (last != nullptr && last->invoke > victims_end && IsRead(*last) && IsRead(operation) &&
          last->result == operation.result && last->result_version == operation.result_version) {
        continue;
      }
      last = &operation;
    }
    operations_.push_back(operation);
    // Whoever was cut off in the middle of it is dead by now.
    if (operation.outcome == Outcome::kOpen) {
      operations_.back().outcome = Outcome::kCrashed;
      operations_.back().finish = history.SurvivorLog().Tick();
    }
  }
}

HistoryCheck::Found HistoryCheck::Check(CellHistory& history) {
  if (model_ == nullptr) {
    return {Verdict::kUndecided,
            absl::StrCat("there is no model '", std::string(scene_.design().model()), "'"), ""};
  }
  if (history.SurvivorLog().full()) {
    return {Verdict::kUndecided, "the survivors did more than the sweep can follow", ""};
  }
  Gather(history);
  const uint64_t hash = XXH3_64bits(operations_.data(), operations_.size() * sizeof(Operation));
  if (const auto known = legal_.find(hash); known != legal_.end()) {
    present_ = &known->second;
    return {};
  }
  const absl::StatusOr<CheckOutcome> outcome =
      CheckHistory(*model_, operations_, {.condition = Condition::kStrict, .threads = 1});
  if (!outcome.ok()) return {Verdict::kUndecided, std::string(outcome.status().message()), ""};
  if (outcome->verdict == Verdict::kPass) {
    present_ = &legal_[hash];
    return {};
  }
  if (!outcome->counterexample.has_value()) {
    return {outcome->verdict, "the checker could not decide the history", ""};
  }
  const Counterexample& example = *outcome->counterexample;
  Naming naming = scene_.naming();
  naming.process = NameOf;
  return {Verdict::kViolation,
          absl::StrCat("key '", naming.Key(example.key), "': no legal order has a place for ",
                       DescribeCall(example.operations[example.failed], naming)),
          RenderText(example, naming)};
}

// The key's history with another operation in the place of the victim's, or with none.
bool HistoryCheck::IsLegal(const Operation* instead) {
  std::vector<Operation>& operations = of_one_key_;
  if (instead != nullptr) operations.push_back(*instead);
  SortByInvocation(&operations);
  return model_->Check(Condition::kStrict, Recoveries(), {}, KeyHistory::Of(operations), nullptr) ==
         SearchResult::kLinearizable;
}

DecidedOutcome HistoryCheck::OutcomeOf(const Operation& completed) {
  if (!present_->decided) *present_ = {true, Decide(completed)};
  return present_->outcome;
}

DecidedOutcome HistoryCheck::Decide(const Operation& completed) {
  const auto crashed = std::find_if(
      operations_.begin(), operations_.end(), [&completed](const Operation& operation) {
        return operation.process == kVictims && operation.function == completed.function &&
               operation.argument == completed.argument;
      });
  if (crashed == operations_.end() || !IsKeyed(crashed->function) || TellsNothing(*crashed) ||
      completed.outcome != Outcome::kOk) {
    return DecidedOutcome::kNone;
  }
  of_one_key_.clear();
  for (const Operation& operation : operations_) {
    if (&operation == &*crashed || !IsKeyed(operation.function)) continue;
    if (operation.key == crashed->key && !TellsNothing(operation)) of_one_key_.push_back(operation);
  }
  if (!IsLegal(nullptr)) return DecidedOutcome::kHappened;
  Operation happened = *crashed;
  happened.outcome = completed.outcome;
  happened.result = completed.result;
  return IsLegal(&happened) ? DecidedOutcome::kNone : DecidedOutcome::kDidNotHappen;
}

}  // namespace kill9::sweep
