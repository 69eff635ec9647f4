// kill9 run: an arbitrary program, killed at each of its system calls, and what is left judged.
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "harness/base/process_end/temporary_folder.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/percent.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/run/program.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/terminal.h"
#include "stress/command/torture/findings.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

struct Flags {
  run::RunOptions options;
  std::string victim = "tree";
  std::string points = "calls";
  std::string json;
  bool no_namespaces = false;
  bool quiet = false;
};

std::string InWords(const run::ProgramProgress& progress) {
  if (progress.points == 0) return progress.stage;
  return absl::StrFormat("%d of %s, %s judged, %s", progress.done,
                         CountOf(progress.points, "point"), CountOf(progress.judged, "state"),
                         CountOf(progress.violations, "violation"));
}

// Why it will take long; said once, before the first run.
void SayHowMuchIsCopied(const run::ProgramProgress& progress, const std::string& state) {
  constexpr uint64_t kMiB = 1 << 20;
  constexpr uint64_t kMuch = 16 * kMiB;
  if (progress.state_bytes < kMuch) return;
  std::cerr << "each run of the program begins with a copy of '" << state << "', "
            << progress.state_bytes / kMiB
            << " MiB: --state=DIR names the part that the program changes\n";
}

// What failing runs have left goes to the folder of findings.
void MoveFindings(Json& run, const std::string& folder) {
  size_t number = 0;
  for (Json& finding : run["findings"]) {
    const std::string to = absl::StrCat(folder, "/", ++number);
    std::error_code error;
    fs::create_directories(to, error);
    fs::copy(TextField(finding, "left"), to,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    finding["left"] = to;
    if (error) finding.erase("left");  // there is no room: what cannot be kept is told below
  }
}

void PrintFindings(std::ostream& out, const Json& run) {
  constexpr size_t kShown = 3;
  size_t shown = 0;
  for (const Json& finding : run["findings"]) {
    if (++shown > kShown) {
      out << "and " << run["findings"].size() - kShown << " more, in the result file\n";
      break;
    }
    const std::string after = TextField(finding, "after");
    out << "\nkilled " << (after.empty() ? "" : "after " + after + " and ") << "before "
        << TextField(finding, "point") << ", in " << TextField(finding, "program")
        << ": the check ends with " << TextField(finding, "check") << "\n";
    const std::vector<std::string> lines =
        absl::StrSplit(TextField(finding, "output"), '\n', absl::SkipEmpty());
    for (const std::string& line : lines) out << "    " << line << "\n";
    const std::string left = TextField(finding, "left", "not kept");
    out << "  what was left: " << left << "\n  repeat (" << TextField(finding, "repeat_kind")
        << "): " << TextField(finding, "repeat") << "\n";
  }
}

void PrintNotes(std::ostream& out, const Json& run) {
  if (!run.value("namespaces", true)) {
    out << "this machine allows no namespaces (" << TextField(run, "why_no_namespaces")
        << "): /dev/shm, /tmp and the rest of the file system are "
           "the machine's own, and only a copy of the directory is killed in\n";
  }
  if (run.contains("outside") && !run["outside"].empty()) {
    out << "outside of its directory, where nothing is copied or judged, it would write to "
        << run["outside"][0].get<std::string>() << "\n";
  }
  if (run.contains("blunt")) {
    for (const Json& damage : run["blunt"]["not_seen"]) {
      out << "the check does not see it when " << TextField(damage, "file") << " is "
          << TextField(damage, "how") << "\n";
    }
  }
}

void PrintSummary(std::ostream& out, const Json& run, Verdict verdict) {
  std::string text = absl::StrCat(std::string(VerdictName(verdict)), ": ");
  if (run.contains("reason")) absl::StrAppend(&text, TextField(run, "reason"), "; ");
  if (!run.contains("kills")) {
    out << Terminal(1).Broken(text + "nobody was killed", verdict) << "\n";
    return;
  }
  absl::StrAppendFormat(&text, "%s, %s, %d judged (%.0f a second); ",
                        CountOf(run["kills"]["total"].get<uint64_t>(), "kill"),
                        CountOf(run["distinct_states"].get<uint64_t>(), "distinct state"),
                        run["judged"].get<uint64_t>(), run["states_per_second"].get<double>());
  if (const uint64_t points = run["points"].get<uint64_t>(); points > 0) {
    absl::StrAppendFormat(
        &text, "%s of %s; ", Percent(run["point_coverage"].get<double>()),
        CountOf(points,
                TextField(run, "point_kind") == "instructions" ? "instruction" : "system call"));
  }
  out << Terminal(1).Broken(text + TextField(run, "fault"), verdict) << "\n";
}

int Run(Flags& flags) {
  run::RunOptions& options = flags.options;
  options.first_only = flags.victim == "root";
  options.instructions = flags.points == "instructions";
  options.namespaces = !flags.no_namespaces;
  const auto scratch = TemporaryFolder::Make();
  if (!scratch.ok()) return Complain("kill9 run", scratch.status());
  options.scratch = (*scratch)->path();
  NoteInterrupts();
  Json result = NewResult("run", options.seed);
  const Terminal terminal(2);
  LiveLine line(std::cerr, terminal);
  bool is_first = !flags.quiet;
  absl::StatusOr<run::ProgramResult> ended =
      run::RunProgram(options, [&](const run::ProgramProgress& progress) {
        if (std::exchange(is_first, false)) SayHowMuchIsCopied(progress, options.state);
        if (!flags.quiet) line.Show(InWords(progress));
        return is_interrupted == 0;
      });
  line.Clear();
  if (!ended.ok()) return Complain("kill9 run", ended.status());
  Json& run = ended->run;
  std::ostream& out = LinesBeside(flags.json);
  const bool found = ExitCode(ended->verdict) == kExitFailed;
  const Findings findings;
  if (found) MoveFindings(run, findings.folder());
  if (found) PrintFindings(out, run);
  PrintNotes(out, run);
  if (found) out << "\n";
  PrintSummary(out, run, ended->verdict);
  result["interrupted"] = is_interrupted != 0;
  result["runs"].push_back(run);
  if (found) findings.KeptIn(result);
  // Who was not let run has proved nothing.
  const bool was_run = ended->verdict != Verdict::kSkipped;
  return WithResult("kill9 run", result, flags.json,
                    was_run ? ExitCode(ended->verdict) : kExitUndecided);
}

}  // namespace

