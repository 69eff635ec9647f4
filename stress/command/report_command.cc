// kill9 report: result files to one HTML page and its Markdown twin; --compare: what got worse.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/text/write_text.h"
#include "harness/report/compare.h"
#include "harness/report/document/plot.h"
#include "harness/report/results/summary.h"
#include "harness/report/sections/sections.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/folders.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"

namespace kill9 {
namespace {

constexpr std::string_view kFigureOfReadme = "throughput-95";

struct ReportFlags {
  std::vector<std::string> inputs;
  std::vector<std::string> compare;
  std::string output = "kill9-out/report";
  std::string summary;
};

int ComplainOfReport(const absl::Status& status) {
  const int exit_code = Complain("kill9 report", status);
  return absl::IsCancelled(status) ? kExitUndecided : exit_code;
}

absl::Status WriteFile(const std::filesystem::path& path, const std::string& text) {
  if (is_interrupted != 0) return absl::CancelledError("interrupted: not all pages were written");
  return WriteText(text, path.string(), "the page");
}

absl::Status WriteAll(const report::Document& document, const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory / "plots", error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot make '", directory.string(), "': ", error.message()));
  }
  absl::Status status = WriteFile(directory / "report.html", ToHtml(document));
  status.Update(WriteFile(directory / "report.md", ToMarkdown(document, "plots")));
  for (const report::Section& section : document.sections) {
    for (const report::Block& block : section.blocks) {
      const auto* figure = std::get_if<report::Figure>(&block);
      if (figure == nullptr) continue;
      status.Update(WriteFile(directory / "plots" / absl::StrCat(figure->name, ".svg"),
                              report::AsFile(figure->panels)));
    }
  }
  return status;
}

// What is committed: summaries, the report that they give, and the one figure of the README.
struct Summaries {
  std::vector<std::pair<std::string, std::string>> files;  // name and text
  report::Document document;
};

absl::StatusOr<Summaries> Summarise(report::Results results) {
  Summaries summaries;
  for (report::ResultFile& file : results.files()) {
    const Json summary = report::Summarise(file.json);
    summaries.files.emplace_back(file.name, report::SummaryText(summary));
    absl::StatusOr<Json> expanded = report::ExpandSummary(summary);
    if (!expanded.ok()) return expanded.status();
    file.json = *std::move(expanded);
  }
  absl::StatusOr<report::Document> document = report::Compose(results);
  if (!document.ok()) return document.status();
  summaries.document = *std::move(document);
  return summaries;
}

absl::Status WriteSummaries(const Summaries& summaries, const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  absl::Status status;
  for (const auto& [name, text] : summaries.files) status.Update(WriteFile(directory / name, text));
  status.Update(WriteFile(directory / "report.md", ToMarkdown(summaries.document, "")));
  for (const report::Section& section : summaries.document.sections) {
    for (const report::Block& block : section.blocks) {
      const auto* figure = std::get_if<report::Figure>(&block);
      if (figure == nullptr || figure->name != kFigureOfReadme) continue;
      status.Update(WriteFile(directory / absl::StrCat(figure->name, ".svg"),
                              report::AsFile(figure->panels)));
    }
  }
  return status;
}

int Compare(const ReportFlags& flags) {
  absl::StatusOr<report::Results> before = report::Results::Load({flags.compare[0]});
  if (!before.ok()) return ComplainOfReport(before.status());
  absl::StatusOr<report::Results> after = report::Results::Load({flags.compare[1]});
  if (!after.ok()) return ComplainOfReport(after.status());
  const report::Comparison comparison = report::Compare(*before, *after);
  std::cout << Describe(comparison);
  if (comparison.compared == 0) {
    std::cerr << "kill9 report: the two have no figure in common\n";
    return kExitUndecided;
  }
  return comparison.worse() ? kExitFailed : kExitPass;
}

int Make(const ReportFlags& flags) {
  if (!flags.compare.empty()) return Compare(flags);
  if (flags.inputs.empty()) {
    return ComplainOfReport(
        absl::InvalidArgumentError("--input is required: result files, or folders of them"));
  }
  for (const std::string& folder : {flags.output, flags.summary}) {
    if (folder.empty()) continue;
    if (absl::Status status = MakeFolder(folder); !status.ok()) return ComplainOfReport(status);
  }
  absl::StatusOr<report::Results> results = report::Results::Load(flags.inputs);
  if (!results.ok()) return ComplainOfReport(results.status());
  absl::StatusOr<report::Document> document = report::Compose(*results);
  if (!document.ok()) return ComplainOfReport(document.status());
  absl::StatusOr<Summaries> summaries;
  if (!flags.summary.empty()) {
    summaries = Summarise(*std::move(results));
    if (!summaries.ok()) return ComplainOfReport(summaries.status());
  }
  NoteInterrupts();  // until here nothing was written
  if (absl::Status status = WriteAll(*document, flags.output); !status.ok()) {
    return ComplainOfReport(status);
  }
  std::cout << "written: " << flags.output << "/report.html, report.md, plots/\n";
  if (flags.summary.empty()) return kExitPass;
  if (absl::Status status = WriteSummaries(*summaries, flags.summary); !status.ok()) {
    return ComplainOfReport(status);
  }
  std::cout << "summaries and their report.md: " << flags.summary << "\n";
  return kExitPass;
}

}  // namespace

void AddReportCommand(CommandLine& line) {
  Command command = line.Add(
      "report", "one HTML page and its Markdown twin from result files; or what got worse");
  auto flags = std::make_shared<ReportFlags>();
  command.Add("--input", flags->inputs, "result files, or folders of *.json").SeparatedBy(',');
  command.Add("--output", flags->output, "folder; made if it is not there").ShowDefault();
  command.Add("--summary", flags->summary,
              "folder for summaries of the results, one run a line, and a report.md from "
              "them: small enough to commit");
  command
      .Add("--compare", flags->compare,
           "OLD NEW (files or folders): what got slower or weaker beyond noise; exit 1 if "
           "anything did")
      .Values(2);
  command.Example("--input=results/reference --output=page", "a page of the results in a folder");
  command.Example("--compare old.json new.json", "exit code 1 if anything got slower or weaker");
  command.OnCall([flags] { return Make(*flags); });
}

}  // namespace kill9
