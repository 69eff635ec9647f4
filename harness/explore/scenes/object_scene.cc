#include "harness/explore/scenes/object_scene.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "harness/checker/checker.h"
#include "harness/checker/counterexample/counterexample.h"

namespace kill9::explore {
namespace {

constexpr size_t kMostInHistory = 512;
constexpr int64_t kHourNs = 3'600'000'000'000;

}  // namespace

void CannotMake(const absl::Status& status) {
  std::fprintf(stderr, "kill9-explore: cannot make the scene: %s\n",
               std::string(status.message()).c_str());
  std::exit(kExitUsage);
}

absl::StatusOr<std::shared_ptr<Segment>> SmallestSegment(const Design& design,
                                                         SegmentOptions options) {
  absl::StatusOr<std::shared_ptr<Segment>> segment = absl::UnknownError("");
  for (uint64_t bytes = 64u << 10; !segment.ok() && bytes <= 4u << 20; bytes *= 2) {
    options.size_bytes = bytes;
    segment = design.Create(options);
  }
  // One that grows has all of its file from the beginning, and is looked at whole.
  struct stat file = {};
  const bool grows = segment.ok() && fstat((*segment)->fd(), &file) == 0 &&
                     static_cast<size_t>(file.st_size) < (*segment)->size();
  if (grows && ftruncate((*segment)->fd(), static_cast<off_t>((*segment)->size())) != 0) {
    return absl::ResourceExhaustedError("no room for all of the segment's file");
  }
  return segment;
}

ObjectScene::ObjectScene(const Design& design, const Scenario& scenario)
    : design_(design), scenario_(scenario), model_(FindModel(design.model())) {
  // They do not grow in the arena.
  before_.reserve(kMostInHistory);
  after_.reserve(kMostInHistory);
  history_.reserve(2 * kMostInHistory);
}

void* ObjectScene::operator new(size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) CannotMake(absl::ResourceExhaustedError("no memory for it"));
  return memory;
}

void ObjectScene::operator delete(void* memory, size_t bytes) { munmap(memory, bytes); }

void ObjectScene::Make() {
  Stage::Get().set_has_barrier(scenario_.kernel_has_barrier);
  MakeObject();
}

void ObjectScene::Run(int participant) {
  of_[static_cast<size_t>(participant)].count = 0;
  const std::vector<size_t>& calls = scenario_.calls[static_cast<size_t>(participant)];
  for (size_t i = 0; i < calls.size(); ++i) Do(participant, i, calls[i]);
}

size_t ObjectScene::MomentsOf(int participant) const {
  size_t moments = 0;
  for (const Operation& one : OperationsOf(participant)) moments += one.finish == kNever ? 1 : 2;
  return moments;
}

std::string ObjectScene::Told() const {
  std::string told;
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      absl::StrAppend(&told, i, ": ", static_cast<int>(one.function), " ",
                      static_cast<int>(one.outcome), " ", one.argument, " ", one.expected, " ",
                      one.result, " ", one.result_version, "\n");
    }
  }
  return told;
}

Operation& ObjectScene::Begin(int participant, const char* what, bool must_not_wait,
                              const Operation& operation) {
  Stage& stage = Stage::Get();
  stage.BeginOperation(what, must_not_wait);
  Participant& of = of_[static_cast<size_t>(participant)];
  Operation& begun = of.operations[of.count];
  begun = operation;
  begun.invoke = stage.Tick();
  begun.finish = kNever;
  begun.process = static_cast<uint32_t>(participant) + 1;
  begun.outcome = Outcome::kOpen;
  // Who is killed from here on has begun it.
  std::atomic_signal_fence(std::memory_order_release);
  ++of.count;
  return begun;
}

void ObjectScene::End(Operation& operation, Outcome outcome, uint64_t result, uint64_t version) {
  Stage& stage = Stage::Get();
  const uint64_t told = Mix(Mix(static_cast<uint64_t>(outcome), result), version);
  stage.EndOperation(Mix(told, operation.expected));
  operation.outcome = outcome;
  operation.result = result;
  operation.result_version = version;
  operation.finish = stage.Tick();
  stage.AfterOperation();
}

void ObjectScene::Join(int participant) {
  Operation asked = {};
  asked.function = Function::kRecover;  // nothing is anybody's by it
  Operation& operation = Begin(participant, "join", /*must_not_wait=*/false, asked);
  const absl::Status status = AttachAndLeave();
  const bool refused = absl::IsResourceExhausted(status);
  if (!status.ok() && !refused) FailStatus(status);
  End(operation, refused ? Outcome::kRefused : Outcome::kOk, kNothing, 0);
}

bool ObjectScene::Has(size_t call) const {
  return std::any_of(scenario_.calls.begin(), scenario_.calls.end(),
                     [call](const std::vector<size_t>& calls) {
                       return std::find(calls.begin(), calls.end(), call) != calls.end();
                     });
}

