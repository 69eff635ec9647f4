#include "harness/explore/scenes/scenario.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/base/text/nearest.h"
#include "harness/explore/runtime/question.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kFences = "@fences";
constexpr std::string_view kDrawn = "@drawn";
constexpr std::string_view kNew = "@new";
constexpr size_t kMostCalls = 6;

std::string List(std::span<const std::string_view> words) {
  return absl::StrJoin(words, ", ",
                       [](std::string* out, std::string_view one) { out->append(one); });
}

absl::Status Unknown(std::string_view call, std::string_view name, const ScenarioWords& words) {
  const std::vector<std::string> known(words.calls.begin(), words.calls.end());
  const std::string nearest = DidYouMean(call, known);
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no operation '", std::string(call), "' in the scenario '", std::string(name), "'",
      nearest, nearest.empty() ? ";" : "",
      " participants are joined by '+', their operations by ',': ", List(words.calls),
      "; at the end a state: ", List(words.beginnings.subspan(1)),
      "; after that @new: who waits never did before; after that @drawnN: a shape and a history "
      "drawn from the number; after that @fences: a kernel without membarrier(2)"));
}

}  // namespace

absl::StatusOr<Scenario> ParseScenario(std::string_view name, const ScenarioWords& words) {
  Scenario scenario;
  scenario.name = std::string(name);
  std::string_view text = name;
  if (text.ends_with(kFences)) {
    scenario.kernel_has_barrier = false;
    text.remove_suffix(kFences.size());
  }
  if (const size_t at = text.find(kDrawn); at != std::string_view::npos) {
    const std::string_view number = text.substr(at + kDrawn.size());
    if (!absl::SimpleAtoi(absl::string_view(number.data(), number.size()), &scenario.drawn) ||
        scenario.drawn == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "@drawn is followed by a number from 1 on, not by '", std::string(number), "'"));
    }
    text = text.substr(0, at);
  }
  if (text.ends_with(kNew)) {
    scenario.have_waited = false;
    text.remove_suffix(kNew.size());
  }
  for (size_t i = 1; i < words.beginnings.size(); ++i) {
    if (scenario.beginning != 0 || !text.ends_with(words.beginnings[i])) continue;
    scenario.beginning = i;
    text.remove_suffix(words.beginnings[i].size());
  }
  for (const std::string& participant :
       std::vector<std::string>(absl::StrSplit(std::string(text), '+'))) {
    std::vector<size_t>& calls = scenario.calls.emplace_back();
    for (const std::string& call : std::vector<std::string>(absl::StrSplit(participant, ','))) {
      const auto found = std::find(words.calls.begin(), words.calls.end(), call);
      if (found == words.calls.end()) return Unknown(call, name, words);
      calls.push_back(static_cast<size_t>(found - words.calls.begin()));
    }
    if (calls.size() > kMostCalls) {
      return absl::InvalidArgumentError(
          absl::StrCat("a participant does at most ", kMostCalls, " operations"));
    }
  }
  if (scenario.calls.size() > kMostParticipants) {
    return absl::InvalidArgumentError(
        absl::StrCat("a scenario has at most ", kMostParticipants, " participants"));
  }
  return scenario;
}

std::vector<std::string> AllPairs(const ScenarioWords& words,
                                  absl::FunctionRef<bool(size_t call)> has) {
  std::vector<std::string> pairs;
  for (size_t i = 0; i < words.calls.size(); ++i) {
    for (size_t j = i; j < words.calls.size(); ++j) {
      if (!has(i) || !has(j)) continue;
      pairs.push_back(absl::StrCat(std::string(words.calls[i]), "+", std::string(words.calls[j])));
    }
  }
  return pairs;
}

std::vector<std::string> ThoseThatAreThere(std::span<const std::string_view> names,
                                           const ScenarioWords& words,
                                           absl::FunctionRef<bool(size_t call)> has) {
  std::vector<std::string> there;
  for (const std::string_view name : names) {
    const absl::StatusOr<Scenario> scenario = ParseScenario(name, words);
    bool has_all = scenario.ok();
    for (size_t i = 0; has_all && i < scenario->calls.size(); ++i) {
      for (const size_t call : scenario->calls[i]) has_all = has_all && has(call);
    }
    if (has_all) there.emplace_back(name);
  }
  return there;
}

}  // namespace kill9::explore
