// kill9 try: a first verdict of an object, in a minute, and where it breaks.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/signals.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/plugin/worker/object_worker.h"
#include "harness/programs/programs.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/torture/control.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/replay/sweep_replay.h"
#include "stress/command/terminal/terminal.h"
#include "stress/command/torture/display.h"
#include "stress/command/torture/findings.h"
#include "stress/command/torture/programs.h"
#include "stress/command/try/smaller.h"
#include "stress/command/try/tiers.h"
#include "stress/command/try/weak_places.h"

namespace kill9 {
namespace {

constexpr double kShareOfFinding = 0.3;  // of the time, where the object breaks

struct Flags {
  std::string object;
  std::string json;
  TryOptions options;
  ProgramFlags programs;
};

// The lines of a trial: on a terminal what is going on stands in one that is overwritten.
class Page {
 public:
  explicit Page(bool to_errors)
      : out_(to_errors ? std::cerr : std::cout), terminal_(to_errors ? 2 : 1) {}

  const Terminal& terminal() const { return terminal_; }
  void Progress(const std::string& text) { live_.Show(text); }
  // Whole lines.
  void Text(const std::string& lines) {
    live_.Clear();
    out_ << lines << std::flush;
  }
  void Line(const std::string& text) { Text(text + "\n"); }
  void Show(const TierResult& tier) {
    Line(terminal_.Broken(
        absl::StrFormat("%-12s %s  %s", tier.tier, VerdictName(tier.verdict), tier.summary),
        tier.verdict, tier.tier.size()));
  }
  void Verdicts(const std::string& name, Verdict verdict, const std::string& why) {
    Line("\n" + terminal_.Broken(absl::StrCat(name, ": ", std::string(VerdictName(verdict)),
                                              why.empty() ? "" : ": ", why),
                                 verdict, name.size()));
  }

 private:
  std::ostream& out_;
  Terminal terminal_;
  LiveLine live_{out_, terminal_};
};

// The first run of torture that failed, as its own command shows it.
void ShowTorture(Page& page, const Json& runs) {
  for (const Json& run : runs) {
    const Verdict verdict = VerdictOf(run).value_or(Verdict::kUndecided);
    if (ExitCode(verdict) != kExitFailed) continue;
    page.Line(absl::StrCat("\nthe story of one failure", HowSmall(run), "\n",
                           TextField(run, "scenario"), ": ",
                           TextField(run, "reason", "no reason was kept")));
    if (const std::string last = TextField(run, "last_death"); !last.empty()) page.Line(last);
    page.Text(FindingText(page.terminal(), run));
    ShowWhatIsKept(run);
    return;
  }
}

// False: the sweep knows of no place.
bool ShowWeakPlaces(Page& page, const std::vector<WeakPlace>& places, double watchdog_seconds) {
  if (places.empty()) return false;
  page.Line("\nwhere it breaks");
  for (const WeakPlace& place : places) page.Line("  " + place.Text());
  page.Line("\nthe story of one failure, made to happen once more");
  ReplaySweepRun(places.front().run, {.watchdog_seconds = watchdog_seconds});
  return true;
}

// What all tiers come to.
struct Trial {
  std::vector<TierResult> tiers;
  Json weak_places = Json::array();

