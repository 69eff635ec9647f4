#include "harness/report/results/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/report/results/results.h"

namespace kill9::report {
namespace {

constexpr size_t kMostTextBytes = 1000;

// A flattened run: paths and values, in the run's own order.
using Fields = std::vector<std::pair<std::string, Json>>;

const std::set<std::string_view>& LeftOut(std::string_view kind) {
  static const auto* of_sweep = new std::set<std::string_view>{
      "scenario",          "seconds",           "kill_points_per_second", "kill_coverage_direct",
      "longest_way_stops", "string_iterations", "vdso_instructions",      "unrepeatable_registers",
      "strayed_victims",   "sampled",           "counterexamples"};
  static const auto* of_others = new std::set<std::string_view>{"recovery_us.histogram"};
  return kind == "sweep" ? *of_sweep : *of_others;
}

Json Shortened(const Json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (!std::isfinite(number)) return nullptr;
    return std::strtod(absl::StrFormat("%.5g", number).c_str(), nullptr);
  }
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    // What was cut before is left as it is.
    if (text.size() <= kMostTextBytes + 64) return value;
    size_t end = kMostTextBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return absl::StrCat(text.substr(0, end), "\n... (", text.size(), " bytes)");
  }
  if (!value.is_structured()) return value;
  Json copy = value;
  for (Json& part : copy) part = Shortened(part);
  return copy;
}

void Flatten(const Json& object, const std::string& prefix,
             const std::set<std::string_view>& left_out, Fields* fields) {
  for (const auto& [name, value] : object.items()) {
    const std::string path = prefix.empty() ? name : absl::StrCat(prefix, ".", name);
    if (left_out.contains(path)) continue;
    if (value.is_object() && !value.empty()) {
      Flatten(value, path, left_out, fields);
    } else {
      fields->emplace_back(path, Shortened(value));
    }
  }
}

const Json* FieldOf(const Fields& fields, const std::string& path) {
  const auto at = std::find_if(fields.begin(), fields.end(),
                               [&](const auto& field) { return field.first == path; });
  return at == fields.end() ? nullptr : &at->second;
}

std::string TextOf(const Fields& fields, const std::string& path) {
  const Json* value = FieldOf(fields, path);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

// Cells of a sweep end in any order; other runs have the order in which they were asked for.
void SortCells(std::vector<Fields>* runs) {
  const auto key = [](const Fields& run) {
    return std::tuple(TextOf(run, "variant"), TextOf(run, "operation"), TextOf(run, "state"));
  };
  std::stable_sort(runs->begin(), runs->end(),
                   [&](const Fields& a, const Fields& b) { return key(a) < key(b); });
}

// What names a run first, then by name: the order does not depend on which run has which field.
std::vector<std::string> ColumnsOf(const std::vector<Fields>& runs) {
  std::set<std::string> names;
  for (const Fields& run : runs) {
    for (const auto& [path, value] : run) names.insert(path);
  }
  std::vector<std::string> columns;
  for (const char* first : {"variant", "subject", "scenario", "operation", "state", "verdict"}) {
    if (names.erase(first) > 0) columns.emplace_back(first);
  }
  columns.insert(columns.end(), names.begin(), names.end());
  return columns;
}

// Of the designs and kinds that a result describes, those that its runs are of.
void KeepDescriptionsOf(const std::vector<Fields>& runs, Json* result) {
  const auto designs = result->find("designs");
  if (designs == result->end() || !designs->is_object()) return;
  std::set<std::string> named, objects;
  for (const Fields& run : runs) {
    named.insert(TextOf(run, "variant"));
    named.insert(TextOf(run, "subject"));
  }
  const auto keep = [](const std::set<std::string>& names, Json* all) {
    Json kept = Json::object();
    for (const auto& [name, what] : all->items()) {
      if (names.contains(name)) kept[name] = what;
    }
    *all = std::move(kept);
  };
  keep(named, &*designs);
  for (const Json& design : *designs) objects.insert(Text(design, "object"));
  if (const auto kinds = result->find("kinds"); kinds != result->end() && kinds->is_object()) {
    keep(objects, &*kinds);
  }
}

// kInvalidArgument where a path goes through something that is no object.
absl::Status SetPath(const std::string& path, const Json& value, Json* run) {
  Json* at = run;
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(path, '.'))) {
    if (at->is_null()) *at = Json::object();
    if (!at->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("the column '", path, "' names no field"));
    }
    at = &(*at)[name];
  }
  *at = value;
  return absl::OkStatus();
}

}  // namespace

