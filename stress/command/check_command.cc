// kill9 check: the verdict on histories from files or standard input.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/shell_word.h"
#include "harness/base/text/write_text.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

struct CheckArguments {
  std::vector<std::string> files;
  std::string model = "map";
  std::string condition = "strict";
  std::string json;
  std::string counterexample;  // stem of the files
  int threads = 0;
};

absl::StatusOr<std::string> ReadText(const std::string& file) {
  std::ostringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream stream(file, std::ios::binary);
  const bool is_folder = stream && std::filesystem::is_directory(file);
  if (!stream || is_folder || (text << stream.rdbuf()).bad()) {
    const int error = is_folder ? EISDIR : errno;
    return absl::NotFoundError(absl::StrCat("cannot read '", file, "': ", std::strerror(error)));
  }
  return text.str();
}

Json RunOf(const CheckArguments& arguments, const std::string& file, const CheckOutcome& outcome,
           double seconds) {
  Json run = {{"file", file},
              {"model", arguments.model},
              {"condition", arguments.condition},
              {"verdict", VerdictName(outcome.verdict)},
              {"strongest", nullptr},
              {"operations", outcome.operations},
              {"operations_per_second",
               seconds > 0 ? static_cast<double>(outcome.operations) / seconds : 0.0},
              {"seconds", seconds},
              {"keys", outcome.keys},
              {"keys_violating", outcome.keys_violating},
              {"keys_undecided", outcome.keys_undecided}};
  if (outcome.strongest.has_value()) run["strongest"] = ConditionName(*outcome.strongest);
  return run;
}

void PrintLine(const CheckArguments& arguments, const std::string& file,
               const CheckOutcome& outcome, double seconds) {
  std::string strongest = "none holds";
  if (outcome.strongest.has_value()) {
    strongest = absl::StrCat("strongest: ", std::string(ConditionName(*outcome.strongest)));
  } else if (outcome.verdict != Verdict::kViolation) {
    strongest = "strongest: unknown";
  }
  LinesBeside(arguments.json) << absl::StrFormat(
      "%s: %s (%s), %s on %s, %.0f operations/s\n", file, std::string(VerdictName(outcome.verdict)),
      strongest, CountOf(outcome.operations, "operation"), CountOf(outcome.keys, "key"),
      seconds > 0 ? static_cast<double>(outcome.operations) / seconds : 0.0);
}

// Where the counterexample of the i-th of several files goes.
std::string StemOf(const CheckArguments& arguments, size_t i) {
  if (arguments.files.size() == 1) return arguments.counterexample;
  return absl::StrCat(arguments.counterexample, "-", i + 1);
}

// Prints the counterexample, and writes it where asked.
int Show(const CheckArguments& arguments, size_t i, const EdnHistory& history,
         const CheckOutcome& outcome, Json* run) {
  std::ostream& out = LinesBeside(arguments.json);
  const std::string& file = arguments.files[i];
  const Naming naming = history.naming();
  std::string text = RenderText(*outcome.counterexample, naming);
  std::string repeat = absl::StrCat("kill9 check ", ShellWord(file), " --model=", arguments.model,
                                    " --condition=", arguments.condition);
  out << "\n"
      << RenderText(*outcome.counterexample, naming,
                    Terminal(arguments.json == "-" ? 2 : 1).page_columns())
      << "\n  repeat (deterministic): " << repeat << "\n";
  (*run)["counterexample"] = text;
  (*run)["repeat"] = repeat;
  if (arguments.counterexample.empty()) return kExitFailed;
  absl::StatusOr<std::vector<std::string>> files = WriteCounterexample(
      *outcome.counterexample, naming, StemOf(arguments, i), {outcome.strongest, repeat});
  if (!files.ok()) return AfterWriting("kill9 check", files.status(), kExitFailed);
  for (const std::string& written : *files) out << "  written: " << written << "\n";
  (*run)["counterexample_files"] = *files;
  return kExitFailed;
}

int CheckFile(const CheckArguments& arguments, size_t i, Json* result) {
  const std::string& file = arguments.files[i];
  const ModelChecker& model = *FindModel(arguments.model);
  absl::StatusOr<std::string> text = ReadText(file);
  if (!text.ok()) {
    return Complain("kill9 check", text.status());
  }
  absl::StatusOr<EdnHistory> history =
      ReadEdn(*text, file, [&](Function function) { return model.Accepts(function); });
  if (!history.ok()) {
    std::cerr << history.status().message() << "\n";
    return kExitUsage;
  }
  CheckOptions options;
  options.condition = *ParseCondition(arguments.condition);
  options.threads = arguments.threads;
  auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<CheckOutcome> outcome = CheckHistory(model, history->operations, options);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!outcome.ok()) {
    std::cerr << "kill9 check: " << file << ": " << outcome.status().message() << "\n";
    return kExitUsage;
  }
  if (outcome->keys == 0) {
    std::cerr << file << ": no operation of it says anything: that is no pass\n";
    outcome->verdict = Verdict::kVacuous;
    outcome->strongest.reset();
  }
  Json run = RunOf(arguments, file, *outcome, seconds);
  PrintLine(arguments, file, *outcome, seconds);
  int exit_code = ExitCode(outcome->verdict);
  if (outcome->counterexample.has_value()) exit_code = Show(arguments, i, *history, *outcome, &run);
  (*result)["runs"].push_back(std::move(run));
  return exit_code;
}

int Check(CheckArguments arguments) {
  if (arguments.files.empty()) arguments.files.push_back("-");
  if (!arguments.counterexample.empty()) {
    const std::string page = StemOf(arguments, 0) + ".html";
    if (absl::Status status = CanWriteText(page, "the counterexample"); !status.ok()) {
      return Complain("kill9 check", status);
    }
  }
  Json result = NewResult("check", 0);
  int exit_code = kExitPass;
  for (size_t i = 0; i < arguments.files.size(); ++i) {
    exit_code = WorseExitCode(exit_code, CheckFile(arguments, i, &result));
  }
  return WithResult("kill9 check", result, arguments.json, exit_code);
}

}  // namespace

void AddCheckCommand(CommandLine& line) {
  Command command =
      line.Add("check", "checks histories (EDN, ours or Jepsen's) for linearizability");
  auto arguments = std::make_shared<CheckArguments>();
  std::vector<std::string> models;
  for (const ModelChecker* model : AllModels()) models.emplace_back(model->name());
  command.Add("histories", arguments->files, "files; - or none: standard input");
  command.Add("--model", arguments->model, "what the object is").OneOf(models).ShowDefault();
  command
      .Add("--condition", arguments->condition,
           "until when an operation cut off by a crash may take effect: its death (strict), the "
           "end of the recovery (recoverable), any later time (pending)")
      .OneOf({"strict", "recoverable", "pending"})
      .ShowDefault();
  command.Add("--json", arguments->json, "result file; - is standard output");
  command.Add("--counterexample", arguments->counterexample,
              "on a violation, write this name with .html, .trace.json and .window.edn");
  command.Add("--threads", arguments->threads, "0: one for each core").Between(0, 1024);
  command.Example("history.edn", "is this history of a map strictly linearizable?");
  command.Example("--model=queue --condition=recoverable a.edn b.edn",
                  "two histories of a queue, each crashed operation until its recovery");
  command.OnCall([arguments] { return Check(*arguments); });
}

}  // namespace kill9
