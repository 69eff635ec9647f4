#include "harness/sweep/coverage_pages.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/result/html.h"

namespace kill9::sweep {
namespace {

using stepper::AddressCount;
using stepper::KillCoverage;

constexpr char kHead[] = R"(<!doctype html><meta charset="utf-8"><title>kill9: kill coverage</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .1rem .7rem; text-align: right; }
td:first-child, th:first-child { text-align: left; }
pre { font: 12px/1.45 ui-monospace, monospace; overflow-x: auto; margin: 0; }
.k { background: #d8f3d8; } .s { background: #e6f0fb; } .n { background: #fbdcdc; }
.g { color: #888; display: inline-block; width: 16rem; }
</style>
)";

// A file belongs to a variant if it lies in a folder of its name, or if the variant ran any of it.
bool Belongs(const std::string& variant, const KillCoverage::Group& counts,
             const std::string& file) {
  return absl::StrContains(file, absl::StrCat("/", variant, "/")) || counts.lines.contains(file);
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string Page(const KillCoverage& coverage, const std::string& variant,
                 const KillCoverage::Group& counts) {
  std::string page = absl::StrCat(kHead, "<h1>Kill coverage of ", EscapeHtml(variant), "</h1>\n");
  absl::StrAppend(
      &page,
      "<p>Each line shows: instructions executed, killed at, spoken for by a kill in the same "
      "state. <span class=k>Killed at and survived</span>, <span class=s>spoken "
      "for</span>, <span class=n>never reached by an operation of the sweep</span>.</p>\n");
  for (const auto& [file, lines] : coverage.lines_with_code()) {
    if (!Belongs(variant, counts, file)) continue;
    auto of_file = counts.lines.find(file);
    absl::StrAppend(&page, "<h2>", EscapeHtml(file), "</h2>\n<pre>");
    std::ifstream source(coverage.PathOf(file));
    std::string text;
    for (int number = 1; std::getline(source, text); ++number) {
      const KillCoverage::LineCount* found = nullptr;
      if (of_file != counts.lines.end()) {
        auto at = of_file->second.find(number);
        if (at != of_file->second.end()) found = &at->second;
      }
      const char* kind = "";
      std::string gutter;
      std::string operations;
      if (found != nullptr) {
        kind = found->killed > 0 ? "k" : found->spoken_for > 0 ? "s" : "";
        gutter = absl::StrFormat("%8d %6d %8d", found->executed, found->killed, found->spoken_for);
        for (const std::string& operation : found->labels)
          absl::StrAppend(&operations, operation, " ");
      } else if (lines.count(number) > 0) {
        kind = "n";
        gutter = "never reached";
      }
      absl::StrAppend(&page, "<span class=g title='", operations, "'>",
                      absl::StrFormat("%4d %s", number, gutter),
                      "</span><span class=", kind[0] ? kind : "o", ">", EscapeHtml(text),
                      "</span>\n");
    }
    absl::StrAppend(&page, "</pre>\n");
  }
  return page;
}
}  // namespace

bool IsObjectSource(std::string_view file) {
  return file.find("/variants/") != std::string_view::npos || file.starts_with("variants/");
}

std::string CoverageLine(const Json& figures) {
  return absl::StrFormat(
      "%s: kill coverage %.2f %% of %d instructions: %d killed at themselves, %d spoken for by a "
      "kill in the same state; %d of %d source lines with code reached",
      figures["variant"].get<std::string>(), 100 * figures["kill_coverage"].get<double>(),
      figures["instructions_executed"].get<uint64_t>(),
      figures["instructions_killed_at"].get<uint64_t>(),
      figures["instructions_spoken_for"].get<uint64_t>(), figures["lines_reached"].get<uint64_t>(),
      figures["lines_with_code"].get<uint64_t>());
}

Json CoverageFigures(const KillCoverage& coverage) {
  Json figures = Json::array();
  for (const auto& [variant, counts] : coverage.groups()) {
    uint64_t executed = 0, killed = 0, spoken_for = 0, addresses_killed = 0, addresses_covered = 0;
    for (const auto& [address, count] : counts.addresses) {
      executed += count.executed;
      killed += count.killed;
      spoken_for += count.spoken_for;
      addresses_killed += count.killed > 0;
      addresses_covered += count.killed + count.spoken_for > 0;
    }
    uint64_t with_code = 0, reached = 0, lines_killed = 0, lines_covered = 0;
    Json never = Json::object();
    for (const auto& [file, lines] : coverage.lines_with_code()) {
      if (!Belongs(variant, counts, file)) continue;
      auto of_file = counts.lines.find(file);
      Json of_this = Json::array();
      for (int line : lines) {
        ++with_code;
        const KillCoverage::LineCount* found = nullptr;
        if (of_file != counts.lines.end()) {
          auto at = of_file->second.find(line);
          if (at != of_file->second.end()) found = &at->second;
        }
        if (found == nullptr) {
          of_this.push_back(line);
          continue;
        }
        ++reached;
        lines_killed += found->killed > 0;
        lines_covered += found->killed + found->spoken_for > 0;
      }
      if (!of_this.empty()) never[file] = of_this;
    }
    figures.push_back({{"variant", variant},
                       {"instructions_executed", executed},
                       {"instructions_killed_at", killed},
                       {"instructions_spoken_for", spoken_for},
                       {"kill_coverage", Share(killed + spoken_for, executed)},
                       {"kill_coverage_direct", Share(killed, executed)},
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
      if (!Belongs(variant, counts, file)) continue;
      Json& set = sets[file] = {{"with_code", with_code},
                                {"reached", Json::array()},
                                {"killed_at", Json::array()},
                                {"covered", Json::array()}};
      const auto of_file = counts.lines.find(file);
      if (of_file == counts.lines.end()) continue;
      for (const auto& [line, count] : of_file->second) {
        if (!with_code.contains(line)) continue;
        set["reached"].push_back(line);
        if (count.killed > 0) set["killed_at"].push_back(line);
        if (count.killed + count.spoken_for > 0) set["covered"].push_back(line);
      }
    }
  }
}

absl::Status WriteCoverage(const KillCoverage& coverage, const std::string& directory,
                           const Json& result) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  auto write = [&directory](const std::string& name, const std::string& text) -> absl::Status {
    std::ofstream file(absl::StrCat(directory, "/", name));
    file << text << std::flush;
    if (file) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("cannot write '", directory, "/", name, "': ", std::strerror(errno)));
  };
  Json figures = CoverageFigures(coverage);
  std::string index = absl::StrCat(
      kHead, "<h1>Kill coverage</h1>\n<p>", EscapeHtml(result.at("command").get<std::string>()),
      "</p>\n<table><tr><th>variant<th>instructions executed<th>killed at"
      "<th>spoken for<th>coverage<th>of it killed at<th>lines reached<th>of lines with "
      "code</tr>\n");
  for (const Json& of_variant : figures) {
    std::string variant = of_variant["variant"];
    absl::StrAppend(
        &index, "<tr><td><a href='", variant, ".html'>", variant, "</a><td>",
        of_variant["instructions_executed"].get<uint64_t>(), "<td>",
        of_variant["instructions_killed_at"].get<uint64_t>(), "<td>",
        of_variant["instructions_spoken_for"].get<uint64_t>(), "<td>",
        absl::StrFormat("%.2f %%<td>%.2f %%", 100 * of_variant["kill_coverage"].get<double>(),
                        100 * of_variant["kill_coverage_direct"].get<double>()),
        "<td>", of_variant["lines_reached"].get<uint64_t>(), "<td>",
        of_variant["lines_with_code"].get<uint64_t>(), "</tr>\n");
  }
  absl::StrAppend(&index, "</table>\n");
  if (absl::Status status = write("index.html", index); !status.ok()) return status;
  if (absl::Status status = write("coverage.json", figures.dump(2) + "\n"); !status.ok())
    return status;
  for (const auto& [variant, counts] : coverage.groups()) {
    absl::Status status = write(absl::StrCat(variant, ".html"), Page(coverage, variant, counts));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace kill9::sweep
