#include "harness/explore/search/shipped_program.h"

#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/wait_for_end.h"

namespace kill9::explore {
namespace {

constexpr size_t kAtOnce = 100;

std::string PathOf(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

// Runs kill9 on these steps; what it writes goes to `output`.
void RunShipped(int steps, int output) {
  std::error_code ignored;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::string program = own.parent_path() / "kill9";
  const std::string argument = absl::StrCat("--steps=", PathOf(steps));
  const char* const words[] = {program.c_str(), "explore", argument.c_str(), nullptr};
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(output, STDOUT_FILENO);
    execv(program.c_str(), const_cast<char* const*>(words));
    _exit(1);
  }
  WaitForEnd(pid);
}

Steps::Words WordsOf(std::span<const uint64_t> memory) {
  Steps::Words words;
  for (size_t word = 0; word < memory.size(); ++word) {
    if (memory[word] != 0) words.emplace_back(word, memory[word]);
  }
  return words;
}

// So that reasons of the same kind are one.
std::string WithoutPlace(const std::string& text) { return text.substr(0, text.find(" (")); }

}  // namespace

Steps StepsOf(const std::string& variant, const std::string& scenario, const Scene& scene,
              const Replayed& replayed) {
  const Machine& machine = Machine::Get();
  Steps steps;
  steps.variant = variant;
  steps.scenario = scenario;
  steps.verdict = replayed.finding.verdict;
  for (const Step& step : replayed.steps) {
    const bool noted = step.kind == AccessKind::kNote;
    steps.cut_off |= noted && std::string_view(step.what) == "fails";
    if (noted) continue;
    steps.steps.push_back(
        {step.fiber, step.kind, step.offset, step.bytes, step.value, step.written});
  }
  steps.told = scene.Told();
  steps.words = WordsOf(machine.memory());
  for (const std::vector<uint64_t>& memory : machine.memory_at_deaths()) {
    steps.at_deaths.push_back(WordsOf(memory));
  }
  steps.mutexes.assign(machine.mutexes().begin(), machine.mutexes().end());
  return steps;
}

std::vector<ShippedAnswer> AskShippedProgram(std::span<const Steps> all) {
  std::vector<ShippedAnswer> answers;
  const int asked = memfd_create("steps", 0), answered = memfd_create("answers", 0);
  if (asked < 0 || answered < 0) return answers;
  {
    std::ofstream file(PathOf(asked));
    for (const Steps& steps : all) Write(steps, file);
  }
  RunShipped(asked, answered);
  std::ifstream file(PathOf(answered));
  while (std::optional<ShippedAnswer> answer = ReadAnswer(file)) {
    answers.push_back(*std::move(answer));
  }
  close(asked);
  close(answered);
  return answers;
}

ShippedScore CompareWithShipped(const std::string& variant, const std::string& scenario,
                                Scene& scene, const ShippedOptions& options) {
  const MachineLimits limits{.deaths = options.deaths};
  Machine& machine = Machine::Get();
  machine.Load(scene, limits);
  Random random(options.seed, options.deaths);
  ShippedScore score;
  std::vector<Steps> batch;
  std::vector<Schedule> schedules;
  const auto ask = [&] {
    const std::vector<ShippedAnswer> answers = AskShippedProgram(batch);
    if (*options.interrupted != 0) return;  // Ctrl-C ends the shipped program, too
    for (size_t i = 0; i < batch.size(); ++i) {
      const ShippedAnswer answer = i < answers.size() ? answers[i] : ShippedAnswer{};
      score.instructions += answer.instructions;
      const std::string token = Render(Token{.variant = variant,
                                             .scenario = scenario,
                                             .deaths = options.deaths,
                                             .schedule = schedules[i],
                                             .contended = {}});
      if (answer.kind == ShippedAnswer::kSame) ++score.same;
      if (answer.kind == ShippedAnswer::kDiverged) {
        ++score.diverged;
        ShippedScore::Diverged& why = score.why_diverged[WithoutPlace(answer.how)];
        if (why.count++ == 0) why = {1, answer.how, token};
      }
      if (answer.kind != ShippedAnswer::kOther || score.other++ > 0) continue;
      score.first_other = answer.how;
      score.token_of_other = token;
    }
    batch.clear();
    schedules.clear();
  };
  const auto run = [&](Chooser& chooser) {
    Finding ignored;
    machine.RunSchedule(chooser, &ignored);
  };
  // Before any counts: which words are contended, and where deaths are possible, is known then.
  for (size_t n = 0; n < kAtOnce; ++n) {
    random.Begin();
    run(random);
  }
  MachineLimits traced = limits;
  traced.trace = true;
  for (uint64_t n = 0; n < options.schedules && !*options.interrupted; ++n) {
    random.Begin();
    Recorder recorder(random, machine);
    run(recorder);
    recorder.Finish();
    const Replayed replayed = Replay(recorder.schedule(), traced);
    score.deaths += static_cast<uint64_t>(machine.deaths());
    batch.push_back(StepsOf(variant, scenario, scene, replayed));
    schedules.push_back(recorder.schedule());
    machine.set_limits(limits);
    if (batch.size() == kAtOnce) ask();
  }
  ask();
  return score;
}

}  // namespace kill9::explore
