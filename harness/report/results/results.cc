#include "harness/report/results/results.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/report/results/summary.h"
#include "harness/result/schema/schema.h"

namespace kill9::report {
namespace {

// A result, or a summary of one.
absl::StatusOr<Json> AsResult(const Json& json, const std::string& path) {
  const std::string why = WhyNoResult(json);
  if (why.empty()) return json;
  if (Text(json, "schema") != kSummarySchema) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' ", why));
  }
  absl::StatusOr<Json> expanded = ExpandSummary(json);
  if (expanded.ok()) return expanded;
  return absl::InvalidArgumentError(
      absl::StrCat("'", path, "': ", std::string(expanded.status().message())));
}

absl::Status LoadFile(const std::string& path, std::vector<ResultFile>* results) {
  absl::StatusOr<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  absl::StatusOr<Json> result = AsResult(*json, path);
  if (!result.ok()) return result.status();
  results->push_back({std::filesystem::path(path).filename().string(), *std::move(result)});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Results> Results::Load(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    const size_t before = files.size();
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path().string());
    }
    if (files.size() == before) {
      return absl::NotFoundError(absl::StrCat("there is no *.json in '", path, "'"));
    }
    std::sort(files.begin() + static_cast<ptrdiff_t>(before), files.end());
  }
  Results results;
  for (const std::string& path : files) {
    if (absl::Status status = LoadFile(path, &results.files_); !status.ok()) return status;
  }
  for (const ResultFile& file : results.files_) results.TakeDesigns(file.json);
  return results;
}

std::vector<Run> Results::Of(std::string_view kind) const {
  std::vector<Run> runs;
  for (size_t file = 0; file < files_.size(); ++file) {
    const Json& json = files_[file].json;
    if (Text(json, "kind") != kind) continue;
    for (size_t i = 0; i < json["runs"].size(); ++i) runs.push_back({&json["runs"][i], file, i});
  }
  return runs;
}

std::vector<Run> Results::Of(std::string_view kind, std::string_view field,
                             std::string_view value) const {
  std::vector<Run> runs = Of(kind);
  std::erase_if(runs, [&](const Run& run) { return Text(*run.json, field) != value; });
  return runs;
}

std::string Text(const Json& run, std::string_view field, std::string_view otherwise) {
  const auto found = run.is_object() ? run.find(std::string(field)) : run.end();
  if (found == run.end() || found->is_null()) return std::string(otherwise);
  return found->is_string() ? found->get<std::string>() : found->dump();
}

double Number(const Json& run, std::string_view field, double otherwise) {
  const auto found = run.is_object() ? run.find(std::string(field)) : run.end();
  if (found == run.end() || !found->is_number()) return otherwise;
  const double number = found->get<double>();
  return std::isfinite(number) ? number : otherwise;
}

const Json* Find(const Json& json, std::initializer_list<std::string_view> path) {
  const Json* at = &json;
  for (const std::string_view name : path) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(name));
    if (found == at->end() || found->is_null()) return nullptr;
    at = &*found;
  }
  return at;
}

double MedianOf(const Json& run, std::string_view field) {
  const Json* spread = Find(run, {field});
  return spread != nullptr ? Number(*spread, "median") : 0;
}

std::string SpreadText(const Json& run, std::string_view field) {
  const Json* spread = Find(run, {field});
  if (spread == nullptr) return "-";
  return absl::StrFormat("%.2f (%.2f to %.2f)", Number(*spread, "median"), Number(*spread, "low"),
                         Number(*spread, "high"));
}

std::vector<std::string> Strings(const Json& json, std::string_view field) {
  std::vector<std::string> strings;
  const Json* values = Find(json, {field});
  if (values == nullptr || !values->is_array()) return strings;
  for (const Json& value : *values) {
    if (value.is_string()) strings.push_back(value.get<std::string>());
  }
  return strings;
}

