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
constexpr size_t kMostCallsOfAKind = 64;   // that a kind has
constexpr size_t kMostOfAParticipant = 8;  // operations of a scenario
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
  for (int i = 0; i < participants(); ++i) own_[static_cast<size_t>(i)] = &object(i);
  guest_ = {};
  if (scenario_.drawn != 0) MakePast();
  NoteBeginning();
}

uint64_t ObjectScene::PickOf(uint64_t aspect, uint64_t count) const {
  return scenario_.drawn == 0 ? 0 : Mix(Mix(scenario_.drawn, aspect), count) % count;
}

// A few calls of the participants, one after another.
void ObjectScene::MakePast() {
  enum : uint64_t { kCount = 1000, kWho = 1100, kWhich = 1200 };
  std::vector<size_t> calls;
  for (size_t call = 0; call < kMostCallsOfAKind; ++call) {
    if (MayComeBefore(call)) calls.push_back(call);
  }
  const uint64_t count = PickOf(kCount, kMostBefore + 1);
  for (uint64_t i = 0; i < count; ++i) {
    const int who = static_cast<int>(PickOf(kWho + i, scenario_.calls.size()));
    const size_t call = calls[PickOf(kWhich + i, calls.size())];
    // After the numbers that a schedule's operations can have.
    const uint64_t number = kMostOfAParticipant + i;
    Stage::Get().As(who, static_cast<int>(kCallBefore + number * kMostCallsOfAKind + call));
    for (const Operation& done : OperationsOf(who)) Before(done);
  }
}

void ObjectScene::Act(int participant, int what) {
  if (what < kCallBefore) return Prepare(participant, what);
  const auto call = static_cast<size_t>(what - kCallBefore);
  is_past_ = true;
  of_[static_cast<size_t>(participant)].count = 0;
  Do(participant, call / kMostCallsOfAKind, call % kMostCallsOfAKind);
  is_past_ = false;
}

void ObjectScene::Run(int participant) {
  const auto i = static_cast<size_t>(participant);
  of_[i].count = 0;
  guest_[i] = 0;
  Use(participant, own_[i]);
  DoFrom(participant, 0);
}

void ObjectScene::DoFrom(int participant, size_t number) {
  const std::vector<size_t>& calls = scenario_.calls[static_cast<size_t>(participant)];
  for (size_t i = number; i < calls.size(); ++i) {
    Do(participant, i, calls[i]);
    if (DoesTheRest(calls[i])) return;
  }
}

void ObjectScene::DoAfter(int participant, size_t number) {
  if (!is_past_) DoFrom(participant, number + 1);
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
      // Who dies between its last access and its return may have written that down, or not.
      const uint64_t expected = one.finish == kNever ? 0 : one.expected;
      absl::StrAppend(&told, i, ": ", static_cast<int>(one.function), " ",
                      static_cast<int>(one.outcome), " ", one.argument, " ", expected, " ",
                      one.result, " ", one.result_version, "\n");
    }
  }
  return told;
}

Operation& ObjectScene::Begin(int participant, const char* what, bool must_not_wait,
                              const Operation& operation) {
  Stage& stage = Stage::Get();
  if (!is_past_) stage.BeginOperation(what, must_not_wait);
  return Append(participant, operation, stage.Tick());
}

Operation& ObjectScene::BeginBeside(int participant, const Operation& operation) {
  const Participant& of = of_[static_cast<size_t>(participant)];
  return Append(participant, operation, of.operations[of.count - 1].invoke);
}

Operation& ObjectScene::Append(int participant, const Operation& operation, uint64_t invoke) {
  Participant& of = of_[static_cast<size_t>(participant)];
  Operation& begun = of.operations[of.count];
  begun = operation;
  begun.invoke = invoke;
  begun.finish = kNever;
  begun.process = ProcessAtPresent(participant);
  begun.outcome = Outcome::kOpen;
  // Who is killed from here on has begun it.
  std::atomic_signal_fence(std::memory_order_release);
  ++of.count;
  return begun;
}

void ObjectScene::End(Operation& operation, Outcome outcome, uint64_t result, uint64_t version) {
  Stage& stage = Stage::Get();
  const uint64_t told = Mix(Mix(static_cast<uint64_t>(outcome), result), version);
  if (!is_past_) stage.EndOperation(Mix(told, operation.expected));
  operation.outcome = outcome;
  operation.result = result;
  operation.result_version = version;
  operation.finish = stage.Tick();
  if (!is_past_) stage.AfterOperation();
}

