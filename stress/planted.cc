#include "stress/planted.h"

#include <fcntl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "harness/result.h"
#include "harness/verdict.h"

namespace kill9 {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr double kGraceSeconds = 20;  // beyond the budget: a run's end, its audits, its checker
constexpr int kDataRaceExit = 66;     // ThreadSanitizer's

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

std::vector<std::string> Words(const std::string& text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

struct Child {
  std::vector<std::string> words;
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::string output = {};    // a file for standard output and error; empty: our standard error
  bool without_aslr = false;  // older ThreadSanitizers cannot live with every address space
};

// Runs until it ends, or `limit_seconds` are over, or we are interrupted. Returns its wait status,
// or -1: it was killed.
int RunChild(const Child& child, double limit_seconds,
             const volatile std::sig_atomic_t* interrupted) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kExitUsage);
    const int out = child.output.empty()
                        ? dup(STDERR_FILENO)
                        : open(child.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    close(out);
    if (child.without_aslr) personality(ADDR_NO_RANDOMIZE);
    for (const auto& [name, value] : child.environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> arguments;
    for (const std::string& word : child.words)
      arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(kExitUsage);
  }
  if (pid < 0) return -1;
  const SteadyClock::time_point start = SteadyClock::now();
  int status = 0;
  bool asked = false;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    const double seconds = SecondsSince(start);
    const bool over = seconds > limit_seconds || (interrupted != nullptr && *interrupted != 0);
    // Asked first: it then ends its own processes cleanly. They die with it in any case.
    if (over && !std::exchange(asked, true)) kill(pid, SIGTERM);
    if (seconds > limit_seconds + 5) kill(pid, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return asked ? -1 : status;
}

// The verdict of a result file's first run that did not pass, and what it says.
void ReadVerdict(const std::string& file, TierOutcome* outcome) {
  std::ifstream in(file);
  const Json result = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (result.is_discarded() || !result.contains("runs")) {
    outcome->verdict = "error";
    return;
  }
  outcome->verdict = "pass";
  for (const Json& run : result["runs"]) {
    const std::string verdict = run.value("verdict", "error");
    const bool worse = outcome->verdict == "pass" || !outcome->caught();
    if (verdict == "pass" || verdict == "skipped" || !worse) continue;
    outcome->verdict = verdict;
    if (!run.contains("counterexample")) continue;
    const Json& example = run["counterexample"];
    outcome->message =
        example.is_string() ? example.get<std::string>() : example.value("message", "");
  }
}

std::string LineWith(const std::string& file, std::string_view text) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.find(text) != std::string::npos) return line;
  }
  return "";
}

// What a test program's end says. A test that dies has failed; so has one that ThreadSanitizer
// stopped.
void ReadTestStatus(int status, const std::string& output, TierOutcome* outcome) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    outcome->verdict = "pass";
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == kExitUsage) {
    outcome->verdict = "error";
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == kDataRaceExit) {
    outcome->verdict = "data_race";
    outcome->message = LineWith(output, "SUMMARY: ThreadSanitizer");
  } else {
    outcome->verdict = "failed";
    outcome->message = LineWith(output, "[  FAILED  ]");
  }
}

}  // namespace

bool TierOutcome::caught() const {
  static const std::string_view kNot[] = {"pass",    "skipped",   "undecided", "vacuous",
                                          "timeout", "not_built", "error"};
  return std::find(std::begin(kNot), std::end(kNot), verdict) == std::end(kNot);
}

bool TierOutcome::as_declared(const PlantedBug& bug) const {
  if (!caught()) return false;
  if (tier == "conformance" || tier == "tsan") return true;
  return std::find(bug.verdicts.begin(), bug.verdicts.end(), verdict) != bug.verdicts.end();
}

std::string DefaultPlantedManifest() {
  std::error_code ignored;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return self.parent_path() / "planted" / "manifest.json";
}