  int exit_code() const {
    int worst = kExitPass;
    for (const TierResult& tier : tiers) worst = WorseExitCode(worst, tier.exit_code);
    return worst;
  }
  // The tier that decides, the first of its kind; null: none ran.
  const TierResult* Decisive() const {
    for (const TierResult& tier : tiers) {
      if (tier.exit_code == exit_code() && tier.verdict != Verdict::kSkipped) return &tier;
    }
    return nullptr;
  }
};

void Take(Trial& trial, Page& page, TierResult tier) {
  page.Show(tier);
  trial.tiers.push_back(std::move(tier));
}

// The sweep, and where the object breaks by it. True: that is shown.
bool SweepAndShow(const Design& design, const TryOptions& options, Page& page, Trial& trial) {
  Take(trial, page, TrySweep(design, options));
  if (is_interrupted != 0 || !trial.tiers.back().failed()) return false;
  const double seconds = options.by_work() ? 0 : options.seconds * kShareOfFinding;
  const std::vector<WeakPlace> places =
      FindWeakPlaces(design, trial.tiers.back().runs, options, seconds);
  if (is_interrupted != 0) return false;
  for (const WeakPlace& place : places) trial.weak_places.push_back(place.Fields());
  return ShowWeakPlaces(page, places, options.watchdog_seconds);
}

Trial TryDesign(const Design& design, const TryOptions& options, Page& page) {
  Trial trial;
  Take(trial, page, TryControl(design, options));
  if (trial.tiers.back().exit_code != kExitPass) {
    page.Line("nobody has died yet: what deaths do is not looked at");
    ShowTorture(page, trial.tiers.back().runs);
    return trial;
  }
  if (is_interrupted == 0) Take(trial, page, TryTorture(design, options));
  const bool torture_failed = trial.tiers.back().failed();
  if (is_interrupted != 0 || SweepAndShow(design, options, page, trial)) return trial;
  if (is_interrupted == 0 && torture_failed) {
    ShowTorture(page, trial.tiers[1].runs);
    page.Line("no death at one instruction that the sweep tried shows it: it may take a schedule");
  }
  return trial;
}

// The one that failed first, where there is time for it.
void MakeSmaller(TierResult& tier, const programs::ProgramOptions& programs,
                 const TryOptions& options) {
  Json& found = tier.runs.front();
  Json smaller = SmallerFailure(programs, found, options, options.seconds * kShareOfFinding);
  if (smaller.is_null()) return;
  smaller["tier"] = tier.tier;
  found = std::move(smaller);
}

// `design`: of an object that is asked as programs are, and swept as designs are; else null.
Trial TryOwnPrograms(programs::ProgramOptions programs, const Design* design,
                     const TryOptions& options, Page& page) {
  Trial trial;
  // At system calls first: there it takes fewer deaths to find a fault, and each costs a start.
  for (const programs::KillAt kill_at :
       {programs::KillAt::kSystemCalls, programs::KillAt::kRandom}) {
    if (is_interrupted != 0 || (!trial.tiers.empty() && trial.tiers.back().failed())) break;
    programs.kill_at = kill_at;
    TierResult tier = TryPrograms(programs, options);
    if (tier.exit_code == kExitUsage && trial.tiers.empty()) {
      throw UsageError(absl::StrCat("nothing can be tried: ", tier.summary));
    }
    // The first run begins with a control, and ends where that fails.
    if (trial.tiers.empty()) {
      const bool failed = tier.runs[0].value("control", false);
      if (failed) tier.tier = "control";
      if (failed) tier.runs[0]["tier"] = tier.tier;
      if (!failed) {
        page.Show({.tier = "control", .summary = "nobody was killed: all consistent"});
      }
    }
    Take(trial, page, std::move(tier));
  }
  const bool fails_without_deaths = trial.tiers.front().tier == "control";
  bool is_shown = false;
  if (design == nullptr) {
    Take(trial, page, NoSweepOfPrograms(programs));
  } else if (is_interrupted == 0 && !fails_without_deaths) {
    is_shown = SweepAndShow(*design, options, page, trial);
  }
  for (TierResult& tier : trial.tiers) {
    if (tier.tier == "sweep" || !tier.failed()) continue;
    if (!is_shown && !fails_without_deaths) MakeSmaller(tier, programs, options);
    ShowTorture(page, tier.runs);
  }
  return trial;
}

const Design& DesignOf(const std::string& given) {
  if (given.empty()) {
    throw UsageError(
        "it needs an object: a name that kill9 list has, --plugin=./libmine.so, or "
        "--worker='...'");
  }
  const std::vector<const Design*> designs = ChooseDesigns(given);
  if (designs.size() == 1) return *designs.front();
  throw UsageError(absl::StrCat("it takes one object, and '", given, "' are several"));
}

int Report(const Flags& flags, const std::string& name, const Trial& trial,
           const Findings& findings, Page& page, Json result) {
  int exit_code = trial.exit_code();
  const TierResult* decisive = trial.Decisive();
  if (decisive == nullptr || is_interrupted != 0)
    exit_code = WorseExitCode(exit_code, kExitUndecided);
  const Verdict verdict = decisive != nullptr && exit_code == trial.exit_code()
                              ? decisive->verdict
                              : Verdict::kUndecided;
  for (const TierResult& tier : trial.tiers) {
    for (const Json& run : tier.runs) result["runs"].push_back(run);
  }
  result["verdict"] = VerdictName(verdict);
  result["weak_places"] = trial.weak_places;
  result["interrupted"] = is_interrupted != 0;
  const std::string kept = exit_code == kExitFailed ? findings.KeptIn(result) : "";
  std::string why;
  if (is_interrupted != 0) {
    why = "interrupted: what is above was measured";
  } else if (decisive == nullptr) {
    why = "nothing was run: that is no pass";
  } else if (exit_code != kExitPass) {
    why = absl::StrCat(decisive->tier, ": ", decisive->summary);
  }
  page.Verdicts(name, verdict, why);
  if (!kept.empty()) page.Line(HowToReplay(kept));
  return WithResult("kill9 try", result, flags.json, exit_code);
}

int Run(Flags flags) {
  TryOptions& options = flags.options;
  const Design* design = flags.programs.given() ? nullptr : &DesignOf(flags.object);
  const std::optional<ObjectWorker> worker = design == nullptr ? std::nullopt : WorkerOf(*design);
  if (worker.has_value()) Ask(*worker, &flags.programs);
  if (options.seed == 0) options.seed = std::random_device{}() | 1;
  NoteInterrupts();
  std::signal(SIGPIPE, SIG_IGN);
  Page page(flags.json == "-");
  const Findings findings;
  options.counterexamples = findings.folder();
  options.interrupted = &is_interrupted;
  options.progress = [&page](const std::string& text) { page.Progress(text); };
  const std::string bound =
      options.by_work() ? "bounded by work" : absl::StrFormat("about %g s", options.seconds);
  if (design != nullptr && !worker.has_value()) {
    page.Line(absl::StrFormat("%s, a %s; seed %d; %s", design->name(), design->kind(), options.seed,
                              bound));
    Json result = NewResultOfDesigns("try", options.seed);
    const Trial trial = TryDesign(*design, options, page);
    return Report(flags, std::string(design->name()), trial, findings, page, std::move(result));
  }
  programs::ProgramOptions programs =
      OptionsOf(flags.programs, {.processes = options.processes,
                                 .seed = options.seed,
                                 .kills = options.kills,
                                 .watchdog_seconds = options.watchdog_seconds});
  programs.counterexamples = options.counterexamples;
  const std::string name = programs::NameOf(programs);
  page.Line(
      absl::StrFormat("%s, a %s; seed %d; %s", name, programs.workload.model, options.seed, bound));
  Json result =
      design != nullptr ? NewResultOfDesigns("try", options.seed) : NewResult("try", options.seed);
  const Trial trial = TryOwnPrograms(programs, design, options, page);
  return Report(flags, name, trial, findings, page, std::move(result));
}

}  // namespace

void AddTryCommand(CommandLine& line) {
  Command command =
      line.Add("try", "a first verdict of an object, in about a minute, and where it breaks");
  auto flags = std::make_shared<Flags>();
  TryOptions& options = flags->options;
  options.seed = 0;
  command.Group("What is tried");
  const Option object = command.Add("object,--variant", flags->object,
                                    "its name; an object of --plugin, or of this very program, is "
                                    "what is tried anyway");
  command.Group("How much of it");
  command.Add("--seconds", options.seconds, "of all tiers together")
      .Between(1.0, 1e6)
      .ShowDefault();
  const Option kills =
      command
          .Add("--kills", options.kills,
               "not so many seconds, but so many kills in each run of torture, and a whole sweep")
          .Between(uint64_t{1}, uint64_t{1'000'000'000});
  command
      .Add("--cells", options.cells,
           "with --kills: so many operations in states of the sweep, drawn by the seed")
      .Needs(kills)
      .Between(1u, 1'000'000u);
  command.Add("--processes", options.processes, "workers")
      .Between(2u, kMaxWorkers - 2)
      .ShowDefault();
  command.Group("How");
  command.Add("--seed", options.seed, "of everything random; default: drawn and printed");
  command
      .Add("--watchdog", options.watchdog_seconds,
           "seconds without progress after which a survivor is stuck")
      .Between(0.1, 1e4)
      .ShowDefault();
  command.Group("What comes of it");
  command.Add("--json", flags->json, "result file; - for standard output");
  command.Example("robust_unrepaired", "a design of kill9's own that repairs nothing");
  command.Example("--plugin=./libmine.so", "an object of your own, in C or C++ (docs/plugin.md)");
  command.Example("--worker='python3 worker.py' --model=map",
                  "a program of your own, in any language (docs/bring_your_own.md)");
  const std::vector<Option> of_programs = AddProgramOptions(command, flags->programs, {object});
  command.OnCall([flags, of_programs] {
    if (!flags->programs.given()) RefuseWithoutPrograms(of_programs);
    return Run(*flags);
  });
}

}  // namespace kill9
