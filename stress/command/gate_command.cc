// kill9 gate: all tiers over all variants within a budget of time; what CI runs.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/gate/gate.h"
#include "harness/gate/report.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/folders.h"
#include "stress/command/arguments/shards.h"
#include "stress/command/campaign/gate_memory.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/closing_summary.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

struct Flags {
  std::string budget;
  std::string variant = "all";
  std::string tier = "all";
  std::string junit;
  std::string json;
  std::string shard;
  std::string campaign;
  size_t planted_targets = 0;
  bool quiet = false;
  gate::GateOptions options;
};

constexpr double kUsualBudgetSeconds = 300;
constexpr uint64_t kUsualCells = 8;

// "300", "300s" or "5m".
double ParseBudget(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double seconds = unit == "m" ? number * 60 : number;
  if (end == text.c_str() || (unit != "" && unit != "s" && unit != "m") || !(seconds >= 1) ||
      seconds > 1e6) {
    throw UsageError(absl::StrCat("--budget: '", text,
                                  "' is no time; give seconds (300, 300s) or minutes (5m)"));
  }
  return seconds;
}

std::vector<gate::Tier> ChooseTiers(const std::string& given) {
  std::vector<Choice<gate::Tier>> known;
  for (int n = 0; n < gate::kTiers; ++n) {
    const auto tier = static_cast<gate::Tier>(n);
    known.push_back({std::string(gate::TierName(tier)), tier});
  }
  std::vector<gate::Tier> chosen = Choose("--tier", given, known);
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

// Where the programs of a build lie: beside this one.
absl::Status SetDefaults(Flags& flags) {
  gate::GateOptions& options = flags.options;
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it needs /proc, to find its programs and to leave none of them behind: /proc/self/exe: ",
        error.message()));
  }
  const std::filesystem::path build = program.parent_path();
  options.program = program.string();
  const auto set = [](std::string& option, const std::filesystem::path& path) {
    if (option.empty()) option = path.lexically_normal().string();
  };
  set(options.tests_directory, build);
  set(options.tsan_program, build / ".." / "tsan" / "threads_test");
  set(options.planted, build / "planted" / "manifest.json");
  const bool is_built_here = std::filesystem::exists(build / "CMakeCache.txt", error);
  set(options.output, is_built_here ? build / "gate" : "kill9-out/gate");
  if (flags.campaign.empty()) {
    set(options.memory, std::filesystem::path(options.output) / "memory.json");
  }
  return absl::OkStatus();
}

constexpr std::string_view kGateCommand = "kill9 gate";
int Fail(const absl::Status& status) { return Complain(kGateCommand, status); }

// The folder for logs, emptied of what an earlier gate left in it. Two gates cannot share one.
absl::StatusOr<int> TakeOutputFolder(const std::string& output) {
  if (const absl::Status made = MakeFolder(output); !made.ok()) return made;
  std::error_code error;
  const int lock = open((output + "/lock").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return absl::ErrnoToStatus(errno, "cannot make '" + output + "/lock'");
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return absl::FailedPreconditionError(
        absl::StrCat("another gate is at work in '", output, "'; give another --output"));
  }
  std::filesystem::remove_all(output + "/logs", error);
  std::filesystem::create_directories(output + "/logs", error);
  return lock;
}

class Display {
 public:
  Display(bool to_errors, bool quiet)
      : out_(to_errors ? std::cerr : std::cout),
        terminal_(to_errors ? 2 : 1),
        live_(out_, terminal_),
        quiet_(quiet),
        annotates_(std::getenv("GITHUB_ACTIONS") != nullptr &&
                   std::string(std::getenv("GITHUB_ACTIONS")) == "true") {}

