#include "harness/explore/search/shipped_program.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
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

Schedule Undivided(const Schedule& schedule, uint64_t later) {
  Schedule undivided;
  const auto is = [](MoveKind kind, int8_t fiber) {
    return [=](const Part& part) { return part.move.kind == kind && part.move.fiber == fiber; };
  };
  for (const Part& part : schedule) {
    const int8_t victim = part.move.fiber;
    if (part.move.kind == MoveKind::kEvent) {
      const auto is_event = is(MoveKind::kEvent, victim);
      if (std::any_of(undivided.begin(), undivided.end(), is_event)) continue;
      const auto events = std::count_if(schedule.begin(), schedule.end(), is_event);
      undivided.insert(undivided.end(), static_cast<size_t>(events), part);
      continue;
    }
    if (part.move.kind == MoveKind::kKill && later > 0) {
      const auto so_far =
          std::find_if(undivided.rbegin(), undivided.rend(), is(MoveKind::kRun, victim));
      const uint64_t steps = so_far == undivided.rend() ? 0 : so_far->steps;
      undivided.push_back({{MoveKind::kRun, victim}, steps + later});
    }
    undivided.push_back(part);
  }
  return undivided;
}

ShippedAnswer AskUndivided(const std::string& variant, const std::string& scenario,
                           const Scene& scene, const ShippedAnswer& divided,
                           const MachineLimits& limits, Schedule* schedule) {
  // So many steps: what one instruction stores, or comes to store before the rest.
  constexpr uint64_t kMostLater = 24;
  const Machine& machine = Machine::Get();
  const Verdict verdict = Replay(*schedule, limits).finding.verdict;
  const int deaths = machine.deaths();
  for (uint64_t later = 0; later <= kMostLater && deaths > 0; ++later) {
    const Schedule undivided = Undivided(*schedule, later);
    if (undivided == *schedule) continue;
    const Replayed replayed = Replay(undivided, limits);
    if (machine.deaths() != deaths) break;
    if (replayed.finding.verdict != verdict) continue;
    const std::vector<Steps> steps = {StepsOf(variant, scenario, scene, replayed)};
    const std::vector<ShippedAnswer> answers = AskShippedProgram(steps);
    if (answers.empty()) break;
    if (answers[0].kind == ShippedAnswer::kDivided) continue;
    *schedule = undivided;
    return answers[0];
  }
  return divided;
}

namespace {

class Comparison {
 public:
  Comparison(const std::string& variant, const std::string& scenario, Scene& scene,
             const ShippedOptions& options)
      : variant_(variant),
        scenario_(scenario),
        scene_(scene),
        options_(options),
        limits_{.deaths = options.deaths},
        traced_{.deaths = options.deaths, .trace = true},
        random_(options.seed, options.deaths) {
    machine_.Load(scene, limits_);
  }

  ShippedScore Run() {
    // Before any counts: which words are contended, and where deaths are possible, is known then.
    for (size_t n = 0; n < kAtOnce; ++n) Choose(random_);
    for (uint64_t n = 0; n < options_.schedules && !*options_.interrupted;) {
      std::vector<Asked> batch;
      for (; n < options_.schedules && batch.size() < kAtOnce; ++n) batch.push_back(Draw());
      Ask(batch);
    }
    return std::move(score_);
  }

 private:
  struct Asked {
    Schedule schedule;
    Steps steps;
  };

  void Choose(Chooser& chooser) {
    Finding ignored;
    random_.Begin();
    machine_.RunSchedule(chooser, &ignored);
  }

  Asked Draw() {
    Recorder recorder(random_, machine_);
    Choose(recorder);
    recorder.Finish();
    const Replayed replayed = Replay(recorder.schedule(), traced_);
    score_.deaths += static_cast<uint64_t>(machine_.deaths());
    machine_.set_limits(limits_);
    return {recorder.schedule(), StepsOf(variant_, scenario_, scene_, replayed)};
  }

  void Ask(const std::vector<Asked>& batch) {
    std::vector<Steps> all;
    for (const Asked& asked : batch) all.push_back(asked.steps);
    const std::vector<ShippedAnswer> answers = AskShippedProgram(all);
    for (size_t i = 0; i < batch.size() && *options_.interrupted == 0; ++i) {
      ShippedAnswer answer = i < answers.size() ? answers[i] : ShippedAnswer{};
      Schedule schedule = batch[i].schedule;
      if (answer.kind == ShippedAnswer::kDivided) {
        answer = AskUndivided(variant_, scenario_, scene_, answer, traced_, &schedule);
        machine_.set_limits(limits_);
      }
      if (*options_.interrupted != 0) return;  // whoever was asked may have been, too
      score_.instructions += answer.instructions;
      score_.moved += answer.kind == ShippedAnswer::kSame && schedule != batch[i].schedule;
      Count(schedule, answer);
    }
  }

  void Count(const Schedule& schedule, const ShippedAnswer& answer) {
    const auto token = [&] {
      return Render(Token{.variant = variant_,
                          .scenario = scenario_,
                          .deaths = options_.deaths,
                          .schedule = schedule,
                          .contended = {}});
    };
    switch (answer.kind) {
      case ShippedAnswer::kSame:
        ++score_.same;
        return;
      case ShippedAnswer::kOther:
        if (score_.other++ > 0) return;
        score_.first_other = answer.how;
        score_.token_of_other = token();
        return;
      case ShippedAnswer::kDiverged:
      case ShippedAnswer::kDivided: {
        ++score_.diverged;
        ShippedScore::Diverged& why = score_.why_diverged[WithoutPlace(answer.how)];
        if (why.count++ == 0) why = {1, answer.how, token()};
        return;
      }
    }
  }

  const std::string& variant_;
  const std::string& scenario_;
  Scene& scene_;
  const ShippedOptions& options_;
  const MachineLimits limits_, traced_;
  Random random_;
  Machine& machine_ = Machine::Get();
  ShippedScore score_;
};

}  // namespace

ShippedScore CompareWithShipped(const std::string& variant, const std::string& scenario,
                                Scene& scene, const ShippedOptions& options) {
  return Comparison(variant, scenario, scene, options).Run();
}

}  // namespace kill9::explore
