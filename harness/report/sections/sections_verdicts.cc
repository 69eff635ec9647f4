// Verdicts and what they link to; kill coverage; planted bugs.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "harness/base/text/percent.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

constexpr size_t kMostCounterexampleBytes = 4000;

struct Summary {
  std::string verdict;
  double runs = 0;
  double kills = 0;
  std::string reason;
  std::string link;  // of the worst
};

double KillsOf(const Json& run) {
  const Json* kills = Find(run, {"kills"});
  return kills != nullptr ? Number(*kills, "total") : 0;
}

void Add(const Run& run, Summary* summary) {
  const std::string verdict = Text(*run.json, "verdict");
  if (const std::string worse = Worse(summary->verdict, verdict); worse != summary->verdict) {
    summary->verdict = worse;
    summary->reason = Text(*run.json, "reason");
    summary->link = Badness(verdict) > 0 ? IdOfFinding("torture", run) : "";
  }
  summary->runs += 1;
  summary->kills += KillsOf(*run.json);
}

Cell ToCell(const Summary& summary) {
  if (summary.runs == 0) return {"-", Mark::kMuted};
  Cell cell(summary.verdict, MarkOf(summary.verdict));
  if (summary.verdict != "skipped") absl::StrAppend(&cell.text, " ", Short(summary.kills));
  cell.link = summary.link;
  cell.hover = summary.reason;
  return cell;
}

// Rows: variants; columns: `columns`, values of `field`.
Table Matrix(const Results& results, const std::vector<Run>& runs, const std::string& field,
             const std::vector<std::string>& columns, const std::string& caption) {
  std::map<std::pair<std::string, std::string>, Summary> cells;
  for (const Run& run : runs) {
    Add(run, &cells[{Text(*run.json, "variant"), Text(*run.json, field)}]);
  }
  Table table{.head = {"variant"}, .caption = caption};
  table.head.insert(table.head.end(), columns.begin(), columns.end());
  for (const std::string& variant : results.VariantsIn(runs)) {
    table.rows.push_back({variant});
    for (const std::string& column : columns) {
      table.rows.back().push_back(ToCell(cells[{variant, column}]));
    }
  }
  GroupByRole(results, &table);
  return table;
}

// Of each variant and operation: the largest share, over its starting states, of instructions at
// which a kill was not survived. Only of sweeps that were not left after their first failures.
std::optional<Table> NotSurvived(const Results& results, const std::vector<Run>& sweep,
                                 const std::string& caption) {
  struct Worst {
    double share = -1, instructions = 0;
  };
  std::map<std::pair<std::string, std::string>, Worst> cells;
  std::vector<Run> told;
  for (const Run& run : sweep) {
    const Json* lost = Find(*run.json, {"not_survived"});
    // All instructions of the operation, and the place after its last.
    if (lost == nullptr || Number(*lost, "of") != Number(*run.json, "instructions") + 1) continue;
    told.push_back(run);
    Worst& worst = cells[{Text(*run.json, "variant"), Text(*run.json, "operation")}];
    if (Number(*lost, "share") < worst.share) continue;
    worst = {Number(*lost, "share"), Number(*lost, "instructions")};
  }
  if (told.empty()) return std::nullopt;
  const std::vector<std::string> operations = results.OperationsIn(told);
  Table table{.head = {"variant"}, .caption = caption};
  table.head.insert(table.head.end(), operations.begin(), operations.end());
  for (const std::string& variant : results.VariantsIn(told)) {
    table.rows.push_back({variant});
    for (const std::string& operation : operations) {
      const Worst& worst = cells[{variant, operation}];
      Cell cell("-", Mark::kMuted);
      if (worst.share == 0) cell = {"0", Mark::kGood};
      if (worst.share > 0) {
        cell = Cell(absl::StrFormat("%s (%s)", Percent(worst.share), Short(worst.instructions)));
        cell.shade = worst.share;
      }
      table.rows.back().push_back(std::move(cell));
    }
  }
  GroupByRole(results, &table);
  return table;
}

// The runs by the kind of object that they are of, in the order in which the kinds first come.
struct RunsOfKind {
  std::string object;
  std::vector<Run> runs;
};
std::vector<RunsOfKind> ByObject(const Results& results, const std::vector<Run>& runs) {
  std::vector<RunsOfKind> kinds;
  for (const Run& run : runs) {
    const std::string object = Text(results.DesignOf(Text(*run.json, "variant")), "object");
    auto kind = std::find_if(kinds.begin(), kinds.end(),
                             [&](const RunsOfKind& one) { return one.object == object; });
    if (kind == kinds.end()) kind = kinds.insert(kinds.end(), {object, {}});
    kind->runs.push_back(run);
  }
  return kinds;
}

