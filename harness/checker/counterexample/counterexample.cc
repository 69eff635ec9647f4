#include "harness/checker/counterexample/counterexample.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/wrap.h"
#include "harness/checker/counterexample/shrink.h"
#include "harness/checker/counterexample/story.h"
#include "harness/checker/search/shown.h"
#include "harness/history/heap_call.h"

namespace kill9 {

std::string DescribeCall(const Operation& operation, const Naming& naming) {
  const FunctionRow& row = RowOf(operation.function);
  std::string text(row.name);
  if (row.expected == Field::kVersion) {
    absl::StrAppend(&text, " version ", operation.expected, " to");
  } else if (row.expected == Field::kValue) {
    absl::StrAppend(&text, " ", naming.Value(operation.expected), " to");
  } else if (row.expected == Field::kTime) {
    absl::StrAppend(&text, " ", naming.Nanoseconds(operation.expected), " ns");
  }
  if (row.argument == Field::kNumber) {
    absl::StrAppend(&text, row.target == Target::kLock ? " for " : " ", operation.argument);
  } else if (TakesValue(row)) {
    absl::StrAppend(&text, " ", naming.Value(operation.argument));
  }
  const bool names_another = row.target == Target::kBlocks && row.effect == Effect::kWrites &&
                             row.result != Field::kNumber;
  if (names_another) absl::StrAppend(&text, " to ", SizeOrOwnerOf(operation));
  return text;
}

namespace {

std::string DescribeResult(const Operation& operation, const Naming& naming) {
  std::string text = DescribeCall(operation, naming);
  switch (operation.outcome) {
    case Outcome::kOpen:
      return text + " (open)";
    case Outcome::kCrashed:
      return text + " (crashed)";
    case Outcome::kUnknown:
      return text + " (unknown)";
    case Outcome::kRefused:
      return text + " (refused)";
    case Outcome::kFail:
      if (ShowsMismatch(operation)) {
        return absl::StrCat(text, " -> no: version ", operation.result_version);
      }
      return text + " -> failed";
    case Outcome::kOk:
      break;
  }
  const Field result = RowOf(operation.function).result;
  if (result == Field::kValue) {
    absl::StrAppend(&text, " -> ", naming.Value(operation.result));
  } else if (result == Field::kNumber) {
    absl::StrAppend(&text, " -> ", operation.result);
  } else if (result == Field::kAcquired && operation.result != kAcquired) {
    text += operation.result == kHeldByOther      ? " -> no: it is held"
            : operation.result == kAcquiredOfDead ? " -> ok, owner died"
                                                  : " -> ok, counts as untold who held it";
  } else if (result == Field::kWasNew && operation.result != kErasedUntold) {
    text += operation.result == 1 ? " -> it is new" : " -> it was there";
  } else if (result != Field::kWasThere) {
    text += " -> ok";
  } else if (operation.result != kErasedUntold) {
    text += operation.result == 1 ? " -> it was there" : " -> it was not there";
  }
  if (operation.result_version != 0 && RowOf(operation.function).target == Target::kLock) {
    absl::StrAppend(&text, " (by the clock ", operation.expected, " to ", operation.result_version,
                    ")");
  } else if (operation.result_version != 0) {
    absl::StrAppend(&text, " (version ", operation.result_version, ")");
  }
  return text;
}

}  // namespace

std::string DescribeOperation(const Operation& operation, const Naming& naming) {
  std::string text = DescribeResult(operation, naming);
  if (IsWeakened(operation)) {
    // Shrinking took away what it met; the violation does not need it.
    const Field result = RowOf(operation.function).result;
    text += result == Field::kWasThere   ? ", counts as an erase of anything"
            : result == Field::kWasNew   ? ", counts as added to anything"
            : result == Field::kAcquired ? ""
                                         : ", counts as a put";
  }
  return text;
}

namespace {

// A row for each process; the columns are the moments at which something begins or ends, one after
// the other.
class Timeline {
 public:
  Timeline(const Counterexample& counterexample, const Naming& naming)
      : shown_(counterexample), naming_(naming) {
    std::set<uint64_t> times;
    for (const Operation& operation : shown_.operations) {
      times.insert(operation.invoke);
      times.insert(operation.finish);
      rows_[operation.process];
    }
    size_t column = 0;
    for (uint64_t time : times) columns_[time] = column++;
    for (size_t i = 0; i < shown_.operations.size(); ++i) {
      rows_[shown_.operations[i].process].push_back(i);
    }
  }

