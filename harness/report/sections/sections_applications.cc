// The programs of apps/ beside others of their kind, and what kills did to them.
#include <vector>

#include "harness/base/text/percent.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

constexpr std::string_view kApplicationsKind = "memcached_benchmark";

void AddServerLoads(const std::vector<Run>& runs, Section* section) {
  Table table{.head = {"load", "in the same time", "for the same work", "misses",
                       "its own, while workers are killed"},
              .caption = "kill9-memcached: requests, as a ratio to memcached's (low to high)"};
  for (const Run& run : runs) {
    const Json& json = *run.json;
    table.rows.push_back({Text(json, "load"), SpreadText(json, "in_time"),
                          SpreadText(json, "for_its_work"), Percent(Number(json, "missed_share")),
                          SpreadText(json, "under_kills")});
  }
  section->blocks.push_back(
      Paragraph{"The same clients, in turn within each round. For the same work: for the same "
                "processor time of the server, which says more where the machine has other work. "
                "The last column is a ratio to its own throughput without kills."});
  section->blocks.push_back(std::move(table));
}

void AddServerKills(const std::vector<Run>& runs, Section* section) {
  Table table{.head = {"store", "seed", "kills", "of the master with all", "operations", "cut off",
                       "verdict"},
              .caption = "kill9-memcached: clients on sockets, workers and the master killed"};
  for (const Run& run : runs) {
    const Json& json = *run.json;
    const std::string verdict = Text(json, "verdict");
    table.rows.push_back({Text(json, "variant"), Text(json, "seed"), Short(Number(json, "kills")),
                          Short(Number(json, "kills_of_master")), Short(Number(json, "operations")),
                          Short(Number(json, "cut_off")), Cell(verdict, MarkOf(verdict))});
  }
  section->blocks.push_back(std::move(table));
}

}  // namespace

MaybeSection Applications(const Results& results) {
  Section section{"applications", "Applications: a cache whose workers may be killed"};
  const std::vector<Run> loads = results.Of(kApplicationsKind, "measure", "load");
  if (!loads.empty()) AddServerLoads(loads, &section);
  const std::vector<Run> kills = results.Of(kApplicationsKind, "measure", "torture");
  if (!kills.empty()) AddServerKills(kills, &section);
  if (section.blocks.empty()) return std::nullopt;
  return section;
}

}  // namespace kill9::report
