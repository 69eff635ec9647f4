// The counterexample as files: a page (counterexample_page.cc), a trace, and the window's history.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/text/shell_word.h"
#include "harness/base/text/write_text.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/edn/edn.h"
#include "harness/result/result.h"

namespace kill9 {
std::string RenderTrace(const Counterexample& counterexample, const Naming& given) {
  const Naming naming = WithShownValues(given);
  Json events = Json::array();
  std::set<uint32_t> processes;
  uint64_t last = 0;
  for (const Operation& operation : counterexample.operations) {
    if (operation.finish != kNever) last = std::max(last, operation.finish);
    processes.insert(operation.process);
  }
  for (uint32_t process : processes) {
    events.push_back({{"ph", "M"},
                      {"name", "thread_name"},
                      {"pid", 1},
                      {"tid", process},
                      {"args", {{"name", absl::StrCat("P", process)}}}});
  }
  auto microseconds = [&](uint64_t ticks) {
    return static_cast<double>(naming.Nanoseconds(ticks)) / 1e3;
  };
  for (size_t i = 0; i < counterexample.operations.size(); ++i) {
    const Operation& operation = counterexample.operations[i];
    const uint64_t finish = std::min(operation.finish, last);
    const bool bad = std::find(counterexample.unplaceable.begin(), counterexample.unplaceable.end(),
                               i) != counterexample.unplaceable.end();
    auto place = std::find(counterexample.placed.begin(), counterexample.placed.end(), i);
    Json arguments = {{"number", i + 1}, {"key", naming.Key(operation.key)}};
    if (place != counterexample.placed.end()) {
      arguments["place_in_prefix"] = place - counterexample.placed.begin() + 1;
    }
    if (bad) arguments["unplaceable"] = true;
    Json event = {{"ph", "X"},
                  {"name", DescribeOperation(operation, naming)},
                  {"cat", bad ? "unplaceable" : "operation"},
                  {"pid", 1},
                  {"tid", operation.process},
                  {"ts", microseconds(operation.invoke)},
                  {"dur", microseconds(finish) - microseconds(operation.invoke)},
                  {"args", arguments}};
    if (bad) event["cname"] = "terrible";
    events.push_back(event);
    if (operation.outcome == Outcome::kCrashed) {
      events.push_back({{"ph", "i"},
                        {"name", "death"},
                        {"s", "t"},
                        {"pid", 1},
                        {"tid", operation.process},
                        {"ts", microseconds(operation.finish)}});
    }
  }
  Json trace = {{"displayTimeUnit", "ns"}, {"traceEvents", events}};
  return Dump(trace, 1) + "\n";
}

absl::StatusOr<std::vector<std::string>> WriteCounterexample(const Counterexample& counterexample,
                                                             const Naming& naming,
                                                             const std::string& stem,
                                                             PageFacts facts) {
  if (facts.repeat.empty()) {
    facts.repeat = absl::StrCat(
        "kill9 check ", ShellWord(stem + ".window.edn"), " --model=", counterexample.model,
        " --condition=", std::string(ConditionName(counterexample.condition)),
        "    # the window alone");
  }
  std::vector<std::string> files = {stem + ".html", stem + ".trace.json", stem + ".window.edn"};
  constexpr std::string_view kWhat = "the counterexample";
  absl::Status status =
      WriteTextInFolder(RenderHtml(counterexample, naming, facts), files[0], kWhat);
  status.Update(WriteText(RenderTrace(counterexample, naming), files[1], kWhat));
  status.Update(WriteText(WriteEdn(counterexample.operations, naming), files[2], kWhat));
  if (!status.ok()) return status;
  return files;
}

}  // namespace kill9
