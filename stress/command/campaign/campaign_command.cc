// kill9 campaign: what was ever run, what to run next, what has become of it.
#include <memory>
#include <string>
#include <vector>

#include "harness/base/text/count_of.h"
#include "harness/result/verdict.h"
#include "stress/command/commands.h"

#ifdef KILL9_HAVE_SQLITE
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/shell_word.h"
#include "harness/base/text/write_text.h"
#include "harness/campaign/campaign.h"
#include "harness/campaign/campaign_plan.h"
#include "harness/campaign/campaign_summary.h"
#include "harness/result/build_info.h"
#include "harness/result/command_name.h"
#include "harness/result/result.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/folders.h"
#include "stress/command/interrupts.h"
#include "stress/command/replay/run_self.h"
#endif
#include <iostream>

namespace kill9 {
namespace {

struct Flags {
  std::string action, file;
  std::vector<std::string> results;
  double seconds = 0;
  std::string variant = "all", folder = "kill9-out/campaign", html;
  uint64_t seed = 0;
  bool run = false;
};

#ifdef KILL9_HAVE_SQLITE

int ComplainOfCampaign(const absl::Status& status) { return Complain("kill9 campaign", status); }

absl::Status AddFile(campaign::Campaign& all, const std::string& file) {
  const absl::StatusOr<Json> result = ReadJsonFile(file);
  if (!result.ok()) return result.status();
  const absl::StatusOr<size_t> added = all.Add(*result);
  if (!added.ok()) {
    return absl::Status(added.status().code(),
                        absl::StrCat("'", file, "': ", std::string(added.status().message())));
  }
  std::cerr << absl::StrFormat("%s: %s, %d of them new\n", file,
                               CountOf((*result)["runs"].size(), "run"), *added);
  return absl::OkStatus();
}

int AddResults(campaign::Campaign& all, const Flags& flags) {
  for (const std::string& file : flags.results) {
    if (absl::Status status = AddFile(all, file); !status.ok()) return ComplainOfCampaign(status);
  }
  return kExitPass;
}

int Show(campaign::Campaign& all, const Flags& flags) {
  const absl::StatusOr<std::vector<campaign::StoredRun>> runs = all.Runs();
  if (!runs.ok()) return ComplainOfCampaign(runs.status());
  if (absl::Status status = CanWriteText(flags.html.empty() ? "-" : flags.html, "the page");
      !status.ok()) {
    return ComplainOfCampaign(status);
  }
  const campaign::Summary summary =
      campaign::Summarise(*runs, campaign::KnownCells(ChooseDesigns(flags.variant)));
  if (!flags.html.empty()) {
    const absl::Status written = WriteText(campaign::AsHtml(summary), flags.html, "the page");
    if (!written.ok()) return ComplainOfCampaign(written);
  }
  if (flags.html != "-") std::cout << campaign::AsText(summary);
  if (summary.runs == 0) return kExitUndecided;
  return summary.bad() ? kExitFailed : kExitPass;
}

int RunPlan(campaign::Campaign& all, const campaign::Plan& plan) {
  NoteInterrupts();
  int exit_code = plan.commands.empty() ? kExitUndecided : kExitPass;
  for (const campaign::PlannedCommand& command : plan.commands) {
    if (is_interrupted != 0) break;
    std::error_code ignored;
    std::filesystem::remove(command.result_file, ignored);
    exit_code = WorseExitCode(exit_code, RunSelf(command.words));
    // A command that was interrupted leaves what it had; one that was refused leaves nothing.
    if (!std::filesystem::exists(command.result_file)) continue;
    if (absl::Status status = AddFile(all, command.result_file); !status.ok()) {
      return ComplainOfCampaign(status);
    }
  }
  if (is_interrupted == 0) return exit_code;
  std::cerr << "interrupted: what is above was added\n";
  return WorseExitCode(exit_code, kExitUndecided);
}

int MakePlan(campaign::Campaign& all, const Flags& flags) {
  if (flags.seconds <= 0) throw UsageError("plan needs --seconds: the time to spend");
  if (flags.run) {
    if (absl::Status status = MakeFolder(flags.folder); !status.ok()) {
      return ComplainOfCampaign(status);
    }
  }
  const absl::StatusOr<std::vector<campaign::StoredRun>> runs = all.Runs();
  if (!runs.ok()) return ComplainOfCampaign(runs.status());
  const campaign::PlanOptions options{
      .seconds = flags.seconds,
      .build = std::string(BuildCommit()),
      .seed = flags.seed != 0 ? flags.seed : std::random_device{}() | 1,
      .folder = flags.folder};
  const campaign::Plan plan =
      campaign::MakePlan(campaign::KnownCells(ChooseDesigns(flags.variant)), *runs, options);
  size_t counts[3] = {};
  for (const campaign::PlannedCell& cell : plan.cells) ++counts[static_cast<size_t>(cell.reason)];
  std::cerr << absl::StrFormat(
      "%s in about %.0f s: %d never tried, %d not with this build (%s), %d tried longest "
      "ago; %d left for another time\n",
      CountOf(plan.cells.size(), "cell"), plan.seconds, counts[0], counts[1], options.build,
      counts[2], plan.left_out);
  if (flags.run) return RunPlan(all, plan);
  std::cout << "mkdir -p " << ShellWord(flags.folder) << "\n";
  for (const campaign::PlannedCommand& command : plan.commands) {
    std::cout << CommandName();
    for (const std::string& word : command.words) std::cout << " " << ShellWord(word);
    std::cout << "\n";
  }
  std::cout << CommandName() << " campaign add " << ShellWord(flags.file) << " "
            << ShellWord(flags.folder) << "/*.json\n";
  return kExitPass;
}

int Run(const Flags& flags) {
  if ((flags.action == "add") == flags.results.empty()) {
    throw UsageError(flags.results.empty() ? "add needs result files: DB RESULT..."
                                           : "only add takes result files");
  }
  for (const std::string& file : flags.results) {  // before the campaign's file is made
    if (std::filesystem::exists(file)) continue;
    return ComplainOfCampaign(absl::NotFoundError("there is no file '" + file + "'"));
  }
  if (flags.action != "plan" && (flags.seconds > 0 || flags.run || flags.seed != 0)) {
    throw UsageError("--seconds, --seed and --run belong to plan");
  }
  if (flags.action != "show" && !flags.html.empty()) {
    throw UsageError("--html belongs to show");
  }
  using campaign::Campaign;
  const bool may_be_new = flags.action != "show";
  absl::StatusOr<std::unique_ptr<Campaign>> all =
      Campaign::Open(flags.file, may_be_new ? Campaign::Mode::kCreate : Campaign::Mode::kExisting);
  if (!all.ok()) return ComplainOfCampaign(all.status());
  if (flags.action == "add") return AddResults(**all, flags);
  return flags.action == "plan" ? MakePlan(**all, flags) : Show(**all, flags);
}

#else

int Run(const Flags&) {
  std::cerr << "kill9 campaign: this kill9 was built without SQLite (package libsqlite3-dev)\n";
  return kExitUsage;
}

#endif

}  // namespace

void AddCampaignCommand(CommandLine& line) {
  Command command =
      line.Add("campaign", "all results ever made: what to run next, what fails, what got worse");
  auto flags = std::make_shared<Flags>();
  command.Add("ACTION", flags->action, "add results, plan what to run next, or show what is known")
      .OneOf({"add", "plan", "show"})
      .Required();
  command.Add("DB", flags->file, "the campaign's file (SQLite); add and plan make it").Required();
  command.Add("RESULT", flags->results, "add: result files, each run of which counts once");
  command.Add("--seconds", flags->seconds, "plan: the time to spend").Positive();
  command.Add("--variant", flags->variant, "plan, show: all (the designs), or names with commas")
      .ShowDefault();
  command.Add("--seed", flags->seed, "plan: of what is run; default: drawn");
  command.Add("--output", flags->folder, "plan: the folder for the result files").ShowDefault();
  command.AddFlag("--run", flags->run, "plan: run the commands, and add each result as it comes");
  command.Add("--html", flags->html, "show: a page, with trends; - for standard output");
  command.Example("add night.db parts/*.json", "remember these results");
  command.Example("plan night.db --seconds=3600", "the commands on which an hour is best spent");
  command.Example("plan night.db --seconds=3600 --run", "spend it");
  command.Example("show night.db --html=night.html", "what is known by now");
  command.OnCall([flags] { return Run(*flags); });
}

}  // namespace kill9
