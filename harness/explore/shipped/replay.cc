#include "harness/explore/shipped/replay.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/shared_mapping.h"
#include "harness/explore/scenes/scenes.h"
#include "harness/explore/shipped/processes.h"
#include "harness/explore/shipped/walk.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::explore {
namespace {

constexpr double kLimitSeconds = 60;

// What the tracer, a process of its own, tells.
struct Told {
  ShippedAnswer::Kind kind = ShippedAnswer::kDiverged;
  Verdict verdict = Verdict::kUndecided;
  uint64_t instructions = 0;
  bool timed_out = false;
  char how[2000] = "the tracer ended";
  char message[2000] = "";
};

template <size_t kBytes>
void Copy(const std::string& text, char (&to)[kBytes]) {
  std::snprintf(to, kBytes, "%s", text.c_str());
}

// A step costs half of what it does across processors.
void StayOnOneProcessor() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<size_t>(std::max(sched_getcpu(), 0)), &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);  // refused: slower, not wrong
}

// Of a mutex, only its word and its owner are the same: the C library's other fields say whether it
// was ever taken, and where it is in a list.
bool IsOfMutex(const Steps& steps, uint64_t offset) {
  return std::any_of(steps.mutexes.begin(), steps.mutexes.end(), [&](uint64_t mutex) {
    return offset >= mutex && offset < mutex + sizeof(pthread_mutex_t);
  });
}
uint64_t WithoutDetails(const Steps& steps, uint64_t offset, uint64_t value) {
  if (!IsOfMutex(steps, offset)) return value;
  const bool of_lock =
      std::find(steps.mutexes.begin(), steps.mutexes.end(), offset) != steps.mutexes.end() ||
      std::find(steps.mutexes.begin(), steps.mutexes.end(), offset - 8) != steps.mutexes.end();
  return of_lock ? value & 0xffffffff : 0;
}

// What is other in the segment than in the exploration; empty: nothing.
std::string CompareBytes(const Steps& steps, const Scene& scene, const Walk& walk) {
  const std::span<char> memory = scene.memory();
  auto planned = steps.words.begin();
  for (uint64_t word = 0; word < memory.size() / 8; ++word) {
    uint64_t expected = 0, found = 0;
    if (planned != steps.words.end() && planned->first == word) expected = (planned++)->second;
    std::memcpy(&found, memory.data() + word * 8, 8);
    expected = WithoutDetails(steps, word * 8, walk.AsHere(expected));
    found = WithoutDetails(steps, word * 8, found);
    if (expected != found) {
      return absl::StrFormat("+%d: %x instead of %x", word * 8, found, expected);
    }
  }
  return "";
}

void ReplayInto(const Design& design, const Steps& steps, Told* told) {
  const auto tell = [told](ShippedAnswer::Kind kind, const std::string& how) {
    told->kind = kind;
    Copy(how, told->how);
  };
  if (const char* why = stepper::WhySteppingCannotRun(); why != nullptr) {
    return tell(ShippedAnswer::kDiverged, why);
  }
  StayOnOneProcessor();
  stepper::StartTicker();
  const absl::StatusOr<std::unique_ptr<Scene>> scene = NewScene(design, steps.scenario);
  if (!scene.ok()) return tell(ShippedAnswer::kDiverged, std::string(scene.status().message()));
  if (const char* why = (*scene)->why_not_shipped(); why != nullptr) {
    return tell(ShippedAnswer::kDiverged, why);
  }
  Processes processes(**scene);
  if (const std::string why = processes.Begin(); !why.empty()) {
    return tell(ShippedAnswer::kDiverged, why);
  }
  const size_t bytes = (*scene)->memory().size();
  const bool fits =
      std::all_of(steps.steps.begin(), steps.steps.end(), [&](const PlannedStep& step) {
        return step.kind == AccessKind::kDeath ||
               (step.participant < (*scene)->participants() && step.offset <= bytes - step.bytes);
      });
  if (!fits) return tell(ShippedAnswer::kDiverged, "the steps are none of this scene");
  Walk walk(steps, **scene, processes);
  const std::string diverged = walk.Run();
  told->instructions = walk.instructions();
  told->timed_out = walk.timed_out();
  if (!diverged.empty()) {
    return tell(walk.divided() ? ShippedAnswer::kDivided : ShippedAnswer::kDiverged, diverged);
  }
  Finding finding = processes.seen();
  try {
    if (finding.verdict == Verdict::kPass && !steps.cut_off) finding = (*scene)->Judge();
  } catch (Finding& seen) {
    finding = std::move(seen);
  }
  if (finding.verdict == Verdict::kPass && steps.cut_off && walk.somebody_waits()) {
    finding = {Verdict::kStuck, "it waits"};
  }
  told->verdict = finding.verdict;
  Copy(finding.message, told->message);
  if (finding.verdict != steps.verdict) {
    return tell(ShippedAnswer::kOther,
                absl::StrCat("it is ", std::string(VerdictName(finding.verdict)), ", not ",
                             std::string(VerdictName(steps.verdict)), ": ", finding.message));
  }
  if (finding.verdict == Verdict::kPass) {
    if ((*scene)->Told() != steps.told) {
      return tell(ShippedAnswer::kOther,
                  absl::StrCat("it answers\n", (*scene)->Told(), "instead of\n", steps.told));
    }
    if (const std::string other = CompareBytes(steps, **scene, walk); !other.empty()) {
      return tell(ShippedAnswer::kOther, "the segment is other: " + other);
    }
  }
  tell(ShippedAnswer::kSame, "");
}

ShippedAnswer ReplayOnce(const Design& design, const Steps& steps, bool* timed_out) {
  ShippedAnswer answer;
  const SharedMapping<Told> told = MapShared<Told>();
  if (told == nullptr) {
    answer.how = "no memory for what the tracer tells";
    return answer;
  }
  const pid_t tracer = stepper::ForkAs(0);
  if (tracer == 0) {
    ReplayInto(design, steps, told.get());
    _exit(0);
  }
  int status = 0;
  if (!stepper::Reap(tracer, kLimitSeconds, &status)) Copy("the tracer had to be ended", told->how);
  if (status != 0) Copy(absl::StrCat("the tracer ended by status ", status), told->how);
  answer.kind = told->kind;
  answer.how = told->how;
  answer.finding = {told->verdict, told->message};
  answer.instructions = told->instructions;
  *timed_out = told->timed_out;
  return answer;
}

}  // namespace

ShippedAnswer ReplayInShipped(const Design& design, const Steps& steps) {
  ShippedAnswer answer;
  constexpr int kMostTries = 3;
  for (int n = 0; n < kMostTries; ++n) {
    bool timed_out = false;
    answer = ReplayOnce(design, steps, &timed_out);
    if (!timed_out) break;
  }
  return answer;
}

}  // namespace kill9::explore