Json Summarise(const Json& result) {
  Json summary;
  for (const auto& [name, value] : result.items()) {
    if (name != "runs") summary[name] = Shortened(value);
  }
  summary["schema"] = kSummarySchema;
  if (auto coverage = summary.find("coverage"); coverage != summary.end()) {
    for (Json& one : *coverage) {
      if (one.is_object()) one.erase("lines_never_reached");
    }
  }
  const std::string kind = Text(result, "kind");
  std::vector<Fields> runs;
  for (const Json& run : result["runs"]) {
    runs.emplace_back();
    if (run.is_object()) Flatten(run, "", LeftOut(kind), &runs.back());
  }
  if (kind == "sweep") SortCells(&runs);
  KeepDescriptionsOf(runs, &summary);

  Json same = Json::object();
  std::vector<std::string> columns = ColumnsOf(runs);
  std::erase_if(columns, [&](const std::string& path) {
    const Json* first = FieldOf(runs[0], path);
    const bool one =
        first != nullptr && std::all_of(runs.begin(), runs.end(), [&](const auto& run) {
          const Json* value = FieldOf(run, path);
          return value != nullptr && *value == *first;
        });
    if (one) same[path] = *first;
    return one;
  });
  summary["same"] = std::move(same);
  summary["columns"] = columns;
  summary["runs"] = Json::array();
  for (const Fields& run : runs) {
    Json row = Json::array();
    for (const std::string& path : columns) {
      const Json* value = FieldOf(run, path);
      row.push_back(value != nullptr ? *value : Json(nullptr));
    }
    summary["runs"].push_back(std::move(row));
  }
  return summary;
}

std::string SummaryText(const Json& summary) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : summary.items()) {
    const bool by_line = value.is_array() && !value.empty() && value[0].is_structured();
    std::string text = value.dump();
    if (by_line) {
      std::vector<std::string> parts;
      for (const Json& part : value) parts.push_back(part.dump());
      text = absl::StrCat("[\n", absl::StrJoin(parts, ",\n"), "\n]");
    }
    lines.push_back(absl::StrCat(Json(name).dump(), ": ", text));
  }
  return absl::StrCat("{\n", absl::StrJoin(lines, ",\n"), "\n}\n");
}

absl::StatusOr<Json> ExpandSummary(const Json& summary) {
  const auto is = [&](const char* name, Json::value_t type) {
    return summary.contains(name) && summary[name].type() == type;
  };
  if (!is("same", Json::value_t::object) || !is("columns", Json::value_t::array) ||
      !is("runs", Json::value_t::array)) {
    return absl::InvalidArgumentError("a summary has \"same\", \"columns\" and \"runs\"");
  }
  const Json& columns = summary["columns"];
  Json result = summary;
  result["schema"] = "kill9/1";
  result.erase("same");
  result.erase("columns");
  result["runs"] = Json::array();
  for (const Json& row : summary["runs"]) {
    if (!row.is_array() || row.size() != columns.size()) {
      return absl::InvalidArgumentError("a run of a summary has one value for each column");
    }
    Json run = Json::object();
    for (const auto& [path, value] : summary["same"].items()) {
      if (absl::Status status = SetPath(path, value, &run); !status.ok()) return status;
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].is_string()) {
        return absl::InvalidArgumentError("a column of a summary is a field's name");
      }
      if (row[i].is_null()) continue;
      absl::Status status = SetPath(columns[i].get<std::string>(), row[i], &run);
      if (!status.ok()) return status;
    }
    result["runs"].push_back(std::move(run));
  }
  return result;
}

}  // namespace kill9::report
