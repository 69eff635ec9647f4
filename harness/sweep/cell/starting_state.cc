// How a cell makes its starting state: through a scene, holders that live or die, a victim that
// left its work half done; and the runs without kills that come before any result is believed.
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/namespaces/namespaces.h"
#include "harness/base/random.h"
#include "harness/base/stable_hash.h"
#include "harness/base/text/copy_text.h"
#include "harness/checker/search/shown.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/sweep/cell/runner.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9::sweep {

using stepper::ForkAs;
using stepper::KillAndReap;
using stepper::Tracee;

namespace {

// Of an operation that completed.
bool HadEffect(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  const bool was_there = row.result != Field::kWasThere || operation.result != 0;
  return operation.outcome == Outcome::kOk && IsKeyed(operation.function) &&
         row.effect != Effect::kNone && was_there;
}

SegmentLocation NamedBy(std::string_view what) {
  return {SegmentKind::kNamed, SegmentNameOf(what)};
}

}  // namespace

bool Runner::Prepare() {
  if (design_ == nullptr) {
    Error("there is no variant '%s'", area_.request.variant);
    return false;
  }
  const std::string kind(design_->kind());
  std::snprintf(area_.result.kind, sizeof area_.result.kind, "%s", kind.c_str());
  driver_ = FindSweepDriver(kind);
  if (driver_ == nullptr) {
    Error("there is no sweep of objects of the kind '%s'", kind.c_str());
    return false;
  }
  const auto operation = IndexOf(driver_->operations(), request().operation);
  const auto state = IndexOf(driver_->states(), request().state);
  if (!operation.has_value() || !state.has_value()) {
    Error("objects of the kind '%s' have no operation '%s' or no state '%s'", kind.c_str(),
          request().operation, request().state);
    return false;
  }
  if (!IndexOf(driver_->operations(), second()).has_value()) {
    Error("objects of the kind '%s' have no operation '%s'", kind.c_str(),
          std::string(second()).c_str());
    return false;
  }
  // Where /dev/shm is the machine's nothing of the cell stays there, however it ends.
  if (!HasOwnSharedMemory()) {
    absl::Status watched = absl::OkStatus();
    if (design_->object_traits().needs_name) watched = scene_unlinker_.Watch(NamedBy(kSceneName));
    if (creating() && watched.ok()) watched = created_unlinker_.Watch(NamedBy(kCreatedName));
    if (!watched.ok()) {
      Error("%s", std::string(watched.message()).c_str());
      return false;
    }
  }
  if (absl::Status made = MakeScene(*operation, *state); !made.ok()) {
    Error("%s", std::string(made.message()).c_str());
    return false;
  }
  beginning_.assign(scene_->beginning().begin(), scene_->beginning().end());
  stage_->history.time = beginning_.empty() ? 0 : beginning_.back().finish;
  std::string directory;
  if (design_->object_traits().needs_name) {
    directory = *Segment::DirectoryOf(scene_->options().location);
  }
  stepper::SharedBytes& shared = stepper_.shared();
  Segment& segment = *scene_->segment();
  if (absl::Status opened = shared.Open(segment.base(), segment.size(), directory); !opened.ok()) {
    Error("%s", std::string(opened.message()).c_str());
    return false;
  }
  if (creating()) {
    const std::string name = SegmentNameOf(kCreatedName);
    name.copy(to_judge_.created_name, sizeof to_judge_.created_name - 1);
    shared.WatchName(name);
  }
  if (shared.has_files()) prctl(PR_SET_CHILD_SUBREAPER, 1);  // of a judge's remote survivor
  base_.emplace(shared.snapshot_bytes());
  BuildVictims();
  return MakeStartingState() && RunWithoutKills();
}

absl::Status Runner::MakeScene(uint32_t operation, uint32_t state) {
  const uint32_t fields = driver_->shape_fields();
  const auto make = [&](SweepShape shape) {
    absl::StatusOr<std::unique_ptr<Scene>> scene =
        driver_->MakeScene(*design_, operation, state, shape);
    if (!scene.ok()) return scene.status();
    scene_ = *std::move(scene);
    if (!scene_->making().half_done.has_value()) shape.died = 0;
    died_ = shape.died;
    if (fields != 0) CopyText(SweepShapeText(shape), area_.result.shape);
    return absl::OkStatus();
  };
  const std::string_view asked = request().shape;
  const std::string cell = absl::StrCat(request().variant, request().operation, request().state);
  if (asked.empty() || fields == 0) {
    // Of the few cells that a mode is sampled in, some stand beside another death than the usual.
    Random random(request().seed, StableHash("death " + cell));
    const bool draws = fields != 0 && request().samples_mode != 0;
    return make({.died = draws ? DrawDeath(random) : 0});
  }
  if (asked != shape_text::kDrawn) {
    const absl::StatusOr<SweepShape> shape = ParseSweepShape(asked, fields);
    return shape.ok() ? make(*shape) : shape.status();
  }
  // One that is drawn may be none that the state can be made in, or that the design takes: another
  // is drawn then, and at last the usual one.
  constexpr int kDraws = 20;
  // A slot that is the victim's, or a dead one's, is to have the next owner.
  const bool has_dead = !request().reuse && !request().resume;
  Random random(request().seed, StableHash("shape " + cell));
  for (int draw = 0; draw < kDraws; ++draw) {
    if (make(DrawSweepShape(random, fields, has_dead)).ok()) return absl::OkStatus();
  }
  return make({});
}

