// kill9 planted: the planted bugs through the tiers that are expected to catch them, and the
// controls through the tiers that they must pass.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/statistics.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/write_text.h"
#include "harness/gate/plan/planted.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/shards.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

constexpr const char* kTiers[] = {"conformance", "sweep", "torture", "explore", "tsan"};

struct PlantedFlags {
  std::string manifest = DefaultPlantedManifest();
  std::string name = "all";
  std::string tier = "all";
  uint64_t seed = 9;
  uint32_t seeds = 1;
  double budget_seconds = 0;
  bool every_tier = false;
  bool build = false, fail_fast = false, quiet = false;
  std::string shard, json, markdown;
};

// Of one bug or control: what each of its tiers said, for each seed.
struct Outcomes {
  const PlantedBug* bug = nullptr;
  std::map<std::string, std::vector<TierOutcome>> of_tier;

  enum class Conclusion { kAsExpected, kWrong, kUnanswered };

  // A bug: every seed was caught, by one tier at least; a tier that gave no answer may have caught
  // it. A control: every tier was asked and passed it.
  Conclusion conclusion() const {
    std::vector<bool> caught, unanswered;
    for (const auto& [tier, outcomes] : of_tier) {
      caught.resize(std::max(caught.size(), outcomes.size()));
      unanswered.resize(caught.size());
      for (size_t i = 0; i < outcomes.size(); ++i) {
        if (outcomes[i].caught()) caught[i] = true;
        if (!outcomes[i].answered()) unanswered[i] = true;
      }
    }
    if (caught.empty()) return Conclusion::kUnanswered;
    for (size_t i = 0; i < caught.size(); ++i) {
      if (caught[i] && bug->control) return Conclusion::kWrong;
      if (!caught[i] && !bug->control && !unanswered[i]) return Conclusion::kWrong;
    }
    for (size_t i = 0; i < caught.size(); ++i) {
      if (unanswered[i] && (bug->control || !caught[i])) return Conclusion::kUnanswered;
    }
    return Conclusion::kAsExpected;
  }
  // Why a tier gave no answer: "not_built (sweep, torture)", and what it said first.
  std::string WhyUnanswered() const {
    std::map<std::string, std::vector<std::string>> tiers;
    std::map<std::string, std::string> said;
    for (const auto& [tier, outcomes] : of_tier) {
      for (const TierOutcome& outcome : outcomes) {
        if (outcome.answered()) continue;
        tiers[outcome.verdict].push_back(tier);
        if (said[outcome.verdict].empty()) said[outcome.verdict] = outcome.message;
      }
    }
    std::vector<std::string> parts;
    for (auto& [verdict, names] : tiers) {
      names.erase(std::unique(names.begin(), names.end()), names.end());
      const std::string& first = said[verdict];
      parts.push_back(absl::StrCat(verdict, " (", absl::StrJoin(names, ", "), ")",
                                   first.empty() ? "" : ": ", first));
    }
    return parts.empty() ? "none of its tiers was asked" : absl::StrJoin(parts, "; ");
  }
};

struct Summary {
  size_t runs = 0, caught = 0, answered = 0;
  double median_seconds = 0, longest_seconds = 0;  // of those that caught it
};

Summary SummaryOf(const std::vector<TierOutcome>& outcomes) {
  Summary summary{.runs = outcomes.size()};
  std::vector<double> seconds;
  for (const TierOutcome& outcome : outcomes) {
    if (outcome.answered()) ++summary.answered;
    if (!outcome.caught()) continue;
    ++summary.caught;
    seconds.push_back(outcome.seconds);
    summary.longest_seconds = std::max(summary.longest_seconds, outcome.seconds);
  }
  summary.median_seconds = Median(seconds);
  return summary;
}

