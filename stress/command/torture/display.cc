#include "stress/command/torture/display.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/report/results/shape_coverage.h"
#include "harness/result/command_name.h"
#include "harness/result/waiting.h"

namespace kill9 {
namespace {

// A column of the closing table: its title in two lines, and a run's entry.
struct Column {
  const char* title;
  const char* below;
  int width;  // negative: to the left
  std::string (*entry)(const Json& run);
};

uint64_t Number(const Json& run, const char* object, const char* field) {
  return run[object][field].get<uint64_t>();
}

constexpr Column kColumns[] = {
    {"variant", "", -17, [](const Json& run) { return TextField(run, "variant"); }},
    {"scenario", "", -18, [](const Json& run) { return TextField(run, "scenario"); }},
    {"verdict", "", -17, [](const Json& run) { return TextField(run, "verdict"); }},
    {"kills", "", 8, [](const Json& run) { return absl::StrCat(Number(run, "kills", "total")); }},
    {"in op", "%", 6,
     [](const Json& run) {
       const auto kills = static_cast<double>(Number(run, "kills", "total"));
       const auto inside = static_cast<double>(Number(run, "kills", "in_operation"));
       return absl::StrFormat("%.1f", kills == 0 ? 0.0 : 100 * inside / kills);
     }},
    {"kills/s", "", 7,
     [](const Json& run) {
       return absl::StrFormat("%.0f", run["kills_per_second"].get<double>());
     }},
    {"operations", "", 11,
     [](const Json& run) { return absl::StrCat(run["operations"].get<uint64_t>()); }},
    {"audits", "", 7, [](const Json& run) { return absl::StrCat(run["audits"].get<uint64_t>()); }},
    {"recovery", "p50 us", 9,
     [](const Json& run) { return absl::StrCat(Number(run, "recovery_us", "p50")); }},
    {"noted", "p99 us", 9,
     [](const Json& run) { return absl::StrCat(Number(run, "death_noted_us", "p99")); }},
    {"longest", "wait us", 9,
     [](const Json& run) { return absl::StrCat(run["longest_wait_us"].get<uint64_t>()); }},
};
constexpr size_t kNameColumns = 3;  // of a run that was skipped, too

std::string Padded(const std::string& text, int width) {
  return absl::StrFormat("%*s ", width, text);
}

}  // namespace

std::string FindingText(const Terminal& terminal, const Json& run) {
  std::string text = terminal.Broken(DescribeWaiting(run));
  if (run.contains("counterexample")) {
    absl::StrAppend(&text, TextField(run, "counterexample"), "\n");
    const Json files = run.value("counterexample_files", Json::array());
    for (const Json& file : files) {
      absl::StrAppend(&text, "    written: ", file.get<std::string>(), "\n");
    }
  }
  if (run.contains("repeat")) {
    absl::StrAppend(&text, "    repeat: ", TextField(run, "repeat"), "\n");
  }
  return text;
}

std::string HowToReplay(const std::string& kept) {
  return absl::StrCat("kept in ", kept, "; from there to the cause:\n    ", CommandName(),
                      " replay ", kept);
}

Display::Display(const Options& options)
    : out_(options.to_errors ? std::cerr : std::cout),
      terminal_(options.to_errors ? 2 : 1),
      options_(options) {}

bool Display::IsLeftOut(const Json& run) const {
  return options_.of_all_scenarios && HasNoSuchScenario(run);
}

std::string Display::TimeLeft(double seconds_of_this) const {
  if (done_ == 0) return "";
  const double each = seconds_ / static_cast<double>(done_);
  const double left = each * static_cast<double>(options_.runs - done_) - seconds_of_this;
  return absl::StrFormat("~%.0f s left, ", std::max(0.0, left));
}

void Display::Progress(const std::string& name, const TortureProgress& state) {
  seconds_before_ = std::max(seconds_before_, state.seconds);
  const bool is_live = terminal_.is_live();
  if (!is_live && (options_.quiet || state.seconds < next_line_at_)) return;
  const std::string line = absl::StrFormat(
      "[%d/%d, %s%s] %.1f s  %s  %s  %s", done_ + 1, options_.runs, TimeLeft(state.seconds), name,
      state.seconds, CountOf(state.kills, "kill"), CountOf(state.operations, "operation"),
      state.found ? "found something" : "clean so far");
  if (is_live) return live_.Show(line);
  next_line_at_ = state.seconds + kPlainLineSeconds;
  out_ << line << std::endl;
}

void Display::Done(const std::string& name, const TortureResult& result) {
  const Json& run = result.run;
  ++done_;
  seconds_ += std::exchange(seconds_before_, 0);
  next_line_at_ = kPlainLineSeconds;
  const bool passed = ExitCode(result.verdict) == kExitPass;
  summary_.Add(name, result.verdict, result.reason);
  if (IsLeftOut(run)) {
    ++of_other_kinds_;
    return;
  }
  live_.Clear();
  if (options_.quiet && passed) return;
  std::string text = absl::StrFormat("%-34s ", name);
  const size_t of_verdict = text.size();
  absl::StrAppend(&text, std::string(VerdictName(result.verdict)));
  if (run.contains("kills")) {
    // Of a program it is known when it was asked, and when it had answered.
    const bool in_calls = run["kills"].contains("in_call");
    absl::StrAppendFormat(
        &text, "  %s (%d in %s), %s, %s", CountOf(Number(run, "kills", "total"), "kill"),
        Number(run, "kills", in_calls ? "in_call" : "in_operation"),
        in_calls ? "calls" : "operations", CountOf(run["operations"].get<uint64_t>(), "operation"),
        CountOf(run["audits"].get<uint64_t>(), "audit"));
  }
  out_ << terminal_.Broken(text, result.verdict, of_verdict) << "\n";
  if (run.contains("shape")) {
    out_ << "    shape " << run["shape"]["text"].get<std::string>() << "\n";
  }
  if (!result.reason.empty()) out_ << terminal_.Broken("    " + result.reason) << "\n";
  if (!passed) out_ << FindingText(terminal_, run);
  out_ << std::flush;
}

void Display::Table(const Json& runs) {
  if (options_.quiet) return;
  size_t columns = 0, width = 0;
  for (const Column& column : kColumns) {
    width += static_cast<size_t>(std::abs(column.width)) + (columns == 0 ? 0 : 1);
    if (width > terminal_.columns() && columns >= kNameColumns) break;
    ++columns;
  }
  std::string titles, below;
  for (size_t n = 0; n < columns; ++n) {
    absl::StrAppend(&titles, Padded(kColumns[n].title, kColumns[n].width));
    absl::StrAppend(&below, Padded(kColumns[n].below, kColumns[n].width));
  }
  out_ << "\n" << titles << "\n";
  if (below.find_first_not_of(' ') != std::string::npos) out_ << below << "\n";
  for (const Json& run : runs) {
    if (IsLeftOut(run)) continue;
    for (size_t n = 0; n < (run.contains("kills") ? columns : kNameColumns); ++n) {
      out_ << Padded(kColumns[n].entry(run), kColumns[n].width);
    }
    out_ << "\n";
  }
  out_ << std::flush;
}

void Display::Shapes(const Json& result) {
  if (options_.quiet) return;
  const std::string text = report::ShapesSeenIn(result);
  if (!text.empty()) Line("\n" + text);
}

void Display::Summary(const std::string& kept) {
  out_ << "\n" << summary_.Failures(terminal_);
  if (of_other_kinds_ > 0 && !options_.quiet) {
    Line(absl::StrCat("skipped: ", CountOf(of_other_kinds_, "run"),
                      " of scenarios of other kinds of objects"));
  }
  if (!kept.empty()) out_ << HowToReplay(kept) << "\n";
  out_ << summary_.Counts(terminal_, "run") << std::endl;
}

void Display::Line(const std::string& text) { out_ << terminal_.Broken(text) << std::endl; }

}  // namespace kill9
