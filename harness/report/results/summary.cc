#include "harness/report/results/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/report/results/results.h"
#include "harness/report/results/shape_coverage.h"

namespace kill9::report {
namespace {

constexpr size_t kMostTextBytes = 1000;

// A flattened run: paths and values, in the run's own order.
using Fields = std::vector<std::pair<std::string, Json>>;

// Of a run of torture this is kept; what each kind of object counts besides is not.
constexpr std::string_view kKeptOfTorture[] = {"variant",
                                               "scenario",
                                               "verdict",
                                               "expected_verdict",
                                               "reason",
                                               "condition",
                                               "seconds",
                                               "processes",
                                               "operations",
                                               "operations_per_second",
                                               "kills.total",
                                               "kills.in_operation",
                                               "kills.in_recovery",
                                               "kills_per_second",
                                               "recoveries",
                                               "recovery_us.p50",
                                               "recovery_us.p99",
                                               "recovery_us.max",
                                               "recovery_us.samples",
                                               "death_noted_us.p50",
                                               "death_noted_us.p99",
                                               "death_noted_us.max",
                                               "longest_wait_us",
                                               "longest_wait_function",
                                               "leaked_blocks",
                                               "doubly_owned_blocks",
                                               "lost_writes",
                                               "survivors_crashed",
                                               "shape.kind",
                                               "shape.text",
                                               "counterexample",
                                               "repeat"};

// Of a cell of the sweep: what is of one machine on one day, or follows from other fields.
constexpr std::string_view kLeftOutOfSweep[] = {"scenario",
                                                "seconds",
                                                "kill_points_per_second",
                                                "kill_coverage_direct",
                                                "longest_way_stops",
                                                "string_iterations",
                                                "vdso_instructions",
                                                "unrepeatable_registers",
                                                "strayed_victims",
                                                "sampled",
                                                "counterexamples",
                                                "counterexample.repeat",

                                                "outcomes",
                                                "page_faults_per_kill",
                                                "system_calls",
                                                "kills.in_operation",
                                                "distinct_segment_states",
                                                "instructions_killed_at",
                                                "instructions_spoken_for",
                                                "sampled_differently",
                                                "stopped_by"};

// A field, or one of the object that has the name.
bool IsOf(std::string_view name, std::string_view path) {
  return path.starts_with(name) && (path.size() == name.size() || path[name.size()] == '.');
}

bool IsKept(std::string_view kind, std::string_view path) {
  if (IsOf("shape.classes", path)) return false;  // "shapes_seen" counts them
  const auto is_of = [path](std::string_view name) { return IsOf(name, path); };
  if (kind == "torture") return std::ranges::any_of(kKeptOfTorture, is_of);
  return kind != "sweep" || std::ranges::none_of(kLeftOutOfSweep, is_of);
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

void Flatten(const Json& object, const std::string& prefix, std::string_view kind, Fields* fields) {
  for (const auto& [name, value] : object.items()) {
    const std::string path = prefix.empty() ? name : absl::StrCat(prefix, ".", name);
    if (value.is_object() && !value.empty()) {
      Flatten(value, path, kind, fields);
    } else if (IsKept(kind, path)) {
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

// The shape stands in the line that repeats a run; of a run that passed the shape is enough.
void KeepOneShape(Fields* run) {
  if (FieldOf(*run, "shape.text") == nullptr || FieldOf(*run, "repeat") == nullptr) return;
  const std::string left_out = TextOf(*run, "verdict") == "pass" ? "repeat" : "shape.text";
  std::erase_if(*run, [&](const auto& field) { return field.first == left_out; });
}

// Cells of a sweep end in any order; other runs have the order in which they were asked for.
void SortCells(std::vector<Fields>* runs) {
  const auto key = [](const Fields& run) {
    return std::tuple(TextOf(run, "variant"), TextOf(run, "operation"), TextOf(run, "state"));
  };
  std::stable_sort(runs->begin(), runs->end(),
                   [&](const Fields& a, const Fields& b) { return key(a) < key(b); });
}

// What names a run first, then by name.
std::vector<std::string> ColumnsOf(const Fields& run) {
  std::set<std::string> names;
  for (const auto& [path, value] : run) names.insert(path);
  std::vector<std::string> columns;
  for (const char* first : {"variant", "subject", "scenario", "operation", "state", "verdict"}) {
    if (names.erase(first) > 0) columns.emplace_back(first);
  }
  columns.insert(columns.end(), names.begin(), names.end());
  return columns;
}

// The texts that tell many runs apart into few groups: "role", "distribution". Of those that were
// skipped the reason does.
std::set<std::string> FewTexts(const std::vector<Fields>& runs) {
  constexpr size_t kMostValues = 4;
  constexpr size_t kFewestRunsOfAValue = 20;
  std::map<std::string, std::set<std::string>> values;
  for (const Fields& run : runs) {
    for (const auto& [path, value] : run) {
      if (value.is_string()) values[path].insert(value.get<std::string>());
    }
  }
  std::set<std::string> few;
  for (const auto& [path, found] : values) {
    if (found.size() <= kMostValues && found.size() * kFewestRunsOfAValue <= runs.size()) {
      few.insert(path);
    }
  }
  return few;
}

// Runs of one form have the same fields, and the same of these texts.
std::string FormOf(const Fields& run, const std::set<std::string>& texts) {
  std::map<std::string, std::string> form;
  const bool is_skipped = TextOf(run, "verdict") == "skipped";
  for (const auto& [path, value] : run) {
    const bool tells = texts.contains(path) || (is_skipped && path == "reason");
    form[path] = tells ? value.dump() : "";
  }
  return absl::StrJoin(form, "\n", absl::PairFormatter("="));
}

// Takes the fields that have one value in all of these runs out of each.
Json TakeOutSame(const std::vector<size_t>& which, std::vector<Fields>* runs) {
  Json same = Json::object();
  if (which.empty()) return same;
  std::set<std::string> taken;
  for (const auto& [path, first] : (*runs)[which[0]]) {
    if (std::all_of(which.begin(), which.end(), [&](size_t i) {
          const Json* value = FieldOf((*runs)[i], path);
          return value != nullptr && *value == first;
        })) {
      taken.insert(path);
    }
  }
  for (const std::string& path : taken) same[path] = *FieldOf((*runs)[which[0]], path);
  for (size_t i : which) {
    std::erase_if((*runs)[i], [&](const auto& field) { return taken.contains(field.first); });
  }
  return same;
}

// How many runs were of each class of shapes.
Json ShapesOf(const Json& result) {
  Json seen = Json::object();
  for (const ShapeCoverage& one : CoverageOfShapes({&result})) {
    for (const auto& [name, runs] : one.classes) {
      if (runs > 0) seen[one.kind][one.dimension][name] = runs;
    }
  }
  return seen;
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
  if (Json seen = ShapesOf(result); !seen.empty()) summary["shapes_seen"] = std::move(seen);
  const std::string kind = Text(result, "kind");
  std::vector<Fields> runs;
  for (const Json& run : result["runs"]) {
    runs.emplace_back();
    if (!run.is_object()) continue;
    Flatten(run, "", kind, &runs.back());
    KeepOneShape(&runs.back());
  }
  if (kind == "sweep") SortCells(&runs);
  KeepDescriptionsOf(runs, &summary);

  std::vector<size_t> all(runs.size());
  std::iota(all.begin(), all.end(), size_t{0});
  summary["same"] = TakeOutSame(all, &runs);
  std::vector<std::vector<size_t>> forms;
  std::map<std::string, size_t> known;
  std::vector<size_t> form_of;
  const std::set<std::string> texts = FewTexts(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto [at, is_new] = known.try_emplace(FormOf(runs[i], texts), forms.size());
    if (is_new) forms.emplace_back();
    forms[at->second].push_back(i);
    form_of.push_back(at->second);
  }
  std::vector<std::string> fields;
  std::map<std::string, size_t> number_of;
  const auto number = [&](const std::string& field) {
    const auto [at, is_new] = number_of.try_emplace(field, fields.size());
    if (is_new) fields.push_back(field);
    return at->second;
  };
  std::vector<std::vector<std::string>> columns;
  Json written = Json::array();
  for (const std::vector<size_t>& of_form : forms) {
    Json form = {{"same", Json::array()}, {"columns", Json::array()}};
    // What one run alone would share with itself stays in its line.
    const Json same = of_form.size() > 1 ? TakeOutSame(of_form, &runs) : Json::object();
    columns.push_back(ColumnsOf(runs[of_form[0]]));
    for (const std::string& path : columns.back()) form["columns"].push_back(number(path));
    for (const auto& [path, value] : same.items()) form["same"].push_back({number(path), value});
    written.push_back(std::move(form));
  }
  summary["fields"] = std::move(fields);
  summary["forms"] = std::move(written);
  summary["runs"] = Json::array();
  for (size_t i = 0; i < runs.size(); ++i) {
    Json row = Json::array({form_of[i]});
    for (const std::string& path : columns[form_of[i]]) row.push_back(*FieldOf(runs[i], path));
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
  const auto is = [](const Json& json, const char* name, Json::value_t type) {
    return json.is_object() && json.contains(name) && json[name].type() == type;
  };
  for (const char* name : {"fields", "forms", "runs"}) {
    if (!is(summary, name, Json::value_t::array) || !is(summary, "same", Json::value_t::object)) {
      return absl::InvalidArgumentError(
          "a summary has \"same\", \"fields\", \"forms\" and \"runs\"");
    }
  }
  const Json &fields = summary["fields"], &forms = summary["forms"];
  const auto is_field = [&](const Json& number) {
    return number.is_number_unsigned() && number.get<size_t>() < fields.size() &&
           fields[number.get<size_t>()].is_string();
  };
  const auto is_form = [&](const Json& form) {
    return is(form, "same", Json::value_t::array) && is(form, "columns", Json::value_t::array) &&
           std::all_of(form["columns"].begin(), form["columns"].end(), is_field) &&
           std::all_of(form["same"].begin(), form["same"].end(), [&](const Json& same) {
             return same.is_array() && same.size() == 2 && is_field(same[0]);
           });
  };
  if (!std::all_of(forms.begin(), forms.end(), is_form)) {
    return absl::InvalidArgumentError(
        "a form of a summary has \"columns\", numbers of fields, and \"same\", these with values");
  }
  Json result = summary;
  result["schema"] = "kill9/1";
  for (const char* name : {"same", "fields", "forms"}) result.erase(name);
  result["runs"] = Json::array();
  for (const Json& row : summary["runs"]) {
    const bool has_form = row.is_array() && !row.empty() && row[0].is_number_unsigned() &&
                          row[0].get<size_t>() < forms.size();
    if (!has_form || row.size() != 1 + forms[row[0].get<size_t>()]["columns"].size()) {
      return absl::InvalidArgumentError(
          "a run of a summary has the number of its form, and one value for each column");
    }
    const Json& form = forms[row[0].get<size_t>()];
    Json run = Json::object();
    absl::Status status;
    const auto set = [&](const Json& field, const Json& value) {
      status.Update(SetPath(fields[field.get<size_t>()].get<std::string>(), value, &run));
    };
    for (const auto& [path, value] : summary["same"].items()) {
      status.Update(SetPath(path, value, &run));
    }
    for (const Json& same : form["same"]) set(same[0], same[1]);
    for (size_t i = 1; i < row.size(); ++i) set(form["columns"][i - 1], row[i]);
    if (!status.ok()) return status;
    result["runs"].push_back(std::move(run));
  }
  return result;
}

}  // namespace kill9::report
