#include "harness/gate/run/step_result.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace kill9::gate {
namespace {

constexpr size_t kReasonBytes = 2000;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// "…/variants/store.cc" becomes "variants/store.cc".
std::string FromRoot(const std::string& file) {
  for (const char* folder : {"/variants/", "/harness/", "/stress/", "/property/"}) {
    const size_t at = file.rfind(folder);
    if (at != std::string::npos) return file.substr(at + 1);
  }
  return file;
}

// Takes "file:line" apart, if that is what it is.
void SetPlace(const std::string& text, StepResult& answer) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return;
  const int line = std::atoi(text.c_str() + colon + 1);
  if (line <= 0) return;
  answer.file = FromRoot(text.substr(0, colon));
  answer.line = line;
}

StepResult Frame(const GateStep& step, const Outcome& outcome) {
  StepResult answer;
  answer.tier = step.tier;
  answer.variant = step.variant;
  answer.name = step.name;
  answer.repeat = CommandLine(step);
  answer.file = step.source_file;
  answer.line = step.source_file.empty() ? 0 : 1;
  answer.seconds = outcome.seconds;
  answer.lacked_time =
      outcome.ending == ExitReason::kOutOfBudget || outcome.ending == ExitReason::kOutOfLimit;
  return answer;
}

std::string LogOf(const GateStep& step) {
  const std::string tail = Tail(step.log_file, kReasonBytes);
  return tail.empty() ? "" : absl::StrCat("; its last words:\n", tail);
}

// The answer to a command that did not come to an end of its own, or came to a bad one.
std::optional<StepResult> NotProperlyEnded(const GateStep& step, const Outcome& outcome) {
  StepResult answer = Frame(step, outcome);
  switch (outcome.ending) {
    case ExitReason::kOutOfBudget:
      answer.reason = outcome.begun
                          ? "out of budget: it was still running" + LogOf(step)
                          : "not begun: the budget was used up by what comes before it; a larger "
                            "--budget, or fewer tiers (--tier), reach it";
      return answer;
    case ExitReason::kOutOfLimit:
      answer.reason = absl::StrFormat("no answer in %g s%s", step.limit_seconds, LogOf(step));
      return answer;
    case ExitReason::kInterrupted:
      answer.reason = outcome.begun ? "interrupted" : "interrupted before it was begun";
      return answer;
    case ExitReason::kNotStarted:
      answer.reason = "no process could be started for it";
      return answer;
    case ExitReason::kNotWanted:
      answer.reason = "a failure came before its end";
      return answer;
    case ExitReason::kByItself:
      break;
  }
  if (WIFEXITED(outcome.status)) return std::nullopt;
  answer.verdict = Verdict::kSurvivorCrashed;
  answer.reason = absl::StrFormat("the process ended by signal %d (%s)%s", WTERMSIG(outcome.status),
                                  strsignal(WTERMSIG(outcome.status)), LogOf(step));
  return answer;
}

StepResult WithoutResult(const GateStep& step, const Outcome& outcome) {
  StepResult answer = Frame(step, outcome);
  answer.reason =
      absl::StrFormat("exit code %d and no result%s", WEXITSTATUS(outcome.status), LogOf(step));
  return answer;
}

StepResult FromRun(const GateStep& step, const Outcome& outcome, const Json& run) {
  StepResult answer = Frame(step, outcome);
  const std::string verdict = run.value("verdict", "");
  if (std::optional<Verdict> known = FindVerdict(verdict)) {
    answer.verdict = *known;
  } else {
    answer.reason = absl::StrCat("its verdict is '", verdict, "', which is none");
  }
  if (step.variant.empty()) answer.variant = run.value("variant", "");
  answer.name = run.value("scenario", step.name);
  answer.seconds = run.value("seconds", outcome.seconds);
  if (answer.reason.empty()) answer.reason = run.value("reason", "");
  if (answer.reason.empty()) answer.reason = run.value("message", "");  // as explore says it
  answer.repeat = run.value("repeat", answer.repeat);
  answer.detail = run;
  if (!run.contains("counterexample")) return answer;
  const Json& example = run["counterexample"];
  if (example.is_object()) {
    if (answer.reason.empty()) answer.reason = example.value("message", "");
    const std::string place = example.value("place", "");
    if (const size_t at = place.rfind(" at "); at != std::string::npos) {
      SetPlace(place.substr(at + 4), answer);
      absl::StrAppend(&answer.reason, "\nkilled before ", place);
    }
  } else if (example.is_string()) {
    absl::StrAppend(&answer.reason, "\n", example.get<std::string>());
  }
  return answer;
}

