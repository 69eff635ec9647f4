// What an explored schedule did, step by step, as another program can do it again: the accesses of
// each participant to the segment in their order, its calls, its death; and what came of it.
#ifndef KILL9_HARNESS_EXPLORE_SHIPPED_STEPS_H_
#define KILL9_HARNESS_EXPLORE_SHIPPED_STEPS_H_

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/explore/runtime/question.h"
#include "harness/result/verdict.h"

namespace kill9::explore {

struct PlannedStep {
  int participant = 0;
  AccessKind kind = AccessKind::kRead;
  uint64_t offset =
      0;  // in the segment; of a death: of the mutex that it was about to take or leave
  uint64_t bytes = 0;    // of an access; 0: it is none
  uint64_t value = 0;    // read, or written; of a death: how many robust mutexes it had
  uint64_t written = 0;  // of an update; of kKernel: which system call it begins, if any
};

struct Steps {
  std::string variant, scenario;
  Verdict verdict = Verdict::kPass;
  bool cut_off = false;  // a participant saw in the middle that something is wrong
  std::vector<PlannedStep> steps;
  std::string told;  // Scene::Told
  // The segment: number and value of each word that is not zero.
  using Words = std::vector<std::pair<uint64_t, uint64_t>>;
  Words words;                    // after the judgement
  std::vector<Words> at_deaths;   // of each death, in their order
  std::vector<uint64_t> mutexes;  // offsets
};

void Write(const Steps& steps, std::ostream& to);
// The next ones. Nothing: there is no more, or it is none.
std::optional<Steps> ReadSteps(std::istream& from);

// What became of it in the shipped program.
struct ShippedAnswer {
  enum Kind : uint8_t {
    kSame,      // the same verdict; where nothing was wrong, the same answers and bytes, too
    kOther,     // `how` tells what is different
    kDiverged,  // the processes could not be led through the schedule: nothing is known
    kDivided,   // it does in one step what the schedule divides: `how` tells what
  } kind = kDiverged;
  std::string how;
  Finding finding;  // of the shipped program
  uint64_t instructions = 0;
};

void Write(const ShippedAnswer& answer, std::ostream& to);
std::optional<ShippedAnswer> ReadAnswer(std::istream& from);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SHIPPED_STEPS_H_