  void Line(const std::string& text) {
    live_.Clear();
    out_ << terminal_.Broken(text) << std::endl;
  }
  void ShowProgress(const gate::GateProgress& progress) {
    const gate::GateStep& step = progress.step;
    std::string text = progress.all == 0
                           ? "[planning"
                           : absl::StrFormat("[%d/%d", progress.ended + 1, progress.all);
    if (std::isfinite(progress.left_seconds)) {
      absl::StrAppendFormat(&text, ", %.0f s left", std::max(0.0, progress.left_seconds));
    }
    absl::StrAppendFormat(&text, ", %s%s%s %s] %.0f s", gate::TierName(step.tier),
                          step.variant.empty() ? "" : " ", step.variant, step.name,
                          progress.step_seconds);
    if (failed_ > 0) absl::StrAppend(&text, ", ", failed_, " failed");
    live_.Show(text);
  }
  void Show(const gate::StepResult& answer) {
    live_.Clear();
    failed_ += ExitCode(answer.verdict) == kExitFailed;
    const bool passed = answer.verdict == Verdict::kPass;
    const std::string tier(gate::TierName(answer.tier));
    summary_.Add(
        absl::StrCat(tier, " ", answer.variant, answer.variant.empty() ? "" : " ", answer.name),
        answer.verdict, answer.reason);
    if (quiet_ && ExitCode(answer.verdict) == kExitPass) return;
    out_ << absl::StrFormat("%6.1f s  %-9s %-15s %-40s %s\n", gate::NowSeconds() - begin_, tier,
                            answer.variant, answer.name, terminal_.Paint(answer.verdict));
    if (!passed) {
      if (!answer.file.empty()) out_ << "    " << answer.file << ":" << answer.line << "\n";
      std::string reason = answer.reason;
      for (size_t at = 0; (at = reason.find('\n', at)) != std::string::npos; at += 5) {
        reason.replace(at, 1, "\n    ");
      }
      if (!reason.empty()) out_ << "    " << reason << "\n";
    }
    if (ExitCode(answer.verdict) != kExitPass && !answer.repeat.empty()) {
      out_ << "    repeat: " << answer.repeat << "\n";
    }
    if (annotates_ && !passed) out_ << gate::GithubAnnotation(answer) << "\n";
    out_ << std::flush;
  }
  void Summary(const gate::GateResult& result) {
    live_.Clear();
    out_ << "\n" << summary_.Failures(terminal_) << gate::Table(result.answers) << std::endl;
    if (const char* path = std::getenv("GITHUB_STEP_SUMMARY"); annotates_ && path != nullptr) {
      std::ofstream(path, std::ios::app) << gate::Markdown(result.answers);
    }
  }

 private:
  std::ostream& out_;
  Terminal terminal_;
  LiveLine live_;
  ClosingSummary summary_;
  size_t failed_ = 0;
  bool quiet_;
  bool annotates_;
  double begin_ = gate::NowSeconds();
};

// Each is tried, whatever becomes of the others. Returns the exit code.
int WriteFiles(const Flags& flags, const gate::GateResult& result) {
  int exit_code = AfterWriting(kGateCommand, result.remembered, result.exit_code);
  if (!flags.junit.empty()) {
    exit_code =
        AfterWriting(kGateCommand, gate::WriteJunit(result.answers, flags.junit), exit_code);
  }
  if (flags.json.empty() && flags.campaign.empty()) return exit_code;
  Json json = NewResult("gate", flags.options.seed);
  if (std::isfinite(flags.options.budget_seconds)) {
    json["budget_seconds"] = flags.options.budget_seconds;
  }
  json["seconds"] = result.seconds;
  json["exit_code"] = result.exit_code;
  json["conclusion"] = gate::Conclusion(result);
  if (result.needed_seconds > 0) json["needed_budget_seconds"] = result.needed_seconds;
  if (result.not_run > 0) json["not_run"] = result.not_run;
  json["interrupted"] = is_interrupted != 0;
  const Shard& shard = flags.options.shard;
  if (!shard.whole()) {
    json["shard"] = DescribeShard(shard, result.units);
    json["options"] = {{"kills", flags.options.kills}, {"cells", flags.options.cells}};
  }
  for (const gate::StepResult& answer : result.answers) {
    json["runs"].push_back(gate::RunOf(answer));
    if (!shard.whole()) json["runs"].back()["unit"] = answer.unit;
  }
  if (!flags.campaign.empty()) {
    exit_code = AfterWriting(kGateCommand, AddToCampaign(flags.campaign, json), exit_code);
  }
  return WithResult(kGateCommand, json, flags.json, exit_code);
}

absl::StatusOr<gate::PassHistory> MemoryOf(const Flags& flags) {
  if (flags.campaign.empty()) return gate::PassHistory::Load(flags.options.memory);
  return PassHistoryOf(flags.campaign);
}

// For ./dev: what to build before the gate, so that it has some planted bugs to catch.
int PrintPlantedTargets(const Flags& flags) {
  absl::StatusOr<gate::PassHistory> memory = MemoryOf(flags);
  if (!memory.ok()) return Fail(memory.status());
  gate::ProcessPool pool(&is_interrupted);
  absl::StatusOr<std::vector<std::string>> targets =
      gate::Planner(flags.options, pool, gate::NowSeconds())
          .PlantedTargets(*memory, flags.planted_targets);
  if (absl::IsFailedPrecondition(targets.status())) return kExitPass;  // there are none
  if (!targets.ok()) return Fail(targets.status());
  for (const std::string& target : *targets) std::cout << target << "\n";
  return kExitPass;
}

