#include "harness/explore/search/choosers.h"

#include <algorithm>
#include <bit>

namespace kill9::explore {

// ---- Exhaustive ---------------------------------------------------------------------------------

bool Exhaustive::IsPreemption(const Question& question, size_t choice) const {
  const Move own{MoveKind::kRun, static_cast<int8_t>(question.running)};
  const Move move = question.moves[choice];
  return question.moves[0] == own && move.kind == MoveKind::kRun && move != own;
}

int Exhaustive::Choose(const Question& question) {
  if (depth_ < path_.size()) {
    const bool has_state = WantsState();
    const Node& node = path_[depth_++];
    unsteady_ |= has_state && node.state != question.state;
    unsteady_ |= node.count != question.moves.size();
    if (unsteady_) return kAbandon;
    if (preemptions_ != kUnbounded && !question.inside_turn && !question.ended &&
        IsPreemption(question, node.chosen)) {
      ++preempted_;
    }
    return node.chosen;
  }
  if (!question.inside_turn) {
    uint64_t key = question.state + (question.ended ? 1 : 0);
    if (preemptions_ != kUnbounded && !question.ended) {
      key = Mix(key, static_cast<uint64_t>(preempted_) * 16 +
                         static_cast<uint64_t>(question.running + 1));
    }
    if (!seen_.insert(key).second) return kAbandon;
  }
  if (question.ended) return 0;
  uint32_t moves = (uint32_t{1} << question.moves.size()) - 1;
  if (preemptions_ != kUnbounded && !question.inside_turn && preempted_ == preemptions_) {
    for (size_t i = 0; i < question.moves.size(); ++i) {
      if (IsPreemption(question, i)) moves &= ~(uint32_t{1} << i);
    }
  }
  const int chosen = std::countr_zero(moves);
  if (preemptions_ != kUnbounded && !question.inside_turn &&
      IsPreemption(question, static_cast<size_t>(chosen))) {
    ++preempted_;
  }
  path_.push_back({question.state, moves & (moves - 1), static_cast<uint8_t>(chosen),
                   static_cast<uint8_t>(question.moves.size())});
  ++depth_;
  return chosen;
}

bool Exhaustive::Next() {
  while (!path_.empty() && path_.back().left == 0) path_.pop_back();
  if (path_.empty()) return false;
  Node& node = path_.back();
  node.chosen = static_cast<uint8_t>(std::countr_zero(node.left));
  node.left &= node.left - 1;
  return true;
}

void Exhaustive::Restart() {
  path_.clear();
  seen_.clear();
}

// ---- Random -------------------------------------------------------------------------------------

void Random::Begin() {
  most_questions_ = std::max(most_questions_, questions_);
  most_chances_ = std::max(most_chances_, chances_to_die_);
  questions_ = chances_to_die_ = 0;
  for (uint64_t& priority : priority_) priority = random_() | 1;
  lowered_at_.clear();
  dies_at_.clear();
  for (Own& own : own_) {
    own.most_questions = std::max(own.most_questions, own.questions);
    own.questions = 0;
    // Some of them are not.
    own.lowered_at = Below(own.most_questions + own.most_questions / 2 + 1);
  }
  switch (schedules_ % 7) {
    case 4:
      manner_ = Manner::kFreshPriorities;
      break;
    case 5:
      manner_ = Manner::kSticky;
      break;
    case 6:
      manner_ = Manner::kOwnPlaces;
      break;
    default:
      manner_ = Manner::kPriorities;
      for (uint64_t depth = schedules_ % 7 + 2; depth > 1; --depth) {
        lowered_at_.push_back(Below(most_questions_));
      }
  }
  if (deaths_ > 0) {
    const uint64_t deaths = Below(static_cast<uint64_t>(deaths_) + 1);
    for (uint64_t i = 0; i < deaths; ++i) dies_at_.push_back(Below(most_chances_));
  }
  ++schedules_;
}

// Below all that were not lowered; of those that were, any.
void Random::LowerAt(uint64_t now, size_t own) {
  constexpr uint64_t kLowered = 1u << 20;
  const uint64_t own_now = own_[own].questions++;
  if (manner_ == Manner::kOwnPlaces) {
    if (own_now == own_[own].lowered_at) priority_[own] = Below(kLowered);
  } else if (std::find(lowered_at_.begin(), lowered_at_.end(), now) != lowered_at_.end()) {
    priority_[own] = now % 2;
  }
}

bool Random::WantsNovelty() {
  const uint64_t kind = schedules_ % 3;
  return kind == 1 || (kind == 2 && Below(2) == 0);
}

int Random::ChooseStore(const Question& question) {
  if (question.novel != 0 && WantsNovelty()) {
    uint32_t novel = question.novel;
    for (uint64_t skip = Below(static_cast<uint64_t>(std::popcount(novel))); skip > 0; --skip) {
      novel &= novel - 1;
    }
    return std::countr_zero(novel);
  }
  const bool mostly_newest = schedules_ % 2 == 0;
  if (mostly_newest && Below(8) != 0) return 0;
  return static_cast<int>(Below(question.moves.size()));
}

int Random::Choose(const Question& question) {
  if (question.ended) return judged_.insert(question.state).second ? 0 : kAbandon;
  if (question.moves[0].kind == MoveKind::kPick) return ChooseStore(question);
  const uint64_t now = questions_++;
  std::array<int, 32> kills;
  int kill_count = 0;
  for (size_t i = 0; i < question.moves.size(); ++i) {
    if (question.moves[i].kind == MoveKind::kKill) kills[kill_count++] = static_cast<int>(i);
  }
  if (kill_count > 0) {
    const uint64_t chance = chances_to_die_++;
    if (std::find(dies_at_.begin(), dies_at_.end(), chance) != dies_at_.end()) {
      return kills[Below(static_cast<uint64_t>(kill_count))];
    }
  }
  const int own = static_cast<int>(question.running);
  if (own >= 0 && own < kMostParticipants) LowerAt(now, static_cast<size_t>(own));
  int best = kAbandon;
  uint64_t best_priority = 0;
  int choices = 0;
  for (size_t i = 0; i < question.moves.size(); ++i) {
    const Move move = question.moves[i];
    if (move.kind == MoveKind::kKill) continue;
    ++choices;
    uint64_t priority = priority_[static_cast<size_t>(ActorOf(move))];
    if (manner_ == Manner::kSticky) {
      priority = move == Move{MoveKind::kRun, static_cast<int8_t>(own)} && Below(8) != 0
                     ? UINT64_MAX
                     : random_();
    }
    if (best == kAbandon || priority > best_priority) {
      best = static_cast<int>(i);
      best_priority = priority;
    }
  }
  if (choices == 0) return kills[0];
  if (manner_ == Manner::kFreshPriorities) {
    priority_[static_cast<size_t>(ActorOf(question.moves[static_cast<size_t>(best)]))] =
        random_() | 1;
  }
  return best;
}

}  // namespace kill9::explore
