// How a cell makes its starting state: through a scene, holders that live or die, a victim that
// left its work half done; and the runs without kills that come before any result is believed.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "harness/sweep/runner.h"

namespace kill9::sweep {

using stepper::ForkAs;
using stepper::KillAndReap;
using stepper::Tracee;

bool Runner::Prepare() {
  if (variant_ == nullptr) {
    Error("there is no variant '%s'", area_.request.variant);
    return false;
  }
  absl::StatusOr<std::unique_ptr<Scene>> scene = MakeScene(*variant_, request().state);
  if (!scene.ok()) {
    Error("%s", std::string(scene.status().message()).c_str());
    return false;
  }
  scene_ = *std::move(scene);
  if (scene_->keys.size() > CellSharedMemory::kMostKeys) {
    Error("the state has %zu keys, more than the sweep can follow", scene_->keys.size());
    return false;
  }
  std::string directory;
  if (variant_->traits().needs_name) directory = *Segment::DirectoryOf(scene_->options.location);
  stepper::SharedBytes& shared = stepper_.shared();
  if (absl::Status opened =
          shared.Open(scene_->segment->base(), scene_->segment->size(), directory);
      !opened.ok()) {
    Error("%s", std::string(opened.message()).c_str());
    return false;
  }
  if (creating()) shared.WatchName(scene_->created_name);
  if (shared.has_files()) prctl(PR_SET_CHILD_SUBREAPER, 1);  // of a judge's remote_survivor
  base_.emplace(shared.snapshot_bytes());
  return MakeStartingState() && ReadEntries() && RunWithoutKills();
}

bool Runner::MakeStartingState() {
  stepper_.Save(base_->data());
  if (scene_->state == StateKind::kHalfDonePut && !HalfDone(OperationKind::kPutLarger))
    return false;
  if (scene_->state == StateKind::kHalfDoneErase && !HalfDone(OperationKind::kErase)) return false;
  if (scene_->hold_dead > 0 && !StartHolder(kHolderPid, false)) return false;
  if (scene_->hold_live > 0 && !StartHolder(kHolderPid, true)) return false;
  if (scene_->all_participants_dead && !FillWithDead()) return false;
  stepper_.Save(base_->data());
  return !failed();
}

// A victim that dies in the middle: of its distinct states, not of its instructions, so that it has
// begun.
bool Runner::HalfDone(OperationKind operation) {
  scene_->entries[scene_->target] = {true, scene_->target + 1, scene_->value_bytes, kAbsent};
  VictimRun run = RunOfOne(operation);
  run.tracee[0].number = 1;
  run.judged = false;
  Trace trace;
  if (!TraceRepeatably(run, trace)) return false;
  const stepper::Snapshot left = NewSnapshot();
  const uint32_t middle = trace.state(trace.state_count() / 2).first;
  if (!KillAndLeave(run, trace, middle, left.data())) return false;
  stepper_.Restore(left.data());
  return !failed();
}

// One died in the middle of a put, the others with what they held.
bool Runner::FillWithDead() {
  if (!HalfDone(OperationKind::kPutLarger)) return false;
  const ParticipantTable table = scene_->segment->participants();
  const uint32_t slots = scene_->options.max_participants;  // those of recoverers stay free
  for (uint32_t slot = 1; slot < slots; ++slot) {
    if (!StartHolder(kHolderPid + static_cast<pid_t>(slot), false)) return false;
  }
  // What this state is for: no slot is free, and each is a dead one's that nobody has recovered. To
  // ask is to notice, so what the asking changes is put back.
  stepper_.Save(base_->data());
  for (uint32_t slot = 0; slot < slots; ++slot) {
    uint32_t generation = 0;
    if (table.MarkIfDead(slot, &generation)) continue;
    Error("participant slot %u of %u is not taken by a dead one", slot, slots);
    return false;
  }
  stepper_.Restore(base_->data());
  return true;
}

bool Runner::StartHolder(pid_t pid, bool lives) {
  stage_->ready.store(0, std::memory_order_relaxed);  // the fork orders it
  pid_t child = ForkAs(pid);
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<Store>> store = variant_->Attach(scene_->segment);
    if (!store.ok()) _exit(1);
    absl::StatusOr<PinnedValue> pin = (*store)->Pin(scene_->keys[scene_->target]);
    // A draft besides, where there is room for one; a design without pins still has a participant.
    absl::StatusOr<Draft> draft = absl::UnimplementedError("");
    if (scene_->all_participants_dead) {
      draft = (*store)->Reserve(scene_->keys[scene_->target], scene_->value_bytes);
    } else if (!pin.ok()) {
      _exit(1);
    }
    stage_->ready.store(1, std::memory_order_release);
    while (true) pause();
  }
  if (!WaitReady(child)) {
    KillAndReap(child);
    Error(scene_->all_participants_dead ? "no participant could attach"
                                        : "no participant could pin the target");
    return false;
  }
  if (lives) {
    holder_ = child;
  } else {
    KillAndReap(child);
  }
  orders_.live_holders = lives ? 1 : 0;
  return true;
}