  std::string Draw() const {
    const size_t width = std::clamp<size_t>(96 / std::max<size_t>(1, columns_.size()), 2, 8);
    std::string text;
    for (const auto& [process, operations] : rows_) {
      std::string row(columns_.size() * width + 1, ' ');
      for (size_t i : operations) {
        const Operation& operation = shown_.operations[i];
        size_t begin = columns_.at(operation.invoke) * width;
        size_t end = columns_.at(operation.finish) * width;
        std::fill(row.begin() + static_cast<ptrdiff_t>(begin),
                  row.begin() + static_cast<ptrdiff_t>(end), '-');
        row[begin] = '[';
        row[end] = operation.outcome == Outcome::kCrashed   ? 'X'
                   : operation.outcome == Outcome::kUnknown ? '?'
                                                            : ']';
        std::string label = absl::StrCat(i + 1, i == shown_.failed ? "!" : "");
        if (end - begin > label.size()) row.replace(begin + 1, label.size(), label);
      }
      while (!row.empty() && row.back() == ' ') row.pop_back();
      absl::StrAppendFormat(&text, "  %-6s %s\n", naming_.Process(process), row);
    }
    return text;
  }

 private:
  const Counterexample& shown_;
  const Naming& naming_;
  std::map<uint64_t, size_t> columns_;
  std::map<uint32_t, std::vector<size_t>> rows_;
};

std::string ListOf(const Counterexample& counterexample, const Naming& naming) {
  std::string text;
  const std::vector<Operation>& operations = counterexample.operations;
  const uint64_t start = naming.Nanoseconds(operations.front().invoke);
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    bool failed = std::find(counterexample.unplaceable.begin(), counterexample.unplaceable.end(),
                            i) != counterexample.unplaceable.end();
    double from = static_cast<double>(naming.Nanoseconds(operation.invoke) - start) / 1e3;
    double to = static_cast<double>(naming.Nanoseconds(operation.finish) - start) / 1e3;
    absl::StrAppendFormat(&text, "  %3d%c %-6s %10.3f us to %10.3f us  %s%s\n", i + 1,
                          failed ? '!' : ' ', naming.Process(operation.process), from, to,
                          DescribeOperation(operation, naming),
                          operation.outcome == Outcome::kCrashed ? ", death of its process" : "");
  }
  return text;
}

}  // namespace

std::string RenderText(const Counterexample& counterexample, const Naming& given, size_t columns) {
  const Naming naming = WithShownValues(given);
  const std::vector<Operation>& operations = counterexample.operations;
  std::string before = absl::StrFormat(
      "%s is not %s linearizable (model %s): %s to show it\n", naming.Subject(counterexample.key),
      std::string(ConditionName(counterexample.condition)), counterexample.model,
      operations.size() == 1 ? "1 operation suffices"
                             : absl::StrCat(operations.size(), " operations suffice"));
  if (!counterexample.initial_states.empty()) {
    absl::StrAppend(&before, "  before them it is ");
    for (size_t i = 0; i < counterexample.initial_states.size(); ++i) {
      absl::StrAppend(&before, i == 0 ? "" : ", or ",
                      naming.State(counterexample.initial_states[i]));
    }
    absl::StrAppend(&before, "\n");
  }
  std::string story = RenderStory(counterexample, naming, columns);
  if (story.empty()) {
    story =
        absl::StrCat(Timeline(counterexample, naming).Draw(), "\n", ListOf(counterexample, naming));
  }
  std::string after = "  the longest linearizable prefix:";
  for (size_t i = 0; i < counterexample.placed.size(); ++i) {
    absl::StrAppend(&after, i == 0 ? " " : ", ", counterexample.placed[i] + 1);
  }
  if (counterexample.placed.empty()) absl::StrAppend(&after, " none");
  absl::StrAppend(&after, "\n  no place is left for: ", counterexample.failed + 1, " (",
                  DescribeOperation(operations[counterexample.failed], naming), ")\n");
  return absl::StrCat(Wrap(before, columns), "\n", story, "\n", Wrap(after, columns));
}

}  // namespace kill9