Json RunOf(const Outcomes& outcomes) {
  const PlantedBug& bug = *outcomes.bug;
  Json run = {{"name", bug.name},
              {"variant", bug.variant},
              {"control", bug.control},
              {"classes", bug.classes},
              {"what", bug.what},
              {"patch", bug.patch},
              {"expected_verdicts", bug.verdicts},
              {"budget_s", bug.budget_seconds}};
  run["verdict"] = "pass";
  Json tiers = Json::array();
  for (const char* tier : kTiers) {
    const auto found = outcomes.of_tier.find(tier);
    if (found == outcomes.of_tier.end()) continue;
    const Summary summary = SummaryOf(found->second);
    Json verdicts = Json::array(), messages = Json::array(), seconds = Json::array();
    for (const TierOutcome& outcome : found->second) {
      verdicts.push_back(outcome.verdict);
      seconds.push_back(std::round(outcome.seconds * 1000) / 1000);
      if (!outcome.message.empty() && messages.empty()) messages.push_back(outcome.message);
      if (outcome.caught() && run["verdict"] == "pass") run["verdict"] = outcome.verdict;
    }
    tiers.push_back(
        {{"tier", tier},
         {"runs", summary.runs},
         {"caught", summary.caught},
         {"verdicts", verdicts},
         {"seconds", seconds},
         {"median_seconds_to_catch", std::round(summary.median_seconds * 1000) / 1000}});
    if (!messages.empty()) tiers.back()["message"] = messages[0];
  }
  run["tiers"] = std::move(tiers);
  run["as_expected"] = outcomes.conclusion() == Outcomes::Conclusion::kAsExpected;
  if (outcomes.conclusion() == Outcomes::Conclusion::kUnanswered) {
    run["verdict"] = "undecided";
    run["reason"] = outcomes.WhyUnanswered();
  }
  run["repeat"] = absl::StrCat("kill9 planted --build --every-tier --name=", bug.name);
  return run;
}

// Median seconds; how many of the seeds, if not all; a dash where the tier was not asked.
std::string Cell(const Outcomes& outcomes, const char* tier) {
  const auto found = outcomes.of_tier.find(tier);
  if (found == outcomes.of_tier.end()) return "-";
  const Summary summary = SummaryOf(found->second);
  if (summary.answered == 0) return found->second.front().verdict;
  if (outcomes.bug->control) {
    return summary.caught == 0 ? "passed" : "FAILED " + CountOf(summary.caught, "time");
  }
  if (summary.caught == 0) return "missed";
  std::string text = absl::StrFormat("%.1f", summary.median_seconds);
  if (summary.caught < summary.runs) {
    absl::StrAppend(&text, " (", summary.caught, " of ", summary.runs, ")");
  }
  return text;
}

std::string TableOf(const std::vector<Outcomes>& all, bool controls) {
  std::string text =
      "| planted | variant | class | what | conformance | sweep | torture | explore | tsan "
      "|\n|---|---|---|---|---|---|---|---|---|\n";
  for (const Outcomes& outcomes : all) {
    const PlantedBug& bug = *outcomes.bug;
    if (bug.control != controls) continue;
    absl::StrAppend(&text, "| `", bug.name, "` | ", bug.variant, " | ",
                    bug.control ? "-" : absl::StrJoin(bug.classes, ", "), " | ", bug.what);
    for (const char* tier : kTiers) absl::StrAppend(&text, " | ", Cell(outcomes, tier));
    absl::StrAppend(&text, " |\n");
  }
  return text;
}

// Replaces what stands between "<!-- MARK -->" and "<!-- end of MARK -->".
bool ReplaceMarked(std::string* page, const std::string& mark, const std::string& text) {
  const std::string begin = absl::StrCat("<!-- ", mark, " -->\n");
  const size_t from = page->find(begin);
  const size_t to = page->find(absl::StrCat("<!-- end of ", mark, " -->"));
  if (from == std::string::npos || to == std::string::npos || to < from) return false;
  page->replace(from + begin.size(), to - from - begin.size(), text);
  return true;
}

int WriteMarkdown(const std::string& file, const std::vector<Outcomes>& all) {
  std::ifstream in(file);
  std::stringstream read;
  read << in.rdbuf();
  std::string page = read.str();
  if (!ReplaceMarked(&page, "planted bugs", TableOf(all, false)) ||
      !ReplaceMarked(&page, "controls", TableOf(all, true))) {
    std::cerr << "kill9 planted: " << file << " has no places marked for the tables\n";
    return kExitUsage;
  }
  const absl::Status written = WriteText(page, file, "the page");
  return written.ok() ? kExitPass : Complain("kill9 planted", written);
}

const char* InWords(const PlantedBug& bug, const TierOutcome& outcome) {
  if (outcome.caught()) return bug.control ? "FALSE ALARM" : "caught";
  if (outcome.verdict == "not_built") return "not built";
  if (!outcome.answered()) return "no answer";
  return bug.control ? "no alarm" : "not caught";
}

// The lines of a run: one for each answer, and what is asked just now.
class PlantedDisplay {
 public:
  PlantedDisplay(const PlantedFlags& flags, size_t bugs)
      : out_(LinesBeside(flags.json)),
        terminal_(flags.json == "-" ? 2 : 1),
        live_(out_, terminal_),
        quiet_(flags.quiet),
        bugs_(bugs) {}

