// A stretch of plain accesses of one participant in the shipped program, with nobody else between
// them in the schedule who touches these words.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "harness/explore/shipped/walk.h"

namespace kill9::explore {

// Plain reads and writes that commute with all that others do between them: the shipped program may
// make them in another order, make one of several, and do without reads. What was to be written is
// there in the end.
bool Walk::Stretch(int participant) {
  Process& process = of_[static_cast<size_t>(participant)];
  const size_t begin = process.next;
  size_t end = begin;
  for (; end < process.steps.size(); ++end) {
    if (!IsPlain(plan_.steps[process.steps[end]])) break;
    if (end > begin && OthersMind(participant, process.steps[begin], process.steps[end])) break;
  }
  const auto step_at = [&](size_t n) -> const PlannedStep& {
    return plan_.steps[process.steps[n]];
  };
  const bool dies_then = end < process.steps.size() && step_at(end).kind == AccessKind::kDeath;
  process.next = end;
  for (;;) {
    // What the dead have read is of no consequence.
    if (dies_then && HasMadeWrites(process, begin, end) && IsAsAtDeath(participant)) break;
    const Next next = Look(participant);
    // A call that the schedule does not have is about nobody else.
    const bool is_own =
        next.kind == Next::kOrdinary ||
        (next.kind == Next::kCallsKernel && next.pieces == 0 && !IsPlannedCall(process, next, end));
    if (is_own) {
      if (!Go(participant, next)) return false;
      if (process.asleep) return Diverge(participant, "it waits");
      continue;
    }
    if (next.pieces == 0) break;
    std::vector<const PlannedStep*> made = Make(participant, next, begin, end);
    size_t following = end;
    while (following < process.steps.size() && process.made[following]) ++following;
    const bool overlaps_following =
        following < process.steps.size() && Overlaps(next, step_at(following));
    // It makes several at once, or in another order.
    const bool ahead = overlaps_following && Makes(next, step_at(following)) &&
                       (!made.empty() || Unwritten(process, begin, end) != nullptr);
    if (ahead && !MakeAhead(participant, next, begin, end, made)) return false;
    const bool known = std::any_of(process.steps.begin() + static_cast<ptrdiff_t>(begin),
                                   process.steps.begin() + static_cast<ptrdiff_t>(end),
                                   [&](size_t n) { return Overlaps(next, plan_.steps[n]); });
    const bool says_nothing_new =
        !overlaps_following && (known || KnowsAlready(participant, next, begin));
    if (made.empty() && !ahead && !says_nothing_new) break;
    process.last = next.piece[0];
    if (!Go(participant, next)) return false;
    if (process.asleep) break;
  }
  const PlannedStep* const unwritten = Unwritten(process, begin, end);
  if (unwritten == nullptr) return true;
  if (dies_then) return Divide(participant, kOtherStores);
  const Next next = Look(participant);
  return Diverge(participant,
                 absl::StrFormat("it has not written what it should (+%d; %s at +%d is next)",
                                 unwritten->offset, NameOf(next), next.piece[0].begin));
}

// Whether it reads what it has touched before, and nobody else writes to that between then and the
// next time that it touches it in the schedule. What a compiler has dropped, or kept in a register,
// another one reads once more.
bool Walk::KnowsAlready(int participant, const Next& next, size_t from) const {
  const Process& process = of_[static_cast<size_t>(participant)];
  const size_t now = from < process.steps.size() ? process.steps[from] : plan_.steps.size();
  enum Touch : uint8_t { kNone, kOwn, kByOther };
  const auto touch = [&](size_t i, uint64_t byte) {
    const PlannedStep& step = plan_.steps[i];
    const bool is_event = step.kind == AccessKind::kEvent;
    if (!IsAccess(step.kind) && !is_event) return kNone;
    if (byte < step.offset || byte >= step.offset + std::max<uint64_t>(step.bytes, 1)) return kNone;
    if (step.participant == participant && !is_event) return kOwn;
    return step.kind == AccessKind::kRead ? kNone : kByOther;
  };
  for (int n = 0; n < next.pieces; ++n) {
    const Piece& piece = next.piece[n];
    if (piece.writes) return false;
    for (uint64_t byte = piece.begin; byte < piece.begin + piece.bytes; ++byte) {
      Touch before = kNone, after = kNone;
      bool changes = false;
      for (size_t i = now; i-- > 0 && before == kNone;) before = touch(i, byte);
      for (size_t i = now; i < plan_.steps.size() && after != kOwn; ++i) {
        after = touch(i, byte);
        changes |= after == kByOther;
      }
      if (before != kOwn || (changes && after == kOwn)) return false;
    }
  }
  return true;
}

bool Walk::HasMadeWrites(const Process& process, size_t begin, size_t end) const {
  for (size_t n = begin; n < end; ++n) {
    const bool writes = plan_.steps[process.steps[n]].kind == AccessKind::kWrite;
    if (writes && !process.made[n]) return false;
  }
  return true;
}

// What only loads makes no step that stores.
bool Walk::Makes(const Next& next, const PlannedStep& step) {
  return std::any_of(next.piece, next.piece + next.pieces, [&](const Piece& piece) {
    return Overlaps(piece, step) && (piece.writes || step.kind == AccessKind::kRead);
  });
}

// Whether one of these is of the same kind and place.
bool Walk::HasSame(const std::vector<const PlannedStep*>& made, const PlannedStep& step) {
  return std::any_of(made.begin(), made.end(), [&step](const PlannedStep* other) {
    return other->offset == step.offset && other->kind == step.kind;
  });
}

// Notes which of these steps the instruction makes: of several accesses of a kind to the same place
// the first that is not made yet.
std::vector<const PlannedStep*> Walk::Make(int participant, const Next& next, size_t begin,
                                           size_t end) {
  Process& process = of_[static_cast<size_t>(participant)];
  std::vector<const PlannedStep*> made;
  for (size_t n = begin; n < end; ++n) {
    const PlannedStep& step = plan_.steps[process.steps[n]];
    if (process.made[n] || !Makes(next, step) || HasSame(made, step)) continue;
    made.push_back(&step);
    process.made[n] = true;
  }
  return made;
}

// Notes what the same instruction does of later steps, though others come before them: they must
// not mind. `made`: of those before, from `begin` on.
bool Walk::MakeAhead(int participant, const Next& next, size_t begin, size_t from,
                     std::vector<const PlannedStep*>& made) {
  Process& process = of_[static_cast<size_t>(participant)];
  for (size_t n = from; n < process.steps.size(); ++n) {
    const PlannedStep& step = plan_.steps[process.steps[n]];
    if (!IsPlain(step)) return true;
    if (process.made[n]) continue;
    if (!Makes(next, step) || HasSame(made, step)) return true;
    if (OthersMind(participant, process.steps[begin], process.steps[n])) {
      return Divide(participant, "one instruction does what the schedule divides");
    }
    made.push_back(&step);
    process.made[n] = true;
  }
  return true;
}

// Whether both touch the same bytes, one of them by a write.
bool Walk::Conflict(const PlannedStep& one, const PlannedStep& other) {
  const auto touches = [](const PlannedStep& step) {
    return IsAccess(step.kind) || step.kind == AccessKind::kEvent;
  };
  // The kernel's events have no bytes: it writes to a mutex.
  const auto end = [](const PlannedStep& step) {
    return step.offset + std::max(step.bytes, kMutexWordBytes);
  };
  const bool both_read = one.kind == AccessKind::kRead && other.kind == AccessKind::kRead;
  return touches(one) && touches(other) && !both_read && one.offset < end(other) &&
         other.offset < end(one);
}

// Whether somebody else minds if the participant makes that step right after the one at `from`.
bool Walk::OthersMind(int participant, size_t from, size_t step) const {
  for (size_t i = from + 1; i < step; ++i) {
    const PlannedStep& other = plan_.steps[i];
    if (other.participant != participant && Conflict(other, plan_.steps[step])) return true;
  }
  return false;
}

// The first of these steps whose value is not there, nor what it has written over it ahead.
const PlannedStep* Walk::Unwritten(const Process& process, size_t begin, size_t end) const {
  const auto step_at = [&](size_t n) -> const PlannedStep& {
    return plan_.steps[process.steps[n]];
  };
  for (size_t n = begin; n < end; ++n) {
    const PlannedStep& step = step_at(n);
    if (step.kind != AccessKind::kWrite) continue;
    bool later = false;
    for (size_t m = n + 1; m < process.steps.size() && !later; ++m) {
      later = step_at(m).kind == AccessKind::kWrite && step_at(m).offset == step.offset &&
              (m < end || process.made[m]);
    }
    if (!later && ValueAt(step.offset, step.bytes) != AsHere(step.value)) return &step;
  }
  return nullptr;
}

}  // namespace kill9::explore