void ObjectScene::EndBeside(Operation& first, size_t number, uint64_t result, uint64_t version) {
  Operation& beside = (&first)[number];
  beside.outcome = first.outcome;
  beside.result = result;
  beside.result_version = version;
  beside.finish = first.finish;
}

void ObjectScene::Come(int participant, size_t number) {
  const auto i = static_cast<size_t>(participant);
  Operation asked = {};
  asked.function = Function::kRecover;  // nothing is anybody's by it
  Operation& coming = Begin(participant, "come", /*must_not_wait=*/false, asked);
  absl::StatusOr<std::unique_ptr<SharedObject>> guest = AttachOneMore(participant);
  const bool refused = absl::IsResourceExhausted(guest.status());
  if (!guest.ok() && !refused) FailStatus(guest.status());
  End(coming, refused ? Outcome::kRefused : Outcome::kOk, kNothing, 0);
  if (refused) return;
  guest_[i] = kFirstGuest + static_cast<uint32_t>(i * 2 * kMostOfAParticipant + number);
  Use(participant, guest->get());
  DoAsGuest(participant, number);
  guest_[i] = 0;
  Use(participant, own_[i]);
  Operation& leaving = Begin(participant, "leave", /*must_not_wait=*/false, asked);
  guest->reset();
  End(leaving, Outcome::kOk, kNothing, 0);
}

void ObjectScene::Join(int participant) {
  Operation asked = {};
  asked.function = Function::kRecover;  // nothing is anybody's by it
  Operation& operation = Begin(participant, "join", /*must_not_wait=*/false, asked);
  const absl::Status status = AttachOneMore(participant).status();
  const bool refused = absl::IsResourceExhausted(status);
  if (!status.ok() && !refused) FailStatus(status);
  End(operation, refused ? Outcome::kRefused : Outcome::kOk, kNothing, 0);
}

void ObjectScene::Tick(int participant) {
  Operation asked = {};
  asked.function = Function::kRecover;
  asked.argument = kOfATick;
  Operation& operation = Begin(participant, "tick", /*must_not_wait=*/false, asked);
  Stage::Get().PassTime(std::chrono::nanoseconds(kTick).count());
  End(operation, Outcome::kOk, kNothing, 0);
}

bool ObjectScene::HasTicked(uint64_t after, uint64_t before) const {
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (IsTick(one) && one.invoke > after && one.finish < before) return true;
    }
  }
  return false;
}

uint64_t ObjectScene::MayEndAt(uint64_t invoke) const {
  uint64_t end = kNever;
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (IsTick(one) && one.finish > invoke) end = std::min(end, one.invoke);
    }
  }
  return end;
}

bool ObjectScene::HasAny(absl::FunctionRef<bool(size_t call)> is) const {
  return std::any_of(scenario_.calls.begin(), scenario_.calls.end(),
                     [&is](const std::vector<size_t>& calls) {
                       return std::any_of(calls.begin(), calls.end(), is);
                     });
}

Deadline ObjectScene::AnHour() const { return Deadline::AtNs(Stage::Get().now_ns() + kHourNs); }

Deadline ObjectScene::LongEnough() const {
  const Stage& stage = Stage::Get();
  return Deadline::AtNs(stage.now_ns() + stage.wait_in_vain_ns());
}

void ObjectScene::CheckWoken(Deadline deadline) const {
  Stage& stage = Stage::Get();
  if (!stage.Overslept(deadline.monotonic_ns())) return;
  stage.Fail(Verdict::kStuck,
             "a wake-up was lost: what an operation waited for was there, and it slept until its "
             "deadline");
}

void ObjectScene::CheckPatience(Deadline deadline) const {
  Stage& stage = Stage::Get();
  if (stage.now_ns() >= deadline.monotonic_ns()) return;
  stage.Fail(Verdict::kViolation, "a wait ended before its deadline, and without what it was for");
}

void ObjectScene::CheckWait(const absl::Status& ended, Deadline deadline, bool briefly) const {
  if (absl::IsDeadlineExceeded(ended)) CheckPatience(deadline);
  if (ended.ok() && !briefly) CheckWoken(deadline);
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
  if (made.outcome == Outcome::kOpen) made.outcome = Outcome::kOk;
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
    return {Verdict::kAuditFailed, absl::StrCat("blocks owned twice: ", report->doubly_owned)};
  }
  if (report->leaked.blocks > 0) {
    return {Verdict::kLeak, absl::StrCat("blocks leaked: ", report->leaked.blocks)};
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
      if (operation.function == Function::kPutUntil) {
        const uint64_t end = MayEndAt(operation.invoke);
        operation.expected = end == kNever ? kNever : end + before;
      }
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