  void Next() { ++bug_; }
  void ShowProgress(const PlantedBug& bug, const std::string& tier, double seconds) {
    live_.Show(absl::StrFormat("[%d/%d, %s, %s] %.0f s", bug_, bugs_, bug.name, tier, seconds));
  }
  void Show(const PlantedBug& bug, const TierOutcome& outcome, uint64_t seed) {
    live_.Clear();
    const bool as_expected = outcome.answered() && outcome.caught() != bug.control;
    if (quiet_ && as_expected) return;
    out_ << absl::StrFormat("%-42s %-13s seed %d  %-12s %-16s %6.1f s%s\n", bug.name, outcome.tier,
                            seed, InWords(bug, outcome), outcome.verdict, outcome.seconds,
                            outcome.caught() && !outcome.as_declared(bug) && !bug.control
                                ? "  (another verdict than declared)"
                                : "")
         << std::flush;
  }

 private:
  std::ostream& out_;
  const Terminal terminal_;
  LiveLine live_;
  const bool quiet_;
  const size_t bugs_;
  size_t bug_ = 0;
};

Outcomes RunOne(const PlantedBug& bug, const std::vector<std::string>& tiers,
                const PlantedFlags& flags, PlantedDisplay& display) {
  Outcomes outcomes{.bug = &bug, .of_tier = {}};
  const double budget = flags.budget_seconds > 0 ? flags.budget_seconds : bug.budget_seconds;
  for (uint32_t n = 0; n < flags.seeds && is_interrupted == 0; ++n) {
    for (const std::string& tier : bug.tiers) {
      if (!absl::c_linear_search(tiers, tier) || is_interrupted != 0) continue;
      TierOutcome outcome =
          RunPlantedTier(bug, tier, flags.seed + n, budget, &is_interrupted,
                         [&](double seconds) { display.ShowProgress(bug, tier, seconds); });
      const bool caught = outcome.caught();
      display.Show(bug, outcome, flags.seed + n);
      outcomes.of_tier[tier].push_back(std::move(outcome));
      if (caught && !flags.every_tier) break;
    }
  }
  return outcomes;
}

// Every one is chosen by its name, its variant, or as one of the bugs or of the controls.
std::vector<const PlantedBug*> ChooseBugs(const std::string& given,
                                          const std::vector<PlantedBug>& all) {
  std::vector<Choice<const PlantedBug*>> known;
  for (const PlantedBug& bug : all) {
    const std::string kind = bug.control ? "controls" : "bugs";
    known.push_back({bug.name, &bug, {"all", kind, bug.variant}});
  }
  const std::vector<const PlantedBug*> chosen = Choose("--name", given, known);
  std::vector<const PlantedBug*> once;
  for (const PlantedBug& bug : all) {
    if (absl::c_linear_search(chosen, &bug)) once.push_back(&bug);
  }
  return once;
}

std::vector<const PlantedBug*> ShareOfBugs(const Shard& shard,
                                           const std::vector<std::string>& names,
                                           const std::vector<const PlantedBug*>& bugs) {
  std::vector<const PlantedBug*> mine;
  for (const size_t bug : ChooseShare(shard, names)) mine.push_back(bugs[bug]);
  return mine;
}

std::vector<std::string> ChooseTiersOfPlanted(const std::string& given) {
  std::vector<Choice<std::string>> known;
  for (const char* tier : kTiers) known.push_back({tier, tier});
  return Choose("--tier", given, known);
}

// What it comes to, in words and as an exit code: what was not asked, or gave no answer, is not as
// expected.
int Conclude(const std::vector<Outcomes>& all, std::ostream& out) {
  using Conclusion = Outcomes::Conclusion;
  const auto count = [&all](Conclusion conclusion) {
    return std::count_if(all.begin(), all.end(),
                         [&](const Outcomes& one) { return one.conclusion() == conclusion; });
  };
  out << count(Conclusion::kAsExpected) << " of " << all.size()
      << " as expected: bugs caught, controls not\n";
  for (const Outcomes& one : all) {
    if (one.conclusion() == Conclusion::kWrong) {
      out << (one.bug->control ? "  false alarm: " : "  not caught: ") << one.bug->name << "\n";
    } else if (one.conclusion() == Conclusion::kUnanswered) {
      out << "  no answer: " << one.bug->name << ": " << one.WhyUnanswered() << "\n";
    }
  }
  const auto not_built = [](const Outcomes& one) {
    return one.conclusion() == Conclusion::kUnanswered &&
           absl::StrContains(one.WhyUnanswered(), "not_built");
  };
  if (std::any_of(all.begin(), all.end(), not_built)) {
    out << "what is not built, --build builds; of the tsan tier: ./dev tsan\n";
  }
  if (is_interrupted != 0) out << "interrupted: what is above was asked\n";
  return count(Conclusion::kWrong) != 0                                    ? kExitFailed
         : all.empty() || count(Conclusion::kAsExpected) < std::ssize(all) ? kExitUndecided
         : is_interrupted != 0                                             ? kExitUndecided
                                                                           : kExitPass;
}