std::vector<StepResult> FromResultFile(const GateStep& step, const Outcome& outcome) {
  std::vector<StepResult> answers;
  const Json result = ReadJsonFile(step.result_file).value_or(Json());
  if (result.is_object() && result.contains("runs") && result["runs"].is_array()) {
    for (const Json& run : result["runs"]) {
      if (run.is_object()) answers.push_back(FromRun(step, outcome, run));
    }
  }
  if (std::optional<StepResult> bad = NotProperlyEnded(step, outcome)) {
    answers.push_back(*std::move(bad));
    return answers;
  }
  if (answers.empty()) return {WithoutResult(step, outcome)};
  int worst = kExitPass;
  for (const StepResult& answer : answers) worst = WorseExitCode(worst, ExitCode(answer.verdict));
  const bool nothing_ran =
      std::all_of(answers.begin(), answers.end(),
                  [](const StepResult& answer) { return answer.verdict == Verdict::kSkipped; });
  if (nothing_ran) worst = kExitUndecided;
  if (worst != WEXITSTATUS(outcome.status)) {
    StepResult contradiction = Frame(step, outcome);
    contradiction.reason =
        absl::StrFormat("exit code %d contradicts the verdicts of its result (%d)%s",
                        WEXITSTATUS(outcome.status), worst, LogOf(step));
    answers.push_back(std::move(contradiction));
  }
  return answers;
}

// GoogleTest: a failure's text begins with "file:line\n".
void AddFailures(const Json& test, std::vector<std::string>& failures, StepResult& answer) {
  for (const Json& failure : test["failures"]) {
    const std::string text = failure.value("failure", "");
    if (answer.line == 0) SetPlace(text.substr(0, text.find('\n')), answer);
    failures.push_back(absl::StrCat(test.value("classname", ""), ".", test.value("name", ""), ": ",
                                    text.substr(0, kReasonBytes)));
  }
}

StepResult FromGoogleTest(const GateStep& step, const Outcome& outcome) {
  if (std::optional<StepResult> bad = NotProperlyEnded(step, outcome)) return *std::move(bad);
  const Json result = ReadJsonFile(step.result_file).value_or(Json());
  if (!result.is_object() || !result.contains("testsuites")) return WithoutResult(step, outcome);
  StepResult answer = Frame(step, outcome);
  std::vector<std::string> failures;
  uint64_t run = 0;
  uint64_t skipped = 0;
  for (const Json& suite : result["testsuites"]) {
    for (const Json& test : suite["testsuite"]) {
      if (test.value("status", "") != "RUN") continue;
      ++run;
      if (test.value("result", "") == "SKIPPED") ++skipped;
      if (test.contains("failures")) AddFailures(test, failures, answer);
    }
  }
  answer.detail = {{"tests", run}, {"tests_skipped", skipped}, {"tests_failed", failures.size()}};
  if (!failures.empty()) {
    answer.verdict = Verdict::kViolation;
    answer.reason = absl::StrJoin(failures, "\n");
  } else if (WEXITSTATUS(outcome.status) != 0) {
    answer.verdict = Verdict::kViolation;
    answer.reason = absl::StrFormat("exit code %d though no test failed%s",
                                    WEXITSTATUS(outcome.status), LogOf(step));
  } else if (run == 0) {
    answer.verdict = Verdict::kVacuous;
    answer.reason = "no test was run";
  } else if (skipped == run) {
    answer.verdict = Verdict::kSkipped;
    answer.reason = "every test was skipped";
  } else {
    answer.verdict = Verdict::kPass;
  }
  return answer;
}