// Of all that was asked for, what a kind has: the others' scenarios are skipped for all of its
// designs.
std::vector<std::string> ColumnsOf(const std::vector<Run>& runs, const std::string& field) {
  std::vector<Run> told = runs;
  std::erase_if(told, [](const Run& run) {
    return Text(*run.json, "verdict") == "skipped" && HasNoSuchScenario(*run.json);
  });
  return ValuesOf(told, field);
}

// A table's caption; of several kinds each is named.
std::string CaptionOf(const std::string& what, const std::vector<RunsOfKind>& kinds,
                      const RunsOfKind& kind) {
  if (kinds.size() < 2) return what;
  return absl::StrCat(what, " Kind: ", kind.object.empty() ? "not described" : kind.object, ".");
}

std::string Excerpt(const std::string& text) {
  if (text.size() <= kMostCounterexampleBytes) return text;
  return absl::StrCat(text.substr(0, kMostCounterexampleBytes), "\n… (", text.size(), " bytes)");
}

Detail DetailOf(const Results& results, const Run& run) {
  const Json& json = *run.json;
  const std::string expected = Text(json, "expected_verdict");
  Detail detail;
  detail.id = IdOfFinding("torture", run);
  detail.title = absl::StrCat(Text(json, "variant"), ", ", Text(json, "scenario"), ": ",
                              Text(json, "verdict"));
  const auto fact = [&detail](const std::string& name, const std::string& value) {
    if (!value.empty()) detail.facts.emplace_back(name, value);
  };
  fact("what was found", Text(json, "reason"));
  const Json* example = Find(json, {"counterexample"});
  const bool of_sweep = example != nullptr && example->is_object();
  if (of_sweep) {
    fact("what was found", Text(*example, "message"));
    fact("killed before", Text(*example, "place"));
  }
  if (const Json* lost = Find(json, {"not_survived"}); lost != nullptr) {
    fact("not survived",
         absl::StrFormat("%s of %s instructions", Short(Number(*lost, "instructions")),
                         Short(Number(*lost, "of"))));
  }
  fact(of_sweep ? "kills" : "kills before it", Short(KillsOf(json)));
  if (!of_sweep) fact("operations", Short(Number(json, "operations")));
  if (expected != "pass") fact("expected", expected);
  fact("repeat", Text(json, "repeat"));
  fact("file", results.files()[run.file].name);
  if (!of_sweep) detail.code = Excerpt(Text(json, "counterexample"));
  return detail;
}

}  // namespace

MaybeSection Verdicts(const Results& results) {
  const std::vector<Run> torture = results.Of("torture");
  const std::vector<Run> sweep = results.Of("sweep");
  if (torture.empty() && sweep.empty()) return std::nullopt;
  Section section{"verdicts", "Verdicts"};
  if (!torture.empty()) {
    section.blocks.push_back(
        Paragraph{"Torture: real processes killed at random moments, every operation checked, by "
                  "variant and scenario. A cell is the worst verdict and the number of kills; a "
                  "failure links to its description. For baselines and peers a failure is a "
                  "finding about that design, not an error of the run."});
    const std::vector<RunsOfKind> kinds = ByObject(results, torture);
    for (const RunsOfKind& kind : kinds) {
      const std::vector<std::string> scenarios = ColumnsOf(kind.runs, "scenario");
      section.blocks.push_back(
          Matrix(results, kind.runs, "scenario", scenarios,
                 CaptionOf("Torture: worst verdict and kills, by scenario.", kinds, kind)));
    }
  }
  if (!sweep.empty()) {
    section.blocks.push_back(
        Paragraph{"Sweep: a process killed exactly before each machine instruction of an "
                  "operation, in every starting state that was asked for; the number counts kills, "
                  "each of which speaks for all instructions that leave the same bytes."});
    const std::vector<RunsOfKind> kinds = ByObject(results, sweep);
    for (const RunsOfKind& kind : kinds) {
      const std::vector<std::string> operations = results.OperationsIn(kind.runs);
      section.blocks.push_back(
          Matrix(results, kind.runs, "operation", operations,
                 CaptionOf("Sweep: worst verdict and kills, by operation.", kinds, kind)));
    }
    bool is_first = true;
    for (const RunsOfKind& kind : kinds) {
      std::optional<Table> lost = NotSurvived(
          results, kind.runs, CaptionOf("Instructions not survived, by operation.", kinds, kind));
      if (!lost.has_value()) continue;
      if (std::exchange(is_first, false)) {
        section.blocks.push_back(Paragraph{
            "The share of an operation's instructions (and how many they are) at which a kill is "
            "not survived: the others hang, crash, or see what no order of operations explains. "
            "The largest of the starting states in which every instruction was judged."});
      }
      section.blocks.push_back(*std::move(lost));
    }
  }
  return section;
}