// What the keys hold at the start, as a survivor finds it; then everything is put back.
bool Runner::ReadEntries() {
  if (!creating()) {
    JudgeRequest orders = orders_;
    orders.only_read = true;
    Judgement answer = JudgeNow(orders);
    if (answer.verdict != Verdict::kPass) {
      Fail({Mode::kKill, Plan::kWorkFirst, {kNowhere, kNowhere, kNowhere}}, nullptr, 0, answer);
      Error("the starting state is not sound, without any kill: %s", answer.message);
      return false;
    }
    DismissJudge();  // it does not know these entries
    std::copy_n(stage_->read_back, scene_->keys.size(), scene_->entries.begin());
  }
  stepper_.Restore(base_->data());
  return true;
}

bool Runner::RunWithoutKills() {
  const OperationKind operation = request().operation;
  std::optional<Entry> effect = EffectOf(*scene_, operation, kVictimId);
  orders_.held_blocks_at_end = -1;
  for (Plan plan : {Plan::kWorkFirst, Plan::kRecoverFirst, Plan::kLookFirst}) {
    for (bool with_victim : {false, true}) {
      JudgeRequest orders = orders_;
      orders.plan = plan;
      stepper_.Restore(base_->data());
      if (effect.has_value() && with_victim) {
        orders.alternatives = 1;
        orders.alternative[0] = {scene_->Subject(operation), *effect};
      }
      if (with_victim) {
        // Whether the operation succeeds is asked first: a full store may refuse it.
        stepper::Stepper::Standing standing;
        const VictimRun run = RunOfOne(operation);
        if (!stepper_.Ready(
                run, [] {}, &standing))
          return false;
        Tracee& victim = standing.subject();
        bool ended = victim.Continue() == Tracee::Stop::kTrap &&
                     victim.Continue() == Tracee::Stop::kExited && stage_->victim_done;
        if (!ended) {
          standing.KillAll();
          Error("without any kill, the victim did not finish: %s", stage_->victim_message);
          return false;
        }
        if (stage_->victim_status != absl::StatusCode::kOk) {
          effect.reset();
          orders.alternatives = 0;
        }
        orders.must_happen = orders.alternatives > 0 || (creating() && stage_->victim_done);
      }
      Judgement answer = JudgeNow(orders);
      if (answer.verdict != Verdict::kPass) {
        Fail({Mode::kKill, plan, {kNowhere, kNowhere, kNowhere}}, nullptr, 0, answer);
        Error("without any kill: %s", answer.message);
        return false;
      }
      if (!with_victim) orders_.held_blocks_at_end = stage_->report.held_blocks_at_end;
    }
  }
  if (effect.has_value()) {
    orders_.alternatives = 1;
    orders_.alternative[0] = {scene_->Subject(operation), *effect};
  }
  stepper_.Restore(base_->data());
  return true;
}

}  // namespace kill9::sweep