void AddRunCommand(CommandLine& line) {
  Command command = line.Add(
      "run", "kill an arbitrary program at each of its system calls, and judge what is left");
  auto flags = std::make_shared<Flags>();
  run::RunOptions& options = flags->options;
  command.Group("What is run");
  command.Add("program", options.words, "the program and its arguments, after --").Required();
  command
      .Add("--check", options.check,
           "a line of the shell that says what it finds: exit status 0 consistent, 125 it cannot "
           "tell, any other a violation. It runs in the directory; KILL9_POINT, KILL9_STDOUT, "
           "KILL9_STDERR, KILL9_SURVIVORS say more")
      .Required();
  command
      .Add("--state", options.state,
           "the directory that the program works on; a fresh copy stands in its place for each "
           "kill")
      .ExistingFolder()
      .ShowDefault();
  command.Group("Where it is killed");
  command.Add("--victim", flags->victim, "the whole tree of its processes, or the root alone")
      .OneOf({"tree", "root"})
      .ShowDefault();
  command
      .Add("--points", flags->points,
           "before system calls, or before instructions between a look at the path /kill9/begin "
           "and one at /kill9/end")
      .OneOf({"calls", "instructions"})
      .ShowDefault();
  command.Add("--point", options.point,
              "at this one only, as a finding names it: 'write(\"a.tmp\") #2'");
  command.AddFlag("--full", options.full, "at every point, not once for each state left");
  command.Add("--sample", options.sample, "points killed at besides, drawn by --seed")
      .ShowDefault();
  command.Add("--seed", options.seed, "of the sample").ShowDefault();
  command.Group("How");
  command.AddFlag("--blunt", options.blunt,
                  "empty and cut each file that the program changed: the check must see it");
  command.Add(
      "--seconds", options.seconds,
      "begin no kill later than this, and give up what comes before the kills; default: no limit");
  command
      .Add("--program-seconds", options.program_seconds,
           "after which the program counts as one that does not end")
      .Positive()
      .ShowDefault();
  command
      .Add("--check-seconds", options.check_seconds,
           "after which a check that does not end is a violation")
      .Positive()
      .ShowDefault();
  command.Add("--workers", options.workers, "0: one for each CPU").Between(0u, 1024u);
  command.AddFlag("--no-namespaces", flags->no_namespaces, "as where the machine forbids them");
  command.Group("What comes of it");
  command.AddFlag("--quiet", flags->quiet, "no progress");
  command.Add("--json", flags->json, "result file; - for standard output");
  command.Example("--check=./verify -- ./program",
                  "in a copy of the current directory, at each state that it leaves");
  command.Example("--check='python3 check.py' --state=data --blunt -- sh nightly.sh",
                  "the script works on data/; the check is tried on damaged files first");
  command.Example("--point='rename(\"a.tmp\") #1' --check=./verify -- ./program",
                  "one finding again");
  command.OnCall([flags] { return Run(*flags); });
}

}  // namespace kill9
