#include "harness/gate/report.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <pugixml.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace kill9::gate {
namespace {

struct Sum {
  uint64_t answers = 0;
  uint64_t passed = 0;
  uint64_t failed = 0;
  uint64_t undecided = 0;
  uint64_t skipped = 0;
  double seconds = 0;
};

Sum SumOf(const std::vector<StepResult>& answers, Tier tier) {
  Sum sum;
  for (const StepResult& answer : answers) {
    if (answer.tier != tier) continue;
    ++sum.answers;
    sum.seconds += answer.seconds;
    if (answer.verdict == Verdict::kSkipped) {
      ++sum.skipped;
    } else if (answer.verdict == Verdict::kPass) {
      ++sum.passed;
    } else if (ExitCode(answer.verdict) == kExitFailed) {
      ++sum.failed;
    } else {
      ++sum.undecided;
    }
  }
  return sum;
}

std::string Title(const StepResult& answer) {
  return absl::StrCat("kill9 ", std::string(TierName(answer.tier)), ": ", answer.variant,
                      answer.variant.empty() ? "" : " ", answer.name, ": ",
                      std::string(VerdictName(answer.verdict)));
}

// XML 1.0 has no way to write most control characters.
std::string Printable(std::string text) {
  for (char& byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if ((code < 0x20 && byte != '\n' && byte != '\t') || code == 0x7f) byte = '?';
  }
  return text;
}

std::string WithRepeat(const StepResult& answer) {
  std::string text = answer.reason;
  if (!answer.repeat.empty()) absl::StrAppend(&text, "\nrepeat: ", answer.repeat);
  return Printable(text);
}

void AddTestCase(pugi::xml_node suite, const StepResult& answer) {
  pugi::xml_node test = suite.append_child("testcase");
  std::string of = absl::StrCat("kill9.", std::string(TierName(answer.tier)));
  if (!answer.variant.empty()) absl::StrAppend(&of, ".", answer.variant);
  test.append_attribute("classname") = of.c_str();
  test.append_attribute("name") = Printable(answer.name).c_str();
  test.append_attribute("time") = absl::StrFormat("%.3f", answer.seconds).c_str();
  if (!answer.file.empty()) {
    test.append_attribute("file") = answer.file.c_str();
    test.append_attribute("line") = answer.line;
  }
  if (answer.verdict == Verdict::kPass) return;
  const bool skipped = answer.verdict == Verdict::kSkipped;
  const bool failed = ExitCode(answer.verdict) == kExitFailed;
  pugi::xml_node node = test.append_child(skipped ? "skipped" : failed ? "failure" : "error");
  const std::string first = Printable(answer.reason.substr(0, answer.reason.find('\n')));
  node.append_attribute("message") = first.c_str();
  if (skipped) return;
  node.append_attribute("type") = std::string(VerdictName(answer.verdict)).c_str();
  node.append_child(pugi::node_pcdata).set_value(WithRepeat(answer).c_str());
}

std::string EscapeData(const std::string& text) {
  return absl::StrReplaceAll(text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
}

std::string EscapeProperty(const std::string& text) {
  return absl::StrReplaceAll(EscapeData(text), {{":", "%3A"}, {",", "%2C"}});
}

}  // namespace

absl::Status WriteJunit(const std::vector<StepResult>& answers, const std::string& path) {
  pugi::xml_document document;
  pugi::xml_node declaration = document.append_child(pugi::node_declaration);
  declaration.append_attribute("version") = "1.0";
  declaration.append_attribute("encoding") = "UTF-8";
  pugi::xml_node root = document.append_child("testsuites");
  root.append_attribute("name") = "kill9 gate";
  for (int n = 0; n < kTiers; ++n) {
    const Sum sum = SumOf(answers, static_cast<Tier>(n));
    if (sum.answers == 0) continue;
    pugi::xml_node suite = root.append_child("testsuite");
    suite.append_attribute("name") = std::string(TierName(static_cast<Tier>(n))).c_str();
    suite.append_attribute("tests") = static_cast<unsigned long long>(sum.answers);
    suite.append_attribute("failures") = static_cast<unsigned long long>(sum.failed);
    suite.append_attribute("errors") = static_cast<unsigned long long>(sum.undecided);
    suite.append_attribute("skipped") = static_cast<unsigned long long>(sum.skipped);
    suite.append_attribute("time") = absl::StrFormat("%.3f", sum.seconds).c_str();
    for (const StepResult& answer : answers) {
      if (answer.tier == static_cast<Tier>(n)) AddTestCase(suite, answer);
    }
  }
  if (document.save_file(path.c_str(), "  ")) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot write the JUnit file '", path, "': ", std::strerror(errno)));
}

std::string GithubAnnotation(const StepResult& answer) {
  if (answer.verdict == Verdict::kPass) return "";
  const bool failed = ExitCode(answer.verdict) == kExitFailed;
  std::string line = failed                                ? "::error "
                     : answer.verdict == Verdict::kSkipped ? "::notice "
                                                           : "::warning ";
  if (!answer.file.empty()) {
    absl::StrAppend(&line, "file=", EscapeProperty(answer.file), ",line=", answer.line, ",");
  }
  return absl::StrCat(line, "title=", EscapeProperty(Title(answer)),
                      "::", EscapeData(WithRepeat(answer)));
}

std::string Markdown(const std::vector<StepResult>& answers) {
  std::string text =
      "### kill9 gate\n\n| tier | answers | passed | failed | undecided | skipped |\n"
      "|---|---|---|---|---|---|\n";
  for (int n = 0; n < kTiers; ++n) {
    const Tier tier = static_cast<Tier>(n);
    const Sum sum = SumOf(answers, tier);
    if (sum.answers == 0) continue;
    absl::StrAppend(&text, "| ", std::string(TierName(tier)), " | ", sum.answers, " | ", sum.passed,
                    " | ", sum.failed, " | ", sum.undecided, " | ", sum.skipped, " |\n");
  }
  for (const StepResult& answer : answers) {
    if (answer.verdict == Verdict::kPass) continue;
    absl::StrAppend(&text, "\n**", Title(answer), "**\n\n```\n", WithRepeat(answer), "\n```\n");
  }
  return text;
}

std::string Table(const std::vector<StepResult>& answers) {
  std::string text = absl::StrFormat("%-10s %8s %8s %8s %10s %8s %9s\n", "tier", "answers",
                                     "passed", "failed", "undecided", "skipped", "seconds");
  for (int n = 0; n < kTiers; ++n) {
    const Tier tier = static_cast<Tier>(n);
    const Sum sum = SumOf(answers, tier);
    if (sum.answers == 0) continue;
    absl::StrAppendFormat(&text, "%-10s %8d %8d %8d %10d %8d %9.1f\n", std::string(TierName(tier)),
                          sum.answers, sum.passed, sum.failed, sum.undecided, sum.skipped,
                          sum.seconds);
  }
  return text;
}

}  // namespace kill9::gate
