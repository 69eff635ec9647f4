#include "harness/gate/plan/pass_history.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/random.h"
#include "harness/result/result.h"

namespace kill9::gate {
namespace {

constexpr char kSchema[] = "kill9/gate_memory/1";

}  // namespace

absl::StatusOr<PassHistory> PassHistory::Load(const std::string& path) {
  PassHistory memory;
  if (!std::filesystem::exists(path)) return memory;
  absl::StatusOr<Json> read = ReadJsonFile(path);
  if (!read.ok()) return read.status();
  const Json& json = *read;
  if (!json.is_object() || !json.contains("schema") || json["schema"] != kSchema ||
      !json.contains("passed_us") || !json["passed_us"].is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no memory of a gate"));
  }
  for (const auto& [id, time] : json["passed_us"].items()) {
    if (time.is_number_integer()) memory.passed_[id] = time.get<int64_t>();
  }
  return memory;
}

absl::Status PassHistory::Save(const std::string& path) const {
  return WriteResult({{"schema", kSchema}, {"passed_us", passed_}}, path);
}

void PassHistory::Order(std::vector<GateStep>& steps, uint64_t seed) const {
  Random random(seed);
  for (size_t left = steps.size(); left > 1; --left) {
    std::swap(steps[left - 1], steps[random.Below(left)]);
  }
  const auto passed_at = [this](const GateStep& step) {
    const auto found = passed_.find(step.Id());
    return found == passed_.end() ? INT64_MIN : found->second;
  };
  std::stable_sort(steps.begin(), steps.end(), [&](const GateStep& a, const GateStep& b) {
    return passed_at(a) < passed_at(b);
  });
}

std::vector<GateStep> FairShare(const std::vector<GateStep>& steps, size_t most) {
  std::map<std::string, size_t> taken_of;
  std::vector<std::pair<size_t, const GateStep*>> turns;
  for (const GateStep& step : steps) turns.emplace_back(taken_of[step.variant]++, &step);
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<GateStep> chosen;
  for (const auto& [turn, step] : turns) {
    if (chosen.size() < most) chosen.push_back(*step);
  }
  return chosen;
}

}  // namespace kill9::gate