bool Runner::MakeStartingState() {
  const Scene::Making making = scene_->making();
  stepper_.Save(base_->data());
  if (making.half_done.has_value() && !HalfDone(*making.half_done)) return false;
  if (making.dead_holder && !StartHolder(kHolderPid, false)) return false;
  if (making.live_holder && !StartHolder(kHolderPid, true)) return false;
  if (making.all_participants_dead && !FillWithDead()) return false;
  for (uint32_t n = 0; n < making.dead_beside; ++n) {
    if (!StartHolder(kDeadBesidePid + static_cast<pid_t>(n), false, &Scene::HoldUnseen)) {
      return false;
    }
  }
  stepper_.Save(base_->data());
  return !failed();
}

// A victim that dies in the middle, or where the shape says: of its distinct states, not of its
// instructions, so that it has begun.
bool Runner::HalfDone(uint32_t operation) {
  constexpr uint32_t kNumber = kMostVictims - 1;
  VictimRun run = RunOfOne(driver_->operations()[operation]);
  run.tracee[0].number = kNumber;
  run.judged = false;
  Trace trace;
  if (!TraceRepeatably(run, trace)) return false;
  const stepper::Snapshot left = NewSnapshot();
  const uint32_t state = trace.state_count() * (died_ == 0 ? 500 : died_) / 1000;
  if (!KillAndLeave(run, trace, trace.state(state).first, left.data())) return false;
  for (const Operation& died : stage_->history.VictimLog(kNumber).operations()) {
    beginning_.push_back(died);
  }
  stepper_.Restore(left.data());
  return !failed();
}

// One died in the middle of its operation, the others with what they held.
bool Runner::FillWithDead() {
  const ParticipantTable table = scene_->segment()->participants();
  const uint32_t slots = scene_->options().max_participants;  // those of recoverers stay free
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

bool Runner::StartHolder(pid_t pid, bool lives,
                         std::shared_ptr<void> (Scene::*hold)(SharedObject&) const) {
  stage_->ready.store(0, std::memory_order_relaxed);  // the fork orders it
  pid_t child = ForkAs(pid);
  if (child == 0) {
    std::vector<std::unique_ptr<SharedObject>> idle(lives ? scene_->making().idle : 0);
    for (std::unique_ptr<SharedObject>& one : idle) {
      absl::StatusOr<std::unique_ptr<SharedObject>> attached = scene_->AttachHolder();
      if (!attached.ok()) _exit(1);
      one = *std::move(attached);
    }
    absl::StatusOr<std::unique_ptr<SharedObject>> object = scene_->AttachHolder();
    if (!object.ok()) _exit(1);
    const std::shared_ptr<void> held = ((*scene_).*hold)(**object);
    if (held == nullptr) _exit(1);
    stage_->ready.store(1, std::memory_order_release);
    while (true) pause();
  }
  if (!WaitReady(child)) {
    KillAndReap(child);
    Error("no participant could attach and hold what the state needs");
    return false;
  }
  if (lives) {
    holder_ = child;
  } else {
    KillAndReap(child);
  }
  if (lives) to_judge_.live_holders = 1 + scene_->making().idle;
  return true;
}

// Whether the operation succeeds is asked first: a full object may refuse it.
bool Runner::RunWithoutKill(Plan plan, bool with_victim) {
  const VictimRun run = RunOfOne(request().operation);
  JudgeRequest to_judge = to_judge_;
  to_judge.plan = plan;
  stepper_.Restore(base());
  BeginHistory(run);
  if (with_victim) {
    stepper::Stepper::Standing standing;
    if (!stepper_.Ready(
            run, [] {}, &standing))
      return false;
    Tracee& victim = standing.subject();
    const bool ended = victim.Continue() == Tracee::Stop::kTrap &&
                       victim.Continue() == Tracee::Stop::kExited && stage_->victim_done;
    if (!ended) {
      standing.KillAll();
      Error("without any kill, the victim did not finish: %s", stage_->victim_message);
      return false;
    }
    const std::span<Operation> recorded = stage_->history.VictimLog(0).operations();
    if (!recorded.empty()) {
      // The one that was announced last; what else is told of it has its call's time and follows
      // it.
      to_judge_.completed = *std::max_element(
          recorded.begin(), recorded.end(),
          [](const Operation& a, const Operation& b) { return a.invoke < b.invoke; });
      // Another one each time, if versions are of a clock.
      if (to_judge_.completed.outcome == Outcome::kOk) to_judge_.completed.result_version = 0;
    }
    to_judge.completed = to_judge_.completed;
    to_judge.returned = true;
  }
  const Judgement judgement = JudgeNow(to_judge);
  if (judgement.verdict != Verdict::kPass) {
    Fail({Mode::kKill, plan, {kNowhere, kNowhere, kNowhere}}, nullptr, 0, judgement);
    Error("without any kill: %s", judgement.message);
    return false;
  }
  if (!with_victim) to_judge_.held_blocks_at_end = stage_->report.held_blocks_at_end;
  return true;
}

bool Runner::RunWithoutKills() {
  to_judge_.completed.outcome = Outcome::kOpen;
  for (Plan plan : {Plan::kWorkFirst, Plan::kRecoverFirst, Plan::kLookFirst}) {
    to_judge_.held_blocks_at_end = -1;
    if (!RunWithoutKill(plan, false) || !RunWithoutKill(plan, true)) return false;
  }
  has_effect_ = HadEffect(to_judge_.completed);
  stepper_.Restore(base());
  return !failed();
}

}  // namespace kill9::sweep