int RunGate(Flags& flags) {
  gate::GateOptions& options = flags.options;
  if (!flags.budget.empty()) {
    options.budget_seconds = ParseBudget(flags.budget);
  } else if (options.by_work()) {
    options.budget_seconds = std::numeric_limits<double>::infinity();
  } else {
    options.budget_seconds = kUsualBudgetSeconds;
  }
  options.designs = ChooseDesigns(flags.variant);
  options.tiers = ChooseTiers(flags.tier);
  options.tiers_are_named = flags.tier != "all";
  options.shard = ChooseShard(flags.shard, options.seed);
  if (options.seed == 0) options.seed = std::random_device{}() | 1;
  if (absl::Status status = SetDefaults(flags); !status.ok()) {
    return Fail(status);
  }
  if (flags.planted_targets > 0) return PrintPlantedTargets(flags);
  absl::StatusOr<gate::PassHistory> memory = MemoryOf(flags);
  if (!memory.ok()) return Fail(memory.status());
  absl::StatusOr<int> lock = TakeOutputFolder(options.output);
  if (!lock.ok()) return Fail(lock.status());
  const auto unlock = absl::MakeCleanup([&lock] { close(*lock); });
  if (!options.memory.empty()) {
    if (absl::Status status = CanWriteResult(options.memory); !status.ok()) return Fail(status);
  }
  NoteInterrupts();
  std::signal(SIGPIPE, SIG_IGN);

  Display display(flags.json == "-", flags.quiet);
  const std::string budget = std::isfinite(options.budget_seconds)
                                 ? absl::StrFormat("%g s", options.budget_seconds)
                                 : CountOf(options.kills, "kill") + " a run";
  display.Line(absl::StrFormat("seed %d; budget: %s; logs in %s", options.seed, budget,
                               options.output + "/logs"));
  gate::Gate runner(
      options, &is_interrupted,
      [&display](const gate::StepResult& answer) { display.Show(answer); },
      [&display](const gate::GateProgress& progress) { display.ShowProgress(progress); });
  runner.Remember(*std::move(memory));
  absl::StatusOr<gate::GateResult> result = runner.Run();
  if (!result.ok()) return Fail(result.status());
  display.Summary(*result);
  display.Line(absl::StrFormat("%s after %.1f s (budget: %s)",
                               is_interrupted != 0 ? "interrupted" : gate::Conclusion(*result),
                               result->seconds, budget));
  return WriteFiles(flags, *result);
}

}  // namespace

void AddGateCommand(CommandLine& line) {
  Command command = line.Add("gate", "all tiers over all designs within a budget of time, for CI");
  auto flags = std::make_shared<Flags>();
  std::vector<std::string> tiers;
  for (int n = 0; n < gate::kTiers; ++n) {
    tiers.emplace_back(gate::TierName(static_cast<gate::Tier>(n)));
  }
  line.Offer("gate tier", std::move(tiers));
  gate::GateOptions& options = flags->options;
  options.seed = 0;
  options.cells = kUsualCells;
  command.Group("What is run, and how much");
  const Option budget =
      command.Add("--budget", flags->budget,
                  "seconds (300, 300s) or minutes (5m); default: 300, or none with --kills");
  const Option kills = command
                           .Add("--kills", options.kills,
                                "no bound by time: so many kills in each torture run, --cells of "
                                "each design's sweep, ten schedules of a scene for each kill")
                           .Between(uint64_t{10}, uint64_t{1'000'000'000});
  command.Add("--cells", options.cells, "with --kills")
      .Needs(kills)
      .Between(uint64_t{1}, uint64_t{1'000'000});
  command.Add("--variant", flags->variant, "all (the designs), or names with commas between")
      .ShowDefault();
  command
      .Add("--tier", flags->tier,
           "all, or checker, property, tsan, baselines, sweep, explore, torture, planted, with "
           "commas between; one that is named must be able to run")
      .ShowDefault();
  command.Add("--seed", options.seed, "of all samples; default: drawn and printed");
  command.Add("--shard", flags->shard, kShardHelp).Needs(kills).Excludes(budget);
  command.Group("What comes of it");
  command.Add("--junit", flags->junit, "JUnit XML file");
  command.Add("--json", flags->json, "result file; - for standard output");
  command.AddFlag("--fail-fast", options.fail_fast, "end after the first answer that is wrong");
  command.AddFlag("--quiet", flags->quiet, "show what did not pass, and the summary");
  command.Add("--output", options.output,
              "folder for the logs and counterexamples of what did not pass; default: gate in "
              "the build, kill9-out/gate where this program is installed");
  command.Group("Where things are");
  const Option memory =
      command.Add("--memory", options.memory,
                  "file that remembers what passed when, so that samples rotate; default: "
                  "memory.json in the output folder");
  command
      .Add("--campaign", flags->campaign,
           "instead of that a campaign's file (kill9 campaign): samples rotate by all that it "
           "knows, and this gate's runs are added to it")
      .Excludes(memory);
  command.Add("--tests", options.tests_directory,
              "folder of the test programs; default: this program's");
  command.Add("--tsan", options.tsan_program,
              "threads_test built with ThreadSanitizer; default: ../tsan/threads_test");
  command.Add("--planted", options.planted,
              "manifest of the planted bugs; default: planted/manifest.json");
  command.Add("--planted-targets", flags->planted_targets,
              "only print the build's targets of up to so many planted bugs, those caught "
              "longest ago first");
  command.Example("--budget=5m --json=gate.json --junit=gate.xml", "what a CI job runs");
  command.Example("--tier=torture,sweep --variant=cas_slots", "two tiers over one design");
  command.OnCall([flags] { return RunGate(*flags); });
}

}  // namespace kill9