Deadline ObjectScene::AnHour() const { return Deadline::AtNs(Stage::Get().now_ns() + kHourNs); }

void ObjectScene::CheckWoken(Deadline deadline) const {
  Stage& stage = Stage::Get();
  if (!stage.Overslept(deadline.monotonic_ns())) return;
  stage.Fail(Verdict::kStuck,
             "a wake-up was lost: what an operation waited for was there, and it slept until its "
             "deadline");
}

void ObjectScene::FailStatus(const absl::Status& status) {
  Stage::Get().Fail(Verdict::kViolation,
                    absl::StrCat("an operation fails: ", std::string(status.message())));
}

void ObjectScene::Recover(int participant) {
  Operation asked = {};
  asked.function = Function::kRecover;
  Operation& operation = Begin(participant, "recover", /*must_not_wait=*/false, asked);
  const absl::Status status = object(participant).Recover().status();
  if (!status.ok()) FailStatus(status);
  End(operation, Outcome::kOk, kNothing, 0);
}

void ObjectScene::Before(const Operation& operation) {
  if (before_.size() == kMostInHistory) CannotMake(absl::InternalError("too much in its history"));
  before_.push_back(operation);
  Operation& made = before_.back();
  if (made.process == 0) made.process = kMaker;
  made.outcome = Outcome::kOk;
  made.invoke = 2 * (before_.size() - 1);
  made.finish = made.invoke + 1;
}

void ObjectScene::After(const Operation& operation) {
  const OutsideStage outside;
  Stage& stage = Stage::Get();
  after_.push_back(operation);
  Operation& looked = after_.back();
  if (looked.process == 0) looked.process = kLooker;
  looked.outcome = Outcome::kOk;
  looked.invoke = stage.Tick();
  looked.finish = stage.Tick();
}

Finding ObjectScene::CheckAudit() {
  const absl::StatusOr<AuditReport> report = object(kAuditor).Audit();
  if (!report.ok()) {
    return {Verdict::kAuditFailed, absl::StrCat("Audit: ", std::string(report.status().message()))};
  }
  if (!report->violations.empty()) return {Verdict::kAuditFailed, report->violations.front()};
  if (report->doubly_owned > 0) {
    return {Verdict::kAuditFailed, absl::StrCat(report->doubly_owned, " blocks are owned twice")};
  }
  if (report->leaked.blocks > 0) {
    return {Verdict::kLeak, absl::StrCat(report->leaked.blocks, " blocks leaked")};
  }
  if (report->held.blocks > 0) {
    return {Verdict::kLeak, absl::StrCat(report->held.blocks,
                                         " blocks are still held, though nobody is in an operation "
                                         "and the dead are recovered")};
  }
  return {};
}

Finding ObjectScene::Judge() {
  after_.clear();
  if (design_.object_traits().has_recovery) {
    if (const absl::Status status = object(kAuditor).Recover().status(); !status.ok()) {
      return {Verdict::kAuditFailed, absl::StrCat("Recover: ", std::string(status.message()))};
    }
  }
  if (design_.object_traits().has_audit) {
    if (Finding found = CheckAudit(); found.verdict != Verdict::kPass) return found;
  }
  if (Finding found = Look(); found.verdict != Verdict::kPass) return found;
  const OutsideStage outside;
  return CheckHistoryNow();
}

// The history of the schedule: what came before it, and what the auditor was shown after it.
Finding ObjectScene::CheckHistoryNow() {
  const uint64_t before = 2 * before_.size();
  history_ = before_;
  for (int i = 0; i < participants(); ++i) {
    const Participant& of = of_[static_cast<size_t>(i)];
    for (size_t n = 0; n < of.count; ++n) {
      Operation operation = of.operations[n];
      operation.invoke += before;
      if (operation.outcome == Outcome::kOpen) {
        operation.outcome = Outcome::kCrashed;
        operation.finish = Stage::Get().time_of_death(i);
      }
      operation.finish += before;
      history_.push_back(operation);
    }
  }
  for (Operation operation : after_) {
    operation.invoke += before;
    operation.finish += before;
    history_.push_back(operation);
  }
  const uint64_t hash = XXH3_64bits(history_.data(), history_.size() * sizeof(Operation));
  if (legal_.contains(hash)) return {};
  const absl::StatusOr<CheckOutcome> outcome = CheckHistory(
      *model_, history_, {.condition = Condition::kStrict, .threads = 1, .explain = true});
  if (!outcome.ok()) return {Verdict::kUndecided, std::string(outcome.status().message())};
  if (outcome->verdict == Verdict::kPass) {
    legal_.insert(hash);
    return {};
  }
  if (!outcome->counterexample.has_value()) {
    return {outcome->verdict, "the checker could not decide the history"};
  }
  return {outcome->verdict, RenderText(*outcome->counterexample, {})};
}

}  // namespace kill9::explore
