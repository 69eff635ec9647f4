// The score of ./dev mutants: of thousands of small mechanical changes, how many the tiers notice.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/percent.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

Cell ScoreCell(const Json& score) {
  const double built = Number(score, "killed") + Number(score, "survived");
  if (built == 0) return {"-", Mark::kMuted};
  return Cell(Percent(Number(score, "killed") / built));
}

std::vector<Cell> ScoreRow(const std::string& name, const Json& score) {
  return {name,
          ScoreCell(score),
          Short(Number(score, "killed")),
          Short(Number(score, "timed_out")),
          Short(Number(score, "survived")),
          Short(Number(score, "not_built"))};
}

Table ScoresBy(const std::string& what, const std::string& caption) {
  return {.head = {what, "score", "killed", "of these by the limit of time", "survived",
                   "could not be built"},
          .caption = caption};
}

void AddFile(const ResultFile& file, const Results& results, Section* section) {
  const Json& json = file.json;
  const double killed = Number(json, "killed");
  const double built = killed + Number(json, "survived");
  section->blocks.push_back(Paragraph{absl::StrFormat(
      "%s (part %s, seed %s): %s of the %s mutants that could be built were noticed%s, %s of them "
      "only because they did not come to their end in time.",
      file.name, Text(json, "shard", "1/1"), Text(json, "seed"), Short(killed), Short(built),
      built > 0 ? absl::StrCat(" (", Percent(killed / built), ")") : "",
      Short(Number(json, "timed_out")))});
  Table by_design = ScoresBy("variant", "Mutants by design whose code was changed");
  for (const Json& run : json["runs"]) {
    if (run.is_object()) by_design.rows.push_back(ScoreRow(Text(run, "variant"), run));
  }
  GroupByRole(results, &by_design);
  if (!by_design.rows.empty()) section->blocks.push_back(std::move(by_design));
  Table by_kind = ScoresBy("change", "Mutants by kind of change");
  if (const Json* kinds = Find(json, {"kinds"}); kinds != nullptr && kinds->is_object()) {
    for (const auto& [name, score] : kinds->items()) by_kind.rows.push_back(ScoreRow(name, score));
  }
  if (!by_kind.rows.empty()) section->blocks.push_back(std::move(by_kind));
  Table by_tier{.head = {"tier", "mutants that it was the first to notice"},
                .caption = "Mutants by the tier that noticed them"};
  if (const Json* tiers = Find(json, {"killed_by"}); tiers != nullptr && tiers->is_object()) {
    for (const auto& [name, count] : tiers->items()) {
      if (count.is_number()) by_tier.rows.push_back({name, Short(count.get<double>())});
    }
  }
  if (!by_tier.rows.empty()) section->blocks.push_back(std::move(by_tier));
  Table survivors{.head = {"mutant", "was", "is"}, .is_folded = true};
  if (const Json* all = Find(json, {"survivors"}); all != nullptr && all->is_array()) {
    for (const Json& one : *all) {
      survivors.rows.push_back({Text(one, "id"), Text(one, "was"), Text(one, "is")});
    }
  }
  survivors.caption = absl::StrCat("The ", survivors.rows.size(), " that nothing noticed");
  if (!survivors.rows.empty()) section->blocks.push_back(std::move(survivors));
}

}  // namespace

MaybeSection Mutants(const Results& results) {
  Section section{"mutants", "Mutants: what nobody notices"};
  for (const ResultFile& file : results.files()) {
    if (Text(file.json, "kind") == "mutants") AddFile(file, results, &section);
  }
  if (section.blocks.empty()) return std::nullopt;
  section.blocks.insert(
      section.blocks.begin(),
      Paragraph{"One small mechanical change of a design at a time: an operator, a constant, a "
                "branch, a statement left out, a memory order relaxed. Who wrote the tests has not "
                "chosen them. Of those that nothing notices each is equivalent, or shows a check "
                "that is missing: read them one by one."});
  return section;
}

}  // namespace kill9::report
