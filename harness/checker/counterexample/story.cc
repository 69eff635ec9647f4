#include "harness/checker/counterexample/story.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

constexpr size_t kTimeColumns = 10;
constexpr size_t kGap = 2;
constexpr size_t kLeastColumns = 12;  // of a process: five have room in 80

// At one time what is called comes before what returns: it is not known to come after it.
struct Step {
  uint64_t time;
  bool ends;
  size_t operation;
  bool operator<(const Step& other) const {
    return std::tie(time, ends, operation) < std::tie(other.time, other.ends, other.operation);
  }
};

// In lines of at most so many letters, broken between words where there is one to break at.
std::vector<std::string> Wrapped(std::string text, size_t columns) {
  std::vector<std::string> lines;
  while (text.size() > columns) {
    const size_t blank = text.rfind(' ', columns);
    const bool has_blank = blank != std::string::npos && blank > 2;
    lines.push_back(text.substr(0, has_blank ? blank : columns));
    text = "  " + text.substr(has_blank ? blank + 1 : columns);
  }
  lines.push_back(text);
  return lines;
}

class Story {
 public:
  Story(const Counterexample& counterexample, const Naming& naming)
      : shown_(counterexample), naming_(naming) {
    for (size_t i = 0; i < shown_.operations.size(); ++i) {
      const Operation& operation = shown_.operations[i];
      steps_.push_back({operation.invoke, false, i});
      if (operation.finish != kNever) steps_.push_back({operation.finish, true, i});
    }
    std::sort(steps_.begin(), steps_.end());
    for (const Step& step : steps_) ColumnOf(shown_.operations[step.operation].process);
    for (size_t n = 0; n < processes_.size(); ++n) widths_.push_back(Title(n).size());
    for (const Step& step : steps_) {
      size_t& width = widths_[ColumnOf(shown_.operations[step.operation].process)];
      width = std::max(width, TextOf(step).size());
    }
  }

  // False: they are too many for so many columns.
  bool FitInto(size_t columns) {
    const auto needed = [this] {
      size_t sum = kTimeColumns;
      for (const size_t width : widths_) sum += kGap + width;
      return sum;
    };
    while (needed() > columns) {
      size_t& widest = *std::max_element(widths_.begin(), widths_.end());
      if (widest <= kLeastColumns) return false;
      --widest;
    }
    return true;
  }

  std::string Draw() {
    std::string text = absl::StrFormat("%*s", kTimeColumns, "us");
    std::vector<std::string> titles;
    for (size_t n = 0; n < processes_.size(); ++n) titles.push_back(Title(n));
    AddRow(titles, &text);
    open_.assign(processes_.size(), false);
    const uint64_t start = naming_.Nanoseconds(shown_.operations.front().invoke);
    for (const Step& step : steps_) {
      const uint64_t time = naming_.Nanoseconds(step.time) - start;
      absl::StrAppendFormat(&text, "%*.3f", kTimeColumns, static_cast<double>(time) / 1e3);
      AddStep(step, &text);
    }
    return text;
  }

 private:
  size_t ColumnOf(uint32_t process) {
    const auto found = std::find(processes_.begin(), processes_.end(), process);
    if (found == processes_.end()) processes_.push_back(process);
    return static_cast<size_t>(std::find(processes_.begin(), processes_.end(), process) -
                               processes_.begin());
  }

  bool Dies(uint32_t process) const {
    return std::any_of(
        shown_.operations.begin(), shown_.operations.end(), [process](const Operation& operation) {
          return operation.process == process &&
                 (operation.outcome == Outcome::kCrashed || operation.function == Function::kDie);
        });
  }

  std::string Title(size_t column) const {
    const uint32_t process = processes_[column];
    return absl::StrCat(naming_.Process(process), Dies(process) ? " (dies)" : "");
  }

  std::string TextOf(const Step& step) const {
    const Operation& operation = shown_.operations[step.operation];
    if (operation.function == Function::kDie) return step.ends ? "X is dead" : "X is killed";
    const bool failed = std::find(shown_.unplaceable.begin(), shown_.unplaceable.end(),
                                  step.operation) != shown_.unplaceable.end();
    const std::string number = absl::StrCat(step.operation + 1);
    const std::string call = DescribeCall(operation, naming_);
    if (!step.ends) return absl::StrCat(number, " ", call);
    if (operation.outcome == Outcome::kCrashed) return absl::StrCat("X dies in ", number);
    std::string result = DescribeOperation(operation, naming_).substr(call.size());
    if (result.starts_with(" -> ")) result.erase(1, 3);
    return absl::StrCat(number, failed ? "!" : "", result);
  }

  void AddStep(const Step& step, std::string* text) {
    const size_t column = ColumnOf(shown_.operations[step.operation].process);
    const std::vector<std::string> lines = Wrapped(TextOf(step), widths_[column]);
    for (size_t n = 0; n < lines.size(); ++n) {
      std::vector<std::string> cells;
      for (const bool open : open_) cells.emplace_back(open ? "|" : "");
      cells[column] = lines[n];
      if (n != 0) text->append(kTimeColumns, ' ');
      AddRow(cells, text);
    }
    open_[column] = !step.ends;
  }

  void AddRow(const std::vector<std::string>& cells, std::string* text) const {
    for (size_t n = 0; n < cells.size(); ++n) {
      absl::StrAppendFormat(text, "  %-*s", static_cast<int>(widths_[n]), cells[n]);
    }
    text->erase(text->find_last_not_of(' ') + 1);
    *text += "\n";
  }

  const Counterexample& shown_;
  const Naming& naming_;
  std::vector<Step> steps_;
  std::vector<uint32_t> processes_;  // by their first call
  std::vector<size_t> widths_;
  std::vector<bool> open_;  // whether it is in an operation
};

}  // namespace

std::string RenderStory(const Counterexample& counterexample, const Naming& naming,
                        size_t columns) {
  Story story(counterexample, naming);
  return story.FitInto(columns) ? story.Draw() : "";
}

}  // namespace kill9
