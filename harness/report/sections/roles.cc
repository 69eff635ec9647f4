#include "harness/report/sections/roles.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kill9::report {
namespace {

constexpr const char* kTiers[] = {"torture", "sweep", "explore"};

// Sorts the rows by the title that `title_of` gives their names, in the order of `titles`.
void Group(const std::vector<std::string>& titles,
           const std::function<size_t(const std::string&)>& title_of, Table* table) {
  std::vector<std::pair<size_t, std::vector<Cell>>> rows;
  for (std::vector<Cell>& row : table->rows) {
    const size_t title = row.empty() ? titles.size() - 1 : title_of(row[0].text);
    rows.emplace_back(title, std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  table->rows.clear();
  table->groups.clear();
  size_t last = titles.size();
  for (auto& [title, row] : rows) {
    if (title != last) table->groups.push_back({table->rows.size(), titles[title]});
    last = title;
    table->rows.push_back(std::move(row));
  }
}

}  // namespace

Role RoleOf(const Results& results, std::string_view name) {
  const std::string kind = Text(results.DesignOf(name), "kind");
  if (kind == "design") return Role::kDesign;
  if (kind == "baseline") return Role::kBaseline;
  return kind == "peer" ? Role::kPeer : Role::kOther;
}

std::string_view TitleOf(Role role) {
  switch (role) {
    case Role::kDesign:
      return "Designs";
    case Role::kBaseline:
      return "Baselines: how it is often done";
    case Role::kPeer:
      return "Peers: other libraries";
    case Role::kOther:
      return "Others: bare limits, the system's own, what no file describes";
  }
  return "";
}

std::string IdOfFinding(const std::string& kind, const Run& run) {
  return absl::StrCat(kind == "explore" ? "explored-" : "run-", run.file, "-", run.index);
}

WorstRun WorstRunOf(const Results& results, const std::string& kind, const std::string& variant) {
  WorstRun worst;
  for (const Run& run : results.Of(kind, "variant", variant)) {
    const std::string verdict = Text(*run.json, "verdict");
    if (Worse(worst.verdict, verdict) == worst.verdict) continue;
    worst = {verdict, Text(*run.json, "reason", Text(*run.json, "message")),
             Badness(verdict) > 0 ? IdOfFinding(kind, run) : ""};
    const Json* message = Find(*run.json, {"counterexample", "message"});
    if (worst.reason.empty() && message != nullptr && message->is_string()) {
      worst.reason = message->get<std::string>();
    }
  }
  return worst;
}

bool Failed::operator()(const std::string& name) {
  const auto known = known_.find(name);
  if (known != known_.end()) return known->second;
  const bool failed = std::any_of(std::begin(kTiers), std::end(kTiers), [&](const char* tier) {
    return MarkOf(WorstRunOf(results_, tier, name).verdict) == Mark::kBad;
  });
  return known_[name] = failed;
}

std::vector<std::string> RoleTitles() {
  std::vector<std::string> titles;
  for (const Role role : {Role::kDesign, Role::kBaseline, Role::kPeer, Role::kOther}) {
    titles.emplace_back(TitleOf(role));
  }
  return titles;
}

void GroupByRole(const Results& results, Table* table) {
  Group(
      RoleTitles(),
      [&](const std::string& name) { return static_cast<size_t>(RoleOf(results, name)); }, table);
}

void GroupFigures(const Results& results, Table* table) {
  std::vector<std::string> titles = RoleTitles();
  titles.emplace_back("Failed: not to be compared with those above");
  Failed failed(results);
  Group(
      titles,
      [&](const std::string& name) {
        return failed(name) ? titles.size() - 1 : static_cast<size_t>(RoleOf(results, name));
      },
      table);
}

std::string TakeOutFailed(const Results& results, Plot* plot) {
  Failed failed(results);
  std::vector<std::string> names;
  std::erase_if(plot->curves, [&](const Curve& curve) {
    if (failed(curve.name)) names.push_back(curve.name);
    return failed(curve.name);
  });
  if (names.empty()) return "";
  return absl::StrCat(" Not drawn, since they failed: ", absl::StrJoin(names, ", "), ".");
}

}  // namespace kill9::report