// The verdicts that the command gave; without a result file what its exit code says.
std::vector<std::string> FoundBy(const GateStep& step, const Outcome& outcome, Json& detail) {
  std::vector<std::string> found;
  if (step.result_file.empty()) {
    const bool passed = WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == kExitPass;
    found.emplace_back(passed ? "pass" : "failed");
    return found;
  }
  for (StepResult& answer : FromResultFile(step, outcome)) {
    found.emplace_back(VerdictName(answer.verdict));
    if (detail.is_null() || ExitCode(answer.verdict) == kExitFailed) {
      detail = std::move(answer.detail);
    }
  }
  return found;
}

// Whether the command gave the verdict that it must: a planted bug is caught, a control passes, a
// baseline gets what it declares.
StepResult FromExpected(const GateStep& step, const Outcome& outcome) {
  // The commands of kill9 outlive whatever a store does; a test program may well die of it.
  const bool may_crash = step.expected == "failed" && outcome.ending == ExitReason::kByItself;
  if (!may_crash) {
    if (std::optional<StepResult> bad = NotProperlyEnded(step, outcome)) return *std::move(bad);
  }
  StepResult answer = Frame(step, outcome);
  const std::vector<std::string> found = FoundBy(step, outcome, answer.detail);
  const std::vector<std::string> wanted = absl::StrSplit(step.expected, '|');
  const auto is_wanted = [&wanted](const std::string& one) {
    return std::find(wanted.begin(), wanted.end(), one) != wanted.end();
  };
  const bool as_expected = step.must_pass() ? std::all_of(found.begin(), found.end(), is_wanted)
                                            : std::any_of(found.begin(), found.end(), is_wanted);
  if (as_expected) {
    answer.verdict = Verdict::kPass;
    return answer;
  }
  const int code = WIFEXITED(outcome.status) ? WEXITSTATUS(outcome.status) : kExitFailed;
  const bool decided = code == kExitPass || code == kExitFailed;
  answer.verdict = decided ? Verdict::kViolation : Verdict::kUndecided;
  answer.reason = absl::StrCat(step.must_pass() ? "a false alarm" : "not caught", ": expected ",
                               step.expected, ", got ", absl::StrJoin(found, ", "), LogOf(step));
  return answer;
}

}  // namespace

std::vector<StepResult> Read(const GateStep& step, const Outcome& outcome) {
  if (!step.skipped.empty()) {
    StepResult answer = Frame(step, outcome);
    answer.lacked_time = false;
    answer.verdict = Verdict::kSkipped;
    answer.reason = step.skipped;
    return {answer};
  }
  try {
    switch (step.format) {
      case ResultFormat::kResultFile:
        return FromResultFile(step, outcome);
      case ResultFormat::kGoogleTest:
        return {FromGoogleTest(step, outcome)};
      case ResultFormat::kExpected:
        return {FromExpected(step, outcome)};
    }
  } catch (const Json::exception& error) {
    StepResult answer = Frame(step, outcome);
    answer.reason = absl::StrCat("its result cannot be read: ", error.what());
    return {answer};
  }
  std::abort();
}

Json RunOf(const StepResult& answer) {
  Json run = {{"tier", TierName(answer.tier)},
              {"variant", answer.variant},
              {"scenario", answer.name},
              {"verdict", VerdictName(answer.verdict)},
              {"seconds", answer.seconds}};
  if (!answer.reason.empty()) run["reason"] = answer.reason;
  if (answer.lacked_time) run["lacked_time"] = true;
  if (!answer.file.empty()) run["place"] = absl::StrCat(answer.file, ":", answer.line);
  if (!answer.repeat.empty()) run["repeat"] = answer.repeat;
  if (answer.detail.is_object()) {
    const bool same_run = answer.detail.contains("verdict") &&
                          answer.detail["verdict"] == VerdictName(answer.verdict);
    if (same_run) {
      for (const auto& [key, value] : answer.detail.items()) {
        if (!run.contains(key)) run[key] = value;
      }
    } else {
      run["detail"] = answer.detail;
    }
  }
  return run;
}

std::string Tail(const std::string& path, size_t most_bytes) {
  std::string text = ReadFile(path);
  if (text.size() > most_bytes) {
    const size_t line = text.find('\n', text.size() - most_bytes);
    text = text.substr(line == std::string::npos ? text.size() - most_bytes : line + 1);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace kill9::gate