MaybeSection Failures(const Results& results) {
  Section section{"failures", "What was found"};
  for (const char* kind : {"torture", "sweep"}) {
    for (const Run& run : results.Of(kind)) {
      if (Badness(Text(*run.json, "verdict")) == 0) continue;
      section.blocks.push_back(DetailOf(results, run));
    }
  }
  if (section.blocks.empty()) return std::nullopt;
  section.blocks.insert(
      section.blocks.begin(),
      Paragraph{"Every run that did not pass, with the line that repeats it. Torture's schedules "
                "are the machine's: a repeat is a best effort. Sweeps repeat exactly."});
  return section;
}

MaybeSection KillCoverage(const Results& results) {
  Table table{.head = {"variant", "kill coverage", "instructions executed", "killed at",
                       "spoken for", "lines reached", "lines covered", "file"},
              .caption = "Kill coverage, by variant and file of results"};
  for (const ResultFile& file : results.files()) {
    const Json* coverage = Find(file.json, {"coverage"});
    if (coverage == nullptr || !coverage->is_array()) continue;
    for (const Json& one : *coverage) {
      table.rows.push_back({Text(one, "variant"),
                            Cell(Percent(Number(one, "kill_coverage")),
                                 Number(one, "kill_coverage") >= 1 ? Mark::kGood : Mark::kOpen),
                            Short(Number(one, "instructions_executed")),
                            Short(Number(one, "instructions_killed_at")),
                            Short(Number(one, "instructions_spoken_for")),
                            Short(Number(one, "lines_reached")),
                            Short(Number(one, "lines_covered")), file.name});
    }
  }
  if (table.rows.empty()) return std::nullopt;
  GroupByRole(results, &table);
  Section section{"coverage", "Kill coverage"};
  section.blocks = {
      Paragraph{"The share of a design's executed machine instructions at which a process was "
                "killed (or which a kill speaks for: same bytes, same robust list, same system "
                "calls) and survivors judged what was left; what they found is under Verdicts. The "
                "annotated source, line by line, is written by the command below."},
      std::move(table),
      Code{"./dev sweep --variant=global_mutex --coverage=DIR    # the annotated source, and "
           "coverage.json"}};
  return section;
}

MaybeSection Planted(const Results& results) {
  const std::vector<Run> runs = results.Of("planted");
  if (runs.empty()) return std::nullopt;
  std::vector<std::string> tiers;
  for (const Run& run : runs) {
    const Json* all = Find(*run.json, {"tiers"});
    for (const Json& tier : all != nullptr ? *all : Json::array()) {
      const std::string name = Text(tier, "tier");
      if (std::find(tiers.begin(), tiers.end(), name) == tiers.end()) tiers.push_back(name);
    }
  }
  Table table{.head = {"planted bug", "variant", "what"},
              .caption = "Planted bugs: seconds until a tier caught them"};
  for (const std::string& tier : tiers) table.head.push_back(absl::StrCat(tier, ", s"));
  size_t bugs = 0;
  size_t caught = 0;
  for (const Run& run : runs) {
    const Json& json = *run.json;
    const bool control = Text(json, "control") == "true";
    table.rows.push_back({Text(json, "name"), Text(json, "variant"), Text(json, "what")});
    bool any = false;
    for (const std::string& name : tiers) {
      Cell cell("-", Mark::kMuted);
      const Json* all = Find(json, {"tiers"});
      for (const Json& tier : all != nullptr ? *all : Json::array()) {
        if (Text(tier, "tier") != name) continue;
        const double seen = Number(tier, "caught");
        const double of = Number(tier, "runs");
        any = any || seen > 0;
        if (control) {
          cell = {seen == 0 ? "passed" : "failed", seen == 0 ? Mark::kGood : Mark::kBad};
        } else if (seen == 0) {
          cell = {"missed", Mark::kMuted};
        } else {
          cell = {Short(Number(tier, "median_seconds_to_catch")), Mark::kGood};
          if (seen < of) absl::StrAppendFormat(&cell.text, " (%g of %g)", seen, of);
        }
      }
      table.rows.back().push_back(std::move(cell));
    }
    if (control) continue;
    ++bugs;
    caught += any ? 1 : 0;
  }
  Section section{"planted", "Planted bugs: how soon they are caught"};
  section.blocks = {
      Paragraph{absl::StrFormat("%d of %d planted bugs were caught by at least one tier. Each is a "
                                "patch with one bug of one class; cells are the median seconds "
                                "until a tier caught it. Controls are harmless changes that must "
                                "pass everywhere.",
                                caught, bugs)},
      std::move(table)};
  return section;
}

}  // namespace kill9::report