std::vector<std::string> ValuesOf(const std::vector<Run>& runs, std::string_view field) {
  std::vector<std::string> values;
  for (const Run& run : runs) {
    std::string value = Text(*run.json, field);
    if (!value.empty() && std::find(values.begin(), values.end(), value) == values.end()) {
      values.push_back(std::move(value));
    }
  }
  return values;
}

void Results::TakeDesigns(const Json& result) {
  const auto take = [&result](const char* field, Json* all) {
    const Json* told = Find(result, {field});
    if (told == nullptr || !told->is_object()) return;
    for (const auto& [name, what] : told->items()) {
      // Not what a file of mutants says under the same names: scores.
      if (what.is_object() && what.contains("score")) continue;
      if (!all->contains(name)) (*all)[name] = what;
    }
  };
  take("designs", &designs_);
  take("kinds", &kinds_);
}

const Json& Results::DesignOf(std::string_view name) const {
  static const auto* nothing = new Json(Json::object());
  const Json* design = Find(designs_, {name});
  return design != nullptr ? *design : *nothing;
}

std::vector<std::string> Results::VariantsIn(const std::vector<Run>& runs,
                                             std::string_view field) const {
  std::vector<std::string> values = ValuesOf(runs, field);
  constexpr std::array<std::string_view, 3> kRoles = {"design", "baseline", "peer"};
  const auto rank = [&](const std::string& name) {
    const auto role = std::find(kRoles.begin(), kRoles.end(), Text(DesignOf(name), "kind"));
    return std::pair(role - kRoles.begin(), std::distance(designs_.begin(), designs_.find(name)));
  };
  std::stable_sort(values.begin(), values.end(),
                   [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  return values;
}

std::vector<std::string> Results::OperationsIn(const std::vector<Run>& runs) const {
  std::vector<std::string> known;
  for (const Json& kind : kinds_) {
    for (const std::string& operation : Strings(kind, "operations")) known.push_back(operation);
  }
  std::vector<std::string> operations = ValuesOf(runs, "operation");
  const auto rank = [&known](const std::string& operation) {
    return std::find(known.begin(), known.end(), operation) - known.begin();
  };
  std::stable_sort(operations.begin(), operations.end(),
                   [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  return operations;
}

bool Results::HasPlace(std::string_view variant, std::string_view operation) const {
  const Json* kind = Find(kinds_, {Text(DesignOf(variant), "object")});
  if (kind == nullptr) return true;
  const std::vector<std::string> without = Strings(*kind, "without_place");
  return std::find(without.begin(), without.end(), operation) == without.end();
}

int Badness(std::string_view verdict) {
  if (verdict.empty() || verdict == "pass" || verdict == "skipped") return 0;
  return verdict == "vacuous" || verdict == "undecided" ? 1 : 2;
}

std::string Worse(const std::string& a, const std::string& b) {
  const auto rank = [](const std::string& verdict) {
    return verdict.empty() ? 0 : verdict == "skipped" ? 1 : 2 + Badness(verdict);
  };
  return rank(b) > rank(a) ? b : a;
}

Mark MarkOf(std::string_view verdict) {
  if (verdict == "pass") return Mark::kGood;
  if (verdict == "skipped" || verdict.empty()) return Mark::kMuted;
  return Badness(verdict) == 1 ? Mark::kOpen : Mark::kBad;
}

std::string Short(double number) {
  if (!std::isfinite(number)) return "?";
  const double size = std::fabs(number);
  const auto digits = [](double value, const char* unit) {
    const int places = std::fabs(value) >= 100 ? 0 : std::fabs(value) >= 10 ? 1 : 2;
    return absl::StrFormat("%.*f%s", places, value, unit);
  };
  if (size >= 1e9) return digits(number / 1e9, " G");
  if (size >= 1e6) return digits(number / 1e6, " M");
  if (size >= 1e4) return digits(number / 1e3, " k");
  if (number == std::floor(number)) return absl::StrFormat("%.0f", number);
  return digits(number, "");
}

}  // namespace kill9::report
