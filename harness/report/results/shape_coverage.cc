#include "harness/report/results/shape_coverage.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/report/results/results.h"

namespace kill9::report {
namespace {

void AddClasses(const std::string& kind, const Json& dimensions,
                std::vector<ShapeCoverage>* coverage) {
  if (!dimensions.is_object()) return;
  for (const auto& [dimension, names] : dimensions.items()) {
    auto at = std::find_if(coverage->begin(), coverage->end(), [&](const ShapeCoverage& one) {
      return one.kind == kind && one.dimension == dimension;
    });
    if (at == coverage->end()) at = coverage->insert(at, {kind, dimension, {}});
    for (const Json& name : names) {
      if (!name.is_string()) continue;
      const auto same = [&](const auto& known) { return known.first == name.get<std::string>(); };
      if (std::any_of(at->classes.begin(), at->classes.end(), same)) continue;
      at->classes.emplace_back(name.get<std::string>(), 0);
    }
  }
}

void AddRuns(const std::string& kind, const std::string& dimension, const std::string& name,
             uint64_t more, std::vector<ShapeCoverage>* coverage) {
  AddClasses(kind, {{dimension, {name}}}, coverage);
  for (ShapeCoverage& one : *coverage) {
    if (one.kind != kind || one.dimension != dimension) continue;
    for (auto& [known, runs] : one.classes) runs += known == name ? more : 0;
  }
}

void Count(const Json& run, std::vector<ShapeCoverage>* coverage) {
  const Json* classes = Find(run, {"shape", "classes"});
  if (classes == nullptr || !classes->is_object()) return;
  const std::string kind = Text(run["shape"], "kind");
  for (const auto& [dimension, seen] : classes->items()) {
    for (const Json& name : seen) {
      if (name.is_string()) AddRuns(kind, dimension, name.get<std::string>(), 1, coverage);
    }
  }
}

// What a summary has in place of its runs' classes.
void CountSeen(const Json& result, std::vector<ShapeCoverage>* coverage) {
  const Json* kinds = Find(result, {"shapes_seen"});
  if (kinds == nullptr || !kinds->is_object()) return;
  for (const auto& [kind, dimensions] : kinds->items()) {
    if (!dimensions.is_object()) continue;
    for (const auto& [dimension, seen] : dimensions.items()) {
      if (!seen.is_object()) continue;
      for (const auto& [name, runs] : seen.items()) {
        AddRuns(kind, dimension, name, static_cast<uint64_t>(Number(seen, name)), coverage);
      }
    }
  }
}

}  // namespace

std::vector<ShapeCoverage> CoverageOfShapes(const std::vector<const Json*>& results) {
  std::vector<ShapeCoverage> coverage;
  for (const Json* result : results) {
    const Json* kinds = Find(*result, {"shape_classes"});
    if (kinds == nullptr || !kinds->is_object()) continue;
    for (const auto& [kind, dimensions] : kinds->items()) AddClasses(kind, dimensions, &coverage);
  }
  for (const Json* result : results) {
    CountSeen(*result, &coverage);
    const Json* runs = Find(*result, {"runs"});
    if (runs == nullptr) continue;
    for (const Json& run : *runs) Count(run, &coverage);
  }
  return coverage;
}

std::vector<ShapeCoverage> OfKindsThatRan(std::vector<ShapeCoverage> coverage) {
  std::set<std::string> ran;
  for (const ShapeCoverage& one : coverage) {
    for (const auto& [name, runs] : one.classes) {
      if (runs != 0) ran.insert(one.kind);
    }
  }
  std::erase_if(coverage, [&](const ShapeCoverage& one) { return !ran.contains(one.kind); });
  return coverage;
}

std::string UnseenIn(const std::vector<ShapeCoverage>& coverage) {
  std::set<std::string> kinds;
  for (const ShapeCoverage& one : coverage) kinds.insert(one.kind);
  std::vector<std::string> unseen;
  for (const ShapeCoverage& one : coverage) {
    std::vector<std::string> names;
    for (const auto& [name, runs] : one.classes) {
      if (runs == 0) names.push_back(name);
    }
    if (names.empty()) continue;
    unseen.push_back(absl::StrCat(kinds.size() > 1 ? one.kind + " " : "", one.dimension, ": ",
                                  absl::StrJoin(names, ", ")));
  }
  return absl::StrJoin(unseen, "; ");
}

std::string ShapesSeenIn(const Json& result) {
  const std::vector<ShapeCoverage> coverage = OfKindsThatRan(CoverageOfShapes({&result}));
  size_t all = 0, seen = 0;
  for (const ShapeCoverage& one : coverage) {
    all += one.classes.size();
    seen += static_cast<size_t>(std::count_if(one.classes.begin(), one.classes.end(),
                                              [](const auto& name) { return name.second != 0; }));
  }
  if (all == 0) return "";
  const std::string unseen = UnseenIn(coverage);
  return absl::StrCat("shapes: ", seen, " of ", all, " classes were seen",
                      unseen.empty() ? "" : "; by no run: ", unseen);
}

}  // namespace kill9::report