absl::StatusOr<std::vector<PlantedBug>> ReadPlantedBugs(const std::string& manifest) {
  std::ifstream in(manifest);
  const Json list = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) {
    return absl::NotFoundError(
        absl::StrCat("there is no list of planted bugs in '", manifest,
                     "': it lies beside a kill9 that was built from the source tree"));
  }
  std::vector<PlantedBug> bugs;
  for (const Json& entry : list) {
    PlantedBug bug;
    entry.at("name").get_to(bug.name);
    entry.at("variant").get_to(bug.variant);
    entry.at("what").get_to(bug.what);
    entry.at("patch").get_to(bug.patch);
    entry.at("target").get_to(bug.target);
    entry.at("control").get_to(bug.control);
    entry.at("classes").get_to(bug.classes);
    entry.at("tiers").get_to(bug.tiers);
    entry.at("verdicts").get_to(bug.verdicts);
    entry.at("budget_s").get_to(bug.budget_seconds);
    entry.at("command").get_to(bug.command);
    entry.at("sweep").get_to(bug.sweep);
    entry.at("torture").get_to(bug.torture);
    entry.at("conformance_command").get_to(bug.conformance_command);
    entry.at("tsan_command").get_to(bug.tsan_command);
    bugs.push_back(std::move(bug));
  }
  return bugs;
}

absl::Status BuildPlanted(const std::vector<PlantedBug>& bugs, const std::string& manifest) {
  const std::filesystem::path build = std::filesystem::path(manifest).parent_path().parent_path();
  Child child{.words = {"cmake", "--build", build, "--target"}};
  for (const PlantedBug& bug : bugs) {
    child.words.push_back(bug.target);
    if (!bug.conformance_command.empty()) child.words.push_back(bug.target + "_conformance");
  }
  const int status = RunChild(child, 3600, nullptr);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError("the planted bugs could not be built (see above)");
}

TierOutcome RunPlantedTier(const PlantedBug& bug, std::string_view tier, uint64_t seed,
                           double budget_seconds, const volatile std::sig_atomic_t* interrupted) {
  TierOutcome outcome;
  outcome.tier = tier;
  std::string directory = std::filesystem::temp_directory_path() / "kill9-planted-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    outcome.verdict = "error";
    return outcome;
  }
  absl::Cleanup remove = [&directory] {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  };
  const bool of_kill9 = tier == "sweep" || tier == "torture";
  const std::string json = absl::StrCat(directory, "/result.json");
  Child child;
  child.output = absl::StrCat(directory, "/output");
  if (of_kill9) {
    child.words = {bug.command, std::string(tier), absl::StrCat("--variant=", bug.variant),
                   absl::StrCat("--seed=", seed), absl::StrCat("--json=", json)};
    for (std::string& word : Words(tier == "sweep" ? bug.sweep : bug.torture)) {
      child.words.push_back(std::move(word));
    }
    if (tier == "torture") {
      child.words.push_back(absl::StrFormat("--seconds=%g", budget_seconds));
      child.words.push_back(absl::StrCat("--counterexamples=", directory));
    }
  } else {
    child.words = Words(tier == "tsan" ? bug.tsan_command : bug.conformance_command);
    child.words.push_back("--gtest_fail_fast");
    child.without_aslr = tier == "tsan";
    child.environment = {{"KILL9_SEED", absl::StrCat(seed)},
                         {"TSAN_OPTIONS", "halt_on_error=1"},
                         {"KILL9_STEPS", "1000000000"}};
    if (tier != "tsan" || bug.control) child.environment.pop_back();
  }
  if (child.words.empty() || access(child.words[0].c_str(), X_OK) != 0) {
    outcome.verdict = "not_built";
    return outcome;
  }
  // ThreadSanitizer's program would go on for ever: its budget is its time.
  const double limit_seconds = budget_seconds + (tier == "tsan" ? 0 : kGraceSeconds);
  const SteadyClock::time_point start = SteadyClock::now();
  const int status = RunChild(child, limit_seconds, interrupted);
  outcome.seconds = SecondsSince(start);
  if (status == -1) {
    outcome.verdict = tier == "tsan" ? "pass" : "timeout";
  } else if (!of_kill9) {
    ReadTestStatus(status, child.output, &outcome);
  } else if (WIFEXITED(status) && WEXITSTATUS(status) != kExitUsage) {
    ReadVerdict(json, &outcome);
  } else {
    outcome.verdict = "error";
  }
  outcome.message = outcome.message.substr(0, outcome.message.find('\n'));
  return outcome;
}

}  // namespace kill9
