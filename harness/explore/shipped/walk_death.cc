// How a participant dies in the shipped program: where nothing that it leaves is other than in the
// schedule.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "harness/explore/shipped/walk.h"

namespace kill9::explore {

using stepper::Tracee;

// What the segment is like when the participant dies.
void Walk::ChooseWordsAtDeath(int participant, const Steps::Words& words) {
  std::vector<bool> of_others(watched_.size());
  for (const PlannedStep& step : plan_.steps) {
    const bool writes = step.kind == AccessKind::kWrite || step.kind == AccessKind::kUpdate ||
                        step.kind == AccessKind::kEvent;
    if (step.participant != participant && writes) of_others[step.offset / 8] = true;
  }
  std::vector<std::pair<uint64_t, uint64_t>>& all = of_[static_cast<size_t>(participant)].at_death;
  auto planned = words.begin();
  for (uint64_t word = 0; word + 1 < watched_.size(); ++word) {
    const bool is_zero = planned == words.end() || planned->first != word;
    const uint64_t value = is_zero ? 0 : (planned++)->second;
    const bool of_mutex =
        std::any_of(plan_.mutexes.begin(), plan_.mutexes.end(), [word](uint64_t mutex) {
          return word >= mutex / 8 && word < mutex / 8 + sizeof(pthread_mutex_t) / 8;
        });
    if (!of_others[word] && !of_mutex) all.emplace_back(word, AsHere(value));
  }
}

// The segment, but for what others write to, and its list of robust mutexes are as they were in the
// schedule.
bool Walk::IsAsAtDeath(int participant) {
  const Process& process = of_[static_cast<size_t>(participant)];
  lacks_ = "it dies elsewhere";
  if (scene_.MomentsOf(participant) != process.marks) return false;
  lacks_ = kOtherStores;
  const auto* const memory = reinterpret_cast<const uint64_t*>(scene_.memory().data());
  for (const auto& [word, value] : process.at_death) {
    if (memory[word] != value) return false;
  }
  lacks_ = "it has other robust mutexes when it dies";
  robust_list_head* head = nullptr;
  size_t bytes = 0;
  const Tracee& tracee = processes_.tracee(participant);
  if (syscall(SYS_get_robust_list, tracee.pid(), &head, &bytes) != 0) return false;
  const auto at = reinterpret_cast<uint64_t>(head);
  const uint64_t to_word = tracee.Word(at + offsetof(robust_list_head, futex_offset));
  const uint64_t pending = tracee.Word(at + offsetof(robust_list_head, list_op_pending));
  const uint64_t pending_offset = pending == 0 ? kNoMutex : pending + to_word - base_;
  uint64_t held = 0;
  for (uint64_t entry = tracee.Word(at); (entry & ~uint64_t{1}) != at && held < 64;
       entry = tracee.Word(entry & ~uint64_t{1})) {
    ++held;
  }
  return held == StepOf(process).value && pending_offset == StepOf(process).offset;
}

bool Walk::GoToDeath(int participant) {
  Process& process = of_[static_cast<size_t>(participant)];
  while (!IsAsAtDeath(participant)) {
    if (process.asleep || process.ended) return Divide(participant, lacks_);
    const Next next = Look(participant);
    const bool again =
        next.kind == Next::kTouches && next.pieces == 1 && process.last.Has(next.piece[0]);
    if (again || (next.kind == Next::kTouches && KnowsAlready(participant, next, process.next))) {
      if (!RepeatAccess(participant, next)) return Divide(participant, lacks_);
      continue;
    }
    const bool goes_on = next.kind == Next::kOrdinary || (next.kind == Next::kCallsKernel &&
                                                          !next.about_others && next.pieces == 0);
    if (!goes_on) return Divide(participant, lacks_);
    if (!Go(participant, next)) return false;
  }
  process.dead = true;
  ++process.next;
  return true;
}

// The kernel does at once all that it does for the dead: nobody may look meanwhile.
bool Walk::EndDead(size_t number) {
  const int participant = plan_.steps[number].participant;
  Process& process = of_[static_cast<size_t>(participant)];
  if (!process.killed) {
    process.killed = true;
    processes_.tracee(participant).Kill();
    if (IsLookedAtMeanwhile(number)) {
      return Divide(participant, "the kernel does for the dead at once what the schedule divides");
    }
  }
  processes_.NoteDeath(participant);
  return true;
}

// Whether somebody looks between this, the first thing that the kernel does for a dead participant,
// and the last one.
bool Walk::IsLookedAtMeanwhile(size_t first) const {
  const int participant = plan_.steps[first].participant;
  const auto looks_before = [&](size_t number) {
    const PlannedStep& event = plan_.steps[number];
    return std::any_of(plan_.steps.begin() + static_cast<ptrdiff_t>(first),
                       plan_.steps.begin() + static_cast<ptrdiff_t>(number),
                       [&](const PlannedStep& other) {
                         const bool on_mutex = IsAccess(other.kind) && event.offset != 0 &&
                                               other.offset == event.offset;
                         return other.participant != participant &&
                                (other.kind == AccessKind::kKernel || on_mutex);
                       });
  };
  for (size_t i = first + 1; i < plan_.steps.size(); ++i) {
    const PlannedStep& step = plan_.steps[i];
    if (step.participant == participant && step.kind == AccessKind::kEvent && looks_before(i)) {
      return true;
    }
  }
  return false;
}

}  // namespace kill9::explore
