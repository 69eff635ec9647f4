// A schedule in one line, independent of how it was found: who runs up to which of its own steps,
// who dies, and when the kernel and the store buffers do their part.
//
//     a17.b9.!a.~a.b30
//
//     a17.b9.a20=2.b30
//
// Participant a makes 17 steps (an access to the segment, a call, a return: each is one), b 9, a is
// killed, the kernel does one thing for it, b goes on to its 30th step. `^a`: one store of a's
// buffer reaches the segment. `a20=2`: a goes on to its 20th step, which takes up not
// the newest store but the second before it. What follows the last of these is as if nothing ever
// happened by chance: whoever runs goes on, then the next.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_TOKEN_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_TOKEN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

struct Part {
  Move move;
  uint64_t steps = 0;  // of kRun: until it has made so many; of kPick: it is the last of so many
  bool operator==(const Part&) const = default;
};
using Schedule = std::vector<Part>;

std::string Render(const Schedule& schedule);
// Nothing: it is none.
std::optional<Schedule> ParseSchedule(std::string_view text);

// A schedule with all that it needs to be repeated, in one line:
//
//     cas_slots:put+get:sc:1:a17.b9.!a.~a.b30
//     seqlock_ring:put+get:tso:0:a17.^a.b9:w16,w22
//
// The design, the scenario, the memory model, how many may die, the schedule; and the contended
// words, since a model other than sc is about these alone.
struct Token {
  std::string variant, scenario;
  MemoryModel model = MemoryModel::kSc;
  int deaths = 0;
  Schedule schedule;
  std::vector<uint64_t> contended;
};
std::string Render(const Token& token);
std::optional<Token> ParseToken(std::string_view text);

// Writes down what another chooser chooses.
class Recorder : public Chooser {
 public:
  Recorder(Chooser& chooser, const Machine& machine) : chooser_(chooser), machine_(machine) {}
  int Choose(const Question& question) override;
  bool WantsState() const override { return chooser_.WantsState(); }
  // The schedule has ended, maybe in the middle of a turn: whose it was.
  void Finish();
  const Schedule& schedule() const { return schedule_; }

 private:
  Chooser& chooser_;
  const Machine& machine_;
  Schedule schedule_;
  int last_ = kNobody;  // who was told to go on
};

// Follows a schedule. What of it cannot be done is left out. REQUIRES: the machine asks everywhere.
class Follower : public Chooser {
 public:
  Follower(const Schedule& schedule, const Machine& machine)
      : schedule_(schedule), machine_(machine) {}
  int Choose(const Question& question) override;

 private:
  int ChooseStore(const Question& question);

  const Schedule& schedule_;
  const Machine& machine_;
  size_t next_ = 0;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_TOKEN_H_
