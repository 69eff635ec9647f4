#include "harness/sweep/coverage_pages.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/percent.h"

namespace kill9::sweep {
namespace {

using stepper::AddressCount;
using stepper::KillCoverage;

double Fraction(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

bool BelongsTo(const std::string& variant, const KillCoverage::Group& counts,
               const std::string& file) {
  return absl::StrContains(file, absl::StrCat("/", variant, "/")) || counts.lines.contains(file);
}

std::string CoverageLine(const Json& figures) {
  return absl::StrFormat(
      "%s: kill coverage %s of %s: %d killed at themselves, %d spoken for by a "
      "kill in the same state; %d of %d source lines with code reached",
      figures["variant"].get<std::string>(), Percent(figures["kill_coverage"].get<double>()),
      CountOf(figures["instructions_executed"].get<uint64_t>(), "instruction"),
      figures["instructions_killed_at"].get<uint64_t>(),
      figures["instructions_spoken_for"].get<uint64_t>(), figures["lines_reached"].get<uint64_t>(),
      figures["lines_with_code"].get<uint64_t>());
}

Json CoverageFigures(const KillCoverage& coverage) {
  Json figures = Json::array();
  for (const auto& [variant, counts] : coverage.groups()) {
    uint64_t executed = 0, killed = 0, spoken_for = 0, addresses_killed = 0, addresses_covered = 0;
    uint64_t not_survived = 0;
    for (const auto& [address, count] : counts.addresses) {
      executed += count.executed;
      killed += count.killed;
      spoken_for += count.spoken_for;
      not_survived += count.not_survived;
      addresses_killed += count.killed > 0;
      addresses_covered += count.killed + count.spoken_for > 0;
    }
    uint64_t with_code = 0, reached = 0, lines_killed = 0, lines_covered = 0;
    Json never = Json::object();
    for (const auto& [file, lines] : coverage.lines_with_code()) {
      if (!BelongsTo(variant, counts, file)) continue;
      auto of_file = counts.lines.find(file);
      Json of_this = Json::array();
      for (int line : lines) {
        ++with_code;
        const KillCoverage::LineCount* found = nullptr;
        if (of_file != counts.lines.end()) {
          auto at = of_file->second.find(line);
          if (at != of_file->second.end()) found = &at->second;
        }
        if (found == nullptr || !found->is_reached()) {
          of_this.push_back(line);
          continue;
        }
        ++reached;
        lines_killed += found->is_killed_at();
        lines_covered += found->is_covered();
      }
      if (!of_this.empty()) never[file] = of_this;
    }
    figures.push_back({{"variant", variant},
                       {"instructions_executed", executed},
                       {"instructions_killed_at", killed},
                       {"instructions_spoken_for", spoken_for},
                       {"instructions_not_survived", not_survived},
                       {"kill_coverage", Fraction(killed + spoken_for, executed)},
                       {"kill_coverage_direct", Fraction(killed, executed)},
                       {"instructions_outside_the_store", counts.outside},
                       {"addresses", counts.addresses.size()},
                       {"addresses_killed_at", addresses_killed},
                       {"addresses_covered", addresses_covered},
                       {"lines_with_code", with_code},
                       {"lines_reached", reached},
                       {"lines_killed_at", lines_killed},
                       {"lines_covered", lines_covered},
                       {"lines_never_reached", never}});
  }
  return figures;
}

void AddLineSets(const KillCoverage& coverage, Json* figures) {
  for (Json& one : *figures) {
    const std::string variant = one["variant"];
    const KillCoverage::Group& counts = coverage.groups().at(variant);
    Json& sets = one["line_sets"] = Json::object();
    for (const auto& [file, with_code] : coverage.lines_with_code()) {
      if (!BelongsTo(variant, counts, file)) continue;
      Json& set = sets[file] = {{"with_code", with_code},
                                {"reached", Json::array()},
                                {"killed_at", Json::array()},
                                {"covered", Json::array()}};
      const auto of_file = counts.lines.find(file);
      if (of_file == counts.lines.end()) continue;
      for (const auto& [line, count] : of_file->second) {
        if (!with_code.contains(line) || !count.is_reached()) continue;
        set["reached"].push_back(line);
        if (count.is_killed_at()) set["killed_at"].push_back(line);
        if (count.is_covered()) set["covered"].push_back(line);
      }
    }
  }
}

}  // namespace kill9::sweep
