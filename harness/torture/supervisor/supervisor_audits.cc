// The supervisor's part that pauses the workers between their operations and has the quiet segment
// audited, by a survivor that was attached before the deaths or by a newcomer: the two may differ.
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "harness/torture/supervisor/supervisor.h"

namespace kill9 {
namespace {

constexpr uint64_t kParkPollNs = 50'000;
constexpr uint64_t kFillEvery = 8;
constexpr uint64_t kEmptyEvery = 32;

}  // namespace

AuditDepth Supervisor::NextDepth() {
  ++audits_;
  if (audits_ % kEmptyEvery == 0) return AuditDepth::kEmpty;
  if (audits_ % kFillEvery == 0) return AuditDepth::kFill;
  return AuditDepth::kAccount;
}

// Children of dead workers: none may still be inside fork, where it holds its parent's open files
// (docs/bug_classes.md, false findings: a check that runs beside live workers). It holds the end of
// its parent's pipe as well until then: no /proc is asked, whose PIDs may be another namespace's.
bool Supervisor::OrphansArePastFork() {
  std::erase_if(unborn_, [](int fd) {
    struct pollfd end {
      .fd = fd, .events = 0, .revents = 0
    };
    if (poll(&end, 1, 0) == 0) return false;
    close(fd);
    return true;
  });
  return unborn_.empty();
}

// ENSURES: true if every living worker is parked, none is stopped and none has a timer set (U3).
bool Supervisor::ParkAll() {
  parking_ = true;
  ResumeDue(MonotonicNs(), true);
  control_.pause.store(++pause_, std::memory_order_release);  // pairs with the workers' acquire
  const auto parked = [this] {
    for (uint32_t slot = 0; slot < options_.processes; ++slot) {
      // Acquire: pairs with the release in Park; nothing of the worker's is under way.
      // One that was sent SIGKILL may still get as far as to park: it must be gone (U3).
      if (slots_[slot].pid != 0 &&
          (slots_[slot].kill_sent ||
           control_.boards[slot].parked_at.load(std::memory_order_acquire) != pause_)) {
        return false;
      }
    }
    return true;
  };
  while ((!parked() || !OrphansArePastFork()) && !over()) Wait(MonotonicNs() + kParkPollNs);
  return !over();
}

void Supervisor::Audit(AuditDepth depth) {
  if (over()) return;
  ++report_.pauses;
  if (ParkAll()) {
    control_.audit_depth.store(depth, std::memory_order_relaxed);
    std::vector<uint32_t> living = Living();
    const size_t attached = living.size() + context_.of_the_supervisor();
    const bool is_full = attached >= context_.segment_options.max_participants;
    std::erase_if(living, [this](uint32_t slot) {
      // Relaxed: it is parked.
      return control_.boards[slot].cannot_audit.load(std::memory_order_relaxed) != 0;
    });
    if (living.empty() || (!is_full && random_.Chance(400))) {
      AuditByNewcomer();
    } else {
      AuditBySurvivor(living[random_.Below(living.size())]);
    }
  }
  if (over()) return;  // an audit may be under way: who is parked stays so, until the end
  parking_ = false;
  control_.pause.store(0, std::memory_order_release);  // pairs with the workers' acquire
  ChangeAndWake(control_.news);
  if (respawn_) SpawnVacant();
}

void Supervisor::AuditBySurvivor(uint32_t slot) {
  uint32_t attached = context_.of_the_supervisor();
  for (const uint32_t one : Living()) {
    attached += control_.boards[one].attached.load(std::memory_order_relaxed);
  }
  control_.expected_participants.store(attached, std::memory_order_release);
  control_.audit_slot.store(slot, std::memory_order_release);  // pairs with the worker's acquire
  ChangeAndWake(control_.news);
  while (control_.boards[slot].audited_at.load(std::memory_order_acquire) != pause_ && !over()) {
    Wait(MonotonicNs() + kParkPollNs);
  }
  if (!over()) control_.audit_slot.store(kSlots, std::memory_order_release);
}

void Supervisor::AuditByNewcomer() {
  uint32_t attached = context_.of_the_supervisor() + 1;
  for (const uint32_t one : Living()) {
    attached += control_.boards[one].attached.load(std::memory_order_relaxed);
  }
  control_.expected_participants.store(attached, std::memory_order_release);
  Spawn(kAuditorSlot);
  while (slots_[kAuditorSlot].pid != 0 && !over()) Wait(MonotonicNs() + kParkPollNs);
}

}  // namespace kill9
