#include "harness/checker/checker.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/search/prepare.h"

namespace kill9 {
namespace {

// The history's operations in the order of their keys: those of key i are order[begin[i]] to
// order[begin[i + 1]].
struct ByKey {
  std::vector<uint32_t> order;
  std::vector<size_t> begin;
  std::vector<Operation> recoveries;
};

absl::StatusOr<ByKey> SplitByKey(const ModelChecker& model, std::span<const Operation> history) {
  constexpr uint32_t kNoKey = ~0u;
  absl::flat_hash_map<uint64_t, uint32_t> numbers;
  std::vector<uint32_t> key_of(history.size());
  ByKey result;
  std::vector<size_t> counts;
  for (size_t i = 0; i < history.size(); ++i) {
    const Operation& operation = history[i];
    if (operation.outcome == Outcome::kOpen) {
      return absl::InvalidArgumentError(absl::StrCat("operation ", i, " is still open"));
    }
    key_of[i] = kNoKey;
    if (!IsKeyed(operation.function)) {
      if (operation.function == Function::kRecover) result.recoveries.push_back(operation);
      continue;
    }
    if (!model.Accepts(operation.function)) {
      return absl::InvalidArgumentError(absl::StrCat("operation ", i, " is not one of the ",
                                                     std::string(model.name()),
                                                     " model: ", DescribeOperation(operation, {})));
    }
    if (TellsNothing(operation)) continue;
    auto [entry, inserted] =
        numbers.try_emplace(operation.key, static_cast<uint32_t>(counts.size()));
    if (inserted) counts.push_back(0);
    key_of[i] = entry->second;
    ++counts[entry->second];
  }
  result.begin.assign(counts.size() + 1, 0);
  for (size_t key = 0; key < counts.size(); ++key) {
    result.begin[key + 1] = result.begin[key] + counts[key];
  }
  result.order.resize(result.begin.back());
  std::vector<size_t> next(result.begin.begin(), result.begin.end());
  for (size_t i = 0; i < history.size(); ++i) {
    if (key_of[i] != kNoKey) result.order[next[key_of[i]]++] = static_cast<uint32_t>(i);
  }
  return result;
}

// What was found of one key.
struct KeyResult {
  SearchResult asked = SearchResult::kLinearizable;
  int strongest = 0;  // index in kConditions; 3: none; 4: undecided
};

constexpr int kNone = static_cast<int>(std::size(kConditions));
constexpr int kUnclear = kNone + 1;

class HistoryCheck {
 public:
  HistoryCheck(const ModelChecker& model, std::span<const Operation> history,
               const CheckOptions& options, ByKey by_key)
      : model_(model),
        history_(history),
        options_(options),
        by_key_(std::move(by_key)),
        recoveries_(by_key_.recoveries),
        answers_(by_key_.begin.size() - 1) {}

  CheckOutcome Run() {
    const size_t threads = Threads();
    std::vector<std::thread> others;
    for (size_t i = 1; i < threads; ++i) others.emplace_back([this] { Work(); });
    Work();
    for (std::thread& other : others) other.join();
    return Summarise();
  }

 private:
  // How many cores there are is asked only where it matters: that opens a file, and takes longer
  // than the check of a small history.
  size_t Threads() const {
    if (answers_.size() < 2) return 1;
    const size_t most = options_.threads > 0 ? static_cast<size_t>(options_.threads)
                                             : std::max(1u, std::thread::hardware_concurrency());
    return std::min(most, answers_.size());
  }

  void Work() {
    std::vector<Operation> operations;
    for (;;) {
      // relaxed: only hands out numbers; the results are read after join.
      size_t key = next_.fetch_add(1, std::memory_order_relaxed);
      if (key >= answers_.size()) return;
      answers_[key] = CheckKey(Gather(key, &operations));
    }
  }

  // The history of a key, held by `operations`.
  KeyHistory Gather(size_t key, std::vector<Operation>* operations) const {
    KeyHistory gathered;
    bool sorted = true;
    operations->clear();
    operations->reserve(by_key_.begin[key + 1] - by_key_.begin[key]);
    constexpr size_t kAhead =
        16;  // the operations of a key are far apart: their lines are asked for early
    for (size_t i = by_key_.begin[key]; i < by_key_.begin[key + 1]; ++i) {
      __builtin_prefetch(&history_[by_key_.order[std::min(i + kAhead, by_key_.order.size() - 1)]]);
      const Operation& operation = history_[by_key_.order[i]];
      gathered.Note(operation);
      sorted = sorted && (operations->empty() || operations->back().invoke < operation.invoke);
      operations->push_back(operation);
    }
    if (!sorted) SortByInvocation(operations);
    gathered.operations = *operations;
    return gathered;
  }

  KeyResult CheckKey(const KeyHistory& recorded) const {
    KeyResult answer;
    answer.strongest = kNone;
    for (int i = 0; i < kNone; ++i) {
      SearchResult one =
          model_.Check(kConditions[i], recoveries_, options_.limits, recorded, nullptr);
      if (kConditions[i] == options_.condition) answer.asked = one;
      if (one == SearchResult::kLinearizable) {
        answer.strongest = std::min(answer.strongest, i);
        if (kConditions[i] < options_.condition) answer.asked = one;
        break;
      }
      if (one == SearchResult::kUndecided) answer.strongest = kUnclear;
      if (!recorded.optional) {  // the conditions do not differ
        answer.asked = one;
        break;
      }
    }
    return answer;
  }

  CheckOutcome Summarise() const {
    CheckOutcome outcome;
    outcome.operations = history_.size();
    outcome.keys = answers_.size();
    int strongest = 0;
    size_t first = answers_.size();
    for (size_t key = 0; key < answers_.size(); ++key) {
      strongest = std::max(strongest, answers_[key].strongest);
      if (answers_[key].asked == SearchResult::kViolated) {
        ++outcome.keys_violating;
        first = std::min(first, key);
      }
      outcome.keys_undecided += answers_[key].asked == SearchResult::kUndecided;
    }
    if (strongest < kNone) outcome.strongest = kConditions[strongest];
    outcome.verdict = outcome.keys_violating != 0   ? Verdict::kViolation
                      : outcome.keys_undecided != 0 ? Verdict::kUndecided
                                                    : Verdict::kPass;
    if (first < answers_.size() && options_.explain) {
      std::vector<Operation> operations;
      outcome.counterexample.emplace();
      model_.Check(options_.condition, recoveries_, options_.limits, Gather(first, &operations),
                   &*outcome.counterexample);
    }
    return outcome;
  }

  const ModelChecker& model_;
  std::span<const Operation> history_;
  const CheckOptions& options_;
  ByKey by_key_;
  Recoveries recoveries_;
  std::vector<KeyResult> answers_;
  std::atomic<size_t> next_{0};
};

}  // namespace

KeyHistory KeyHistory::Of(std::span<const Operation> operations) {
  KeyHistory history{operations};
  for (const Operation& operation : operations) history.Note(operation);
  return history;
}

absl::StatusOr<CheckOutcome> CheckHistory(const ModelChecker& model,
                                          std::span<const Operation> history,
                                          const CheckOptions& options) {
  absl::StatusOr<ByKey> by_key = SplitByKey(model, history);
  if (!by_key.ok()) return by_key.status();
  return HistoryCheck(model, history, options, *std::move(by_key)).Run();
}

}  // namespace kill9