int RunPlanted(const PlantedFlags& flags) {
  const std::vector<std::string> tiers = ChooseTiersOfPlanted(flags.tier);
  absl::StatusOr<std::vector<PlantedBug>> all = ReadPlantedBugs(flags.manifest);
  if (!all.ok()) {
    return Complain("kill9 planted", all.status());
  }
  std::vector<const PlantedBug*> bugs = ChooseBugs(flags.name, *all);
  std::vector<std::string> units;
  for (const PlantedBug* bug : bugs) units.push_back(bug->name);
  const Shard shard = ChooseShard(flags.shard);
  if (!shard.whole()) bugs = ShareOfBugs(shard, units, bugs);
  NoteInterrupts();
  if (flags.build) {
    std::vector<PlantedBug> chosen;
    for (const PlantedBug* bug : bugs) chosen.push_back(*bug);
    absl::Status status = BuildPlanted(chosen, flags.manifest, &is_interrupted);
    if (!status.ok()) {
      Complain("kill9 planted", status);
      return absl::IsCancelled(status) ? kExitUndecided : kExitUsage;
    }
  }
  Json result = NewResult("planted", flags.seed);
  result["seeds"] = flags.seeds;
  if (!shard.whole()) result["shard"] = DescribeShard(shard, units);
  std::vector<Outcomes> outcomes;
  PlantedDisplay display(flags, bugs.size());
  for (const PlantedBug* bug : bugs) {
    if (is_interrupted != 0) break;
    if (flags.fail_fast && !outcomes.empty() &&
        outcomes.back().conclusion() == Outcomes::Conclusion::kWrong) {
      break;
    }
    display.Next();
    outcomes.push_back(RunOne(*bug, tiers, flags, display));
    result["runs"].push_back(RunOf(outcomes.back()));
    if (!shard.whole()) result["runs"].back()["unit"] = bug->name;
  }
  result["interrupted"] = is_interrupted != 0;
  int exit_code = Conclude(outcomes, LinesBeside(flags.json));
  if (is_interrupted == 0 && outcomes.size() < bugs.size()) {
    LinesBeside(flags.json) << "not asked after the first failure: "
                            << bugs.size() - outcomes.size() << "\n";
  }
  exit_code = WithResult("kill9 planted", result, flags.json, exit_code);
  // Else its tables would lack the rest.
  if (flags.markdown.empty() || outcomes.size() != bugs.size()) return exit_code;
  return WorseExitCode(exit_code, WriteMarkdown(flags.markdown, outcomes));
}

}  // namespace

void AddPlantedCommand(CommandLine& line) {
  Command command =
      line.Add("planted", "bugs planted on purpose, through the tiers that must catch them");
  auto flags = std::make_shared<PlantedFlags>();
  command.Group("What is asked");
  command.Add("--name", flags->name, "all, bugs, controls, a variant, or names with commas between")
      .ShowDefault();
  command.Add("--tier", flags->tier, "all, or conformance, sweep, torture, explore, tsan")
      .ShowDefault();
  command.AddFlag("--every-tier", flags->every_tier,
                  "ask every tier that is expected to catch a bug, not only the first that does");
  command.Add("--manifest", flags->manifest, "the list of planted bugs").ShowDefault();
  command.AddFlag("--build", flags->build, "build them first");
  command.Group("How much of it");
  command.Add("--seed", flags->seed, "the first one").ShowDefault();
  command.Add("--seeds", flags->seeds, "how many runs, each of its own seed")
      .Between(1u, 1'000'000u)
      .ShowDefault();
  command
      .Add("--budget", flags->budget_seconds,
           "seconds of each tier; default: what the patch declares")
      .Between(0.001, 1e6);
  command.Add("--shard", flags->shard, kShardHelp);
  command.Group("What comes of it");
  command.AddFlag("--fail-fast", flags->fail_fast,
                  "end after the first bug that is not caught, or control that is");
  command.AddFlag("--quiet", flags->quiet, "show what is not as expected, and the summary");
  command.Add("--json", flags->json, "result file; - for standard output");
  command.Add("--markdown", flags->markdown, "a page whose tables are to be rewritten")
      .ExistingFile();
  command.Example("--name=cas_slots --build", "the bugs planted in one design, built first");
  command.Example("--name=all --shard=1/4 --json=1.json", "a quarter of all");
  command.OnCall([flags] { return RunPlanted(*flags); });
}

}  // namespace kill9
