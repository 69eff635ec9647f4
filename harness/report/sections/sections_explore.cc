// What was explored: every interleaving of a few operations, and every death in them.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

// The runs of a design within the same bounds.
struct Explored {
  std::string verdict, reason, link;  // of the worst
  std::set<std::string> scenes;
  double runs = 0, exhausted = 0, schedules = 0, seconds = 0, deaths = 0;
};
// Design, model, most deaths, most preemptions.
using Bounds = std::tuple<std::string, std::string, std::string, std::string>;

bool IsOfOrderings(const Run& run) { return Find(*run.json, {"orderings"}) != nullptr; }
bool IsFinding(const Run& run) { return Badness(Text(*run.json, "verdict")) > 0; }

void Add(const Run& run, Explored* all) {
  const Json& json = *run.json;
  const std::string verdict = Text(json, "verdict");
  if (const std::string worse = Worse(all->verdict, verdict); worse != all->verdict) {
    all->verdict = worse;
    all->reason = Text(json, "reason", Text(json, "message"));
    all->link = IsFinding(run) ? IdOfFinding("explore", run) : "";
  }
  all->runs += 1;
  all->scenes.insert(Text(json, "scenario"));
  all->exhausted += Text(json, "exhaustive") == "true" ? 1 : 0;
  all->schedules += Number(json, "schedules");
  all->seconds += Number(json, "seconds");
  all->deaths += Number(json, "deaths");
}

Table TableOf(const Results& results, const std::vector<Run>& runs) {
  std::map<Bounds, Explored> rows;
  for (const Run& run : runs) {
    const Json& json = *run.json;
    Add(run, &rows[{Text(json, "variant"), Text(json, "memory_model", "-"),
                    Text(json, "deaths_most", "-"), Text(json, "preemptions_most", "any number")}]);
  }
  Table table{
      .head = {"variant", "memory model", "deaths, at most", "preemptions, at most",
               "worst verdict", "scenes", "exhausted", "schedules", "a second", "deaths in them"},
      .caption = "Explored, by design and bounds"};
  for (const std::string& variant : results.VariantsIn(runs)) {
    for (const auto& [bounds, all] : rows) {
      if (std::get<0>(bounds) != variant) continue;
      Cell verdict(all.verdict, MarkOf(all.verdict));
      verdict.link = all.link;
      verdict.hover = all.reason;
      Cell exhausted(absl::StrFormat("%s of %s", Short(all.exhausted), Short(all.runs)),
                     all.exhausted == all.runs ? Mark::kGood : Mark::kOpen);
      table.rows.push_back({variant, std::get<1>(bounds), std::get<2>(bounds), std::get<3>(bounds),
                            std::move(verdict), Short(static_cast<double>(all.scenes.size())),
                            std::move(exhausted), Short(all.schedules),
                            all.seconds > 0 ? Short(all.schedules / all.seconds) : "-",
                            Short(all.deaths)});
    }
  }
  GroupByRole(results, &table);
  return table;
}

Table OrderingsIn(const std::vector<Run>& runs) {
  Table table{.head = {"variant", "memory model", "scenes", "weaker orders", "found", "never wrong",
                       "spare", "not found"},
              .caption = "Memory orders made weaker by one step"};
  for (const Run& run : runs) {
    const Json& orderings = *Find(*run.json, {"orderings"});
    double all = 0, found = 0, harmless = 0, spare = 0;
    if (!orderings.is_array()) continue;
    for (const Json& one : orderings) {
      all += 1;
      if (Text(one, "found") == "true") {
        found += 1;
      } else if (Text(one, "exhaustive") == "true") {
        harmless += 1;
      } else if (!Text(one, "spare").empty()) {
        spare += 1;
      }
    }
    table.rows.push_back({Text(*run.json, "variant"), Text(*run.json, "memory_model"),
                          Text(*run.json, "scenario"), Short(all), Short(found), Short(harmless),
                          Short(spare), Short(all - found - harmless - spare)});
  }
  return table;
}

Detail DetailOfExplored(const Results& results, const Run& run) {
  const Json& json = *run.json;
  Detail detail;
  detail.id = IdOfFinding("explore", run);
  detail.title = absl::StrCat(Text(json, "variant"), ", ", Text(json, "scenario"), ", ",
                              Text(json, "memory_model"), ": ", Text(json, "verdict"));
  const auto fact = [&detail](const std::string& name, const std::string& value) {
    if (!value.empty()) detail.facts.emplace_back(name, value);
  };
  fact("what was found", Text(json, "message", Text(json, "reason")));
  fact("schedules before it", Short(Number(json, "schedules")));
  if (!Text(json, "token").empty()) {
    const std::string confirmed = Text(json, "confirmed");
    fact("in the shipped binary", confirmed == "true" ? "confirmed" : "possible, not confirmed");
  }
  fact("token", Text(json, "token"));
  fact("repeat", Text(json, "repeat"));
  fact("file", results.files()[run.file].name);
  return detail;
}

}  // namespace

MaybeSection Explored(const Results& results) {
  std::vector<Run> runs = results.Of("explore");
  if (runs.empty()) return std::nullopt;
  std::vector<Run> orderings;
  std::copy_if(runs.begin(), runs.end(), std::back_inserter(orderings), IsOfOrderings);
  std::erase_if(runs, IsOfOrderings);
  Section section{"explored", "Explored: every interleaving, every death"};
  if (!runs.empty()) {
    section.blocks.push_back(
        Paragraph{"A few operations of a few participants in every order of their accesses, with a "
                  "death at every place, each judged. Of an exhausted scene nothing within the "
                  "bounds was left out; of the others it was what the time, or the number of "
                  "schedules, allowed. A failure links to its description, whose token repeats it "
                  "exactly."});
    section.blocks.push_back(TableOf(results, runs));
  }
  if (!orderings.empty()) {
    section.blocks.push_back(
        Paragraph{"Memory orders made weaker by one step, one at a time. Found: some schedule goes "
                  "wrong then. Never wrong: all schedules of all scenes were run, and none did. "
                  "Not found: neither, in the time."});
    section.blocks.push_back(OrderingsIn(orderings));
  }
  for (const Run& run : runs) {
    if (IsFinding(run)) section.blocks.push_back(DetailOfExplored(results, run));
  }
  return section;
}

}  // namespace kill9::report
