// How schedules are chosen: all of them, or some at random.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_CHOOSERS_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_CHOOSERS_H_

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "harness/explore/runtime/machine.h"

namespace kill9::explore {

// Depth first, each state once: what follows an equal state is known.
class Exhaustive : public Chooser {
 public:
  static constexpr int kUnbounded = -1;
  explicit Exhaustive(int preemptions) : preemptions_(preemptions) {}

  int Choose(const Question& question) override;
  // Of the last place that is known, and of what follows it.
  bool WantsState() const override { return depth_ + 1 >= path_.size(); }
  // Goes on to the next schedule. False: there is none.
  bool Next();
  // Before each schedule.
  void Begin() { depth_ = 0, preempted_ = 0; }
  void Restart();
  uint64_t states() const { return seen_.size(); }
  // A schedule did not repeat its own beginning: the scene depends on something that is not reset.
  bool unsteady() const { return unsteady_; }

 private:
  struct Node {
    uint64_t state;
    uint32_t left;  // a bit for each move that is not yet taken
    uint8_t chosen;
    uint8_t count;
  };
  bool IsPreemption(const Question& question, size_t choice) const;

  int preemptions_;
  std::vector<Node> path_;
  size_t depth_ = 0;
  int preempted_ = 0;
  bool unsteady_ = false;
  absl::flat_hash_set<uint64_t> seen_;
};

// At random, in one of several ways that find different things:
//   PCT (Burckhardt et al. 2010): random priorities, lowered at a few random places
//   the same, each lowered at a place of its own: who is overtaken by several whole calls of others
//   (a late recoverer, and the next owner of the slot, who stops as well)
//   POS (Yuan et al. 2018): a random priority for each access, drawn anew when it is overtaken
//   a sticky walk: whoever runs goes on, mostly
// Which store an access takes up under c11: the newest but for one in eight, or each as likely.
// Where one memory order is weaker than it is written, in two schedules of three mostly one that it
// has brought: all other schedules would be there without it.
// Deaths come at random places among those where one was possible in earlier schedules.
class Random : public Chooser {
 public:
  Random(uint64_t seed, int deaths) : random_(seed), deaths_(deaths) {}
  int Choose(const Question& question) override;
  void Begin();
  // What the auditor has looked at once says nothing new: abandons it at the end.
  uint64_t states() const { return judged_.size(); }

 private:
  enum class Manner : uint8_t { kPriorities, kOwnPlaces, kFreshPriorities, kSticky };
  static constexpr int kActors = 4 * kMostParticipants;
  int ChooseStore(const Question& question);
  bool WantsNovelty();
  static int ActorOf(Move move) {
    return static_cast<int>(move.kind) * kMostParticipants + move.fiber;
  }
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  void LowerAt(uint64_t now, size_t own);

  std::mt19937_64 random_;
  int deaths_;
  Manner manner_ = Manner::kPriorities;
  std::array<uint64_t, kActors> priority_ = {};
  uint64_t schedules_ = 0;
  // Of the present schedule, and the most of earlier ones.
  uint64_t questions_ = 0, most_questions_ = 1;
  uint64_t chances_to_die_ = 0, most_chances_ = 1;
  std::vector<uint64_t> lowered_at_, dies_at_;
  // The same of each participant's own questions.
  struct Own {
    uint64_t questions = 0, most_questions = 1, lowered_at = 0;
  };
  std::array<Own, kMostParticipants> own_;
  absl::flat_hash_set<uint64_t> judged_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_CHOOSERS_H_
