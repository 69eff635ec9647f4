#include "harness/explore/scenes/heap_scene.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/history/heap_call.h"

namespace kill9::explore {
namespace {

constexpr size_t kBlockBytes = 24;
// How long blocks are in drawn scenes; the first in all.
constexpr size_t kDrawnBlockBytes[] = {kBlockBytes, 24, 40, 64, 100, 197, 24, 512, 1500, 3000};
constexpr uint64_t kReserved = 1;
constexpr uint64_t kMostFillers = 100'000;
constexpr uint32_t kCommonNumber = 1;

bool IsNoOwner(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsPermissionDenied(status);
}

bool Waits(size_t call) {
  const auto move = static_cast<HeapMove>(call);
  return move == HeapMove::kWaitAlloc || move == HeapMove::kSoonAlloc;
}

bool IsNoRoom(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

uint64_t OwnerOf(int participant) { return HeapOwner(static_cast<uint64_t>(participant) + 1, 0); }

}  // namespace

HeapScene::HeapScene(const HeapDesign& design, const Scenario& scenario)
    : ObjectScene(design, scenario), design_(design) {}

// The handles and their segment lie in the arena, which forgets them.
HeapScene::~HeapScene() = default;

uint64_t HeapScene::BitsOf(std::span<const ParticipantId> owners) {
  uint64_t bits = 0;
  for (const ParticipantId owner : owners) {
    for (int i = 0; i < participants(); ++i) {
      if (owner == ids_[static_cast<size_t>(i)]) bits |= OwnerBit(OwnerOf(i));
    }
    if (owner == ids_[kAuditor]) bits |= OwnerBit(HeapOwner(kLooker, 0));
  }
  return bits;
}

void HeapScene::CheckContent(Heap& heap, const Block& block) {
  const absl::StatusOr<std::span<char>> data = heap.Data(block.handle);
  if (IsNoOwner(data.status())) return;
  if (!data.ok()) FailStatus(data.status());
  // What lies in the segment is copied first: the explorer sees who reads it then.
  std::string shown(data->size(), '\0');
  std::memcpy(shown.data(), data->data(), data->size());
  const ValueCheck check = CheckValue(block.id, shown);
  if (shown.size() == block.bytes && check.defect == ValueDefect::kNone && check.id == block.id) {
    return;
  }
  FailStatus(absl::DataLossError("a block about to be freed has not its own content"));
}

// ---- The beginning ------------------------------------------------------------------------------

void HeapScene::Prepare(int participant, int what) {
  switch (what) {
    case kAttach: {
      absl::StatusOr<std::unique_ptr<Heap>> attached = design_.Attach(*segment_);
      if (!attached.ok()) CannotMake(attached.status());
      heaps_[static_cast<size_t>(participant)] = attached->release();
      ids_[static_cast<size_t>(participant)] = heap(participant).id();
      return;
    }
    case kAllocateAndFree: {
      const absl::StatusOr<BlockHandle> first =
          heap(participant).Allocate(kBlockBytes, Deadline::None());
      if (!first.ok()) CannotMake(first.status());
      return heap(participant).Free(*first).IgnoreError();
    }
    case kMakeBlock: {
      made_.handle = *heap(participant).Allocate(kBlockBytes, Deadline::None());
      made_.bytes = kBlockBytes;
      std::string content(kBlockBytes, '\0');
      FillValue(made_.id, made_.id, content);
      std::memcpy(heap(participant).Data(made_.handle)->data(), content.data(), content.size());
      return;
    }
    case kShareCommon:
      for (int i = 1; i < participants(); ++i) {
        const absl::Status shared =
            heap(participant).Share(common_.handle, ids_[static_cast<size_t>(i)]);
        if (!shared.ok()) CannotMake(shared);
      }
      return;
    default:
      while (heap(participant).Allocate(kBlockBytes, LongEnough()).ok()) ++fillers_;
  }
}

HeapScene::Block HeapScene::MakeBlock(int participant, uint32_t number) {
  made_.id = MakeValueId(kMaker, number);
  Stage::Get().As(participant, kMakeBlock);
  const Block block = made_;
  Operation allocated = {};
  allocated.function = Function::kAllocate;
  allocated.process = static_cast<uint32_t>(participant) + 1;
  allocated.argument = block.id;
  allocated.expected = HeapCall(0, kBlockBytes);
  allocated.result = block.handle.offset;
  Before(allocated);
  return block;
}

// Of the one who looks, who keeps it.
void HeapScene::Fill() {
  for (size_t bytes = heap(kAuditor).max_block_bytes(); bytes >= kBlockBytes; bytes /= 2) {
    for (uint64_t i = 0; i < kMostFillers; ++i) {
      const absl::StatusOr<BlockHandle> filler = heap(kAuditor).Allocate(bytes, Deadline::None());
      if (!filler.ok()) break;
      ++fillers_;
      last_filler_ = *filler;
    }
  }
}

void HeapScene::MakeObject() {
  Stage& stage = Stage::Get();
  SegmentOptions options;
  options.max_participants =
      Places(static_cast<size_t>(HeapMove::kJoin), static_cast<size_t>(HeapMove::kCome)) +
      static_cast<uint32_t>(Pick(Aspect::kPlaces, 3));
  options.hash_seed = 1;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = SmallestSegment(design_, options);
  if (!segment.ok()) CannotMake(segment.status());
  segment_ = new std::shared_ptr<Segment>(*segment);
  stage.As(kAuditor, kAttach);
  for (int i = 0; i < participants(); ++i) stage.As(i, kAttach);
  // Each knows the heap before the schedule begins, as one that has run for a while does.
  for (int i = 0; i < participants(); ++i) stage.As(i, kAllocateAndFree);
  common_ = {};
  own_ = {};
  of_ = {};
  fillers_ = 0;
  const auto beginning = static_cast<HeapBeginning>(scenario().beginning);
  if (beginning == HeapBeginning::kEmpty) return;
  for (int i = 0; i < participants(); ++i) {
    own_[static_cast<size_t>(i)] = MakeBlock(i, kCommonNumber + 1 + static_cast<uint32_t>(i));
    of_[static_cast<size_t>(i)].held.Push(own_[static_cast<size_t>(i)]);
  }
  common_ = MakeBlock(0, kCommonNumber);
  stage.As(0, kShareCommon);
  for (int i = 1; i < participants(); ++i) {
    Operation share = {};
    share.function = Function::kShare;
    share.process = 1;
    share.argument = common_.id;
    share.expected = HeapCall(0, OwnerOf(i));
    share.result = 1;
    Before(share);
  }
  if (beginning != HeapBeginning::kFull) return;
  Fill();
  WaitInVain();
}

absl::StatusOr<std::unique_ptr<SharedObject>> HeapScene::AttachOneMore(int) {
  return design_.Attach(*segment_);
}

// What it has allocated it frees.
void HeapScene::DoAsGuest(int participant, size_t number) {
  Blocks& held = of_[static_cast<size_t>(participant)].held;
  const size_t before = held.count;
  Allocate(participant, IdOfWrite(participant, number), nullptr);
  if (held.count > before) LetGo(participant, "free", held.all[--held.count]);
}

size_t HeapScene::BytesOf(ValueId id) const {
  return kDrawnBlockBytes[PickOf(Mix(static_cast<uint64_t>(Aspect::kBytes), id),
                                 std::size(kDrawnBlockBytes))];
}

// All who are going to wait have done so before, or who looks: what that sets up is there. What
// room a participant had for itself it uses up. Nobody is announced any more: there was room since.
void HeapScene::WaitInVain() {
  for (int i = 0; i < participants(); ++i) {
    const std::vector<size_t>& calls = scenario().calls[static_cast<size_t>(i)];
    const bool waits = std::any_of(calls.begin(), calls.end(), Waits);
    if (waits) Stage::Get().As(scenario().have_waited ? i : kAuditor, kFillUp);
  }
  heap(kAuditor).Free(last_filler_).IgnoreError();
  --fillers_;
  // It may get another one than it has freed.
  while (heap(kAuditor).Allocate(kBlockBytes, Deadline::None()).ok()) ++fillers_;
}

// ---- Operations ---------------------------------------------------------------------------------

void HeapScene::Allocate(int participant, ValueId id, HeapReserve* reserve) {
  Heap& heap = this->heap(participant);
  const size_t bytes = reserve == nullptr ? BytesOf(id) : kBlockBytes;
  Operation asked = {};
  asked.function = Function::kAllocate;
  asked.argument = id;
  asked.expected = HeapCall(0, bytes);
  const HeapTraits& traits = design_.traits();
  Operation& operation =
      Begin(participant, reserve == nullptr ? "alloc" : "use",
            MustNotWait(reserve == nullptr ? traits.allocate : traits.free), asked);
  const absl::StatusOr<BlockHandle> allocated =
      reserve == nullptr ? heap.Allocate(bytes, Deadline::None()) : heap.Allocate(*reserve, bytes);
  if (!allocated.ok()) {
    if (!IsNoRoom(allocated.status()) || reserve != nullptr) FailStatus(allocated.status());
    return End(operation, Outcome::kRefused, 0, 0);
  }
  EndAllocated(participant, operation, {id, *allocated, bytes});
}

void HeapScene::WaitAndAllocate(int participant, ValueId id, bool briefly) {
  Operation asked = {};
  asked.function = Function::kAllocate;
  asked.argument = id;
  asked.expected = HeapCall(0, kBlockBytes);
  Operation& operation =
      Begin(participant, briefly ? "soon_alloc" : "wait_alloc", /*must_not_wait=*/false, asked);
  const Deadline deadline = Until(briefly);
  const absl::StatusOr<BlockHandle> allocated = heap(participant).Allocate(kBlockBytes, deadline);
  CheckWait(allocated.status(), deadline, briefly);
  if (allocated.ok()) {
    return EndAllocated(participant, operation, {id, *allocated, kBlockBytes});
  }
  if (!IsNoRoom(allocated.status())) FailStatus(allocated.status());
  End(operation, Outcome::kRefused, 0, briefly ? 0 : kInVain);
}

// Its owner writes to it first.
void HeapScene::EndAllocated(int participant, Operation& operation, const Block& block) {
  const absl::StatusOr<std::span<char>> data = heap(participant).Data(block.handle);
  if (!data.ok()) FailStatus(data.status());
  std::string content(block.bytes, '\0');
  FillValue(block.id, block.id, content);
  std::memcpy(data->data(), content.data(), content.size());
  of_[static_cast<size_t>(participant)].held.Push(block);
  of_[static_cast<size_t>(participant)].allocated.Push(block);
  End(operation, Outcome::kOk, block.handle.offset, 0);
}

void HeapScene::LetGo(int participant, const char* what, const Block& block) {
  if (block.id == kNothing) return;
  Operation asked = {};
  asked.function = Function::kFree;
  asked.argument = block.id;
  Operation& operation = Begin(participant, what, MustNotWait(design_.traits().free), asked);
  CheckContent(heap(participant), block);
  const absl::Status status = heap(participant).Free(block.handle);
  if (!status.ok() && !IsNoOwner(status)) FailStatus(status);
  if (block.id == common_.id) of_[static_cast<size_t>(participant)].dropped = true;
  End(operation, Outcome::kOk, status.ok() ? 1 : 0, 0);
}

void HeapScene::HandOver(int participant, bool shares) {
  Blocks& held = of_[static_cast<size_t>(participant)].held;
  if (held.count == 0) return;
  const Block block = held.all[held.count - 1];
  const int next = Next(participant);
  Operation asked = {};
  asked.function = shares ? Function::kShare : Function::kTransfer;
  asked.argument = block.id;
  asked.expected = HeapCall(0, OwnerOf(next));
  Operation& operation =
      Begin(participant, shares ? "share" : "pass", MustNotWait(design_.traits().share), asked);
  // Before it: whoever dies in it may have given.
  ++of_[static_cast<size_t>(participant)].gave;
  const absl::Status status =
      shares ? heap(participant).Share(block.handle, ids_[static_cast<size_t>(next)])
             : heap(participant).Transfer(block.handle, ids_[static_cast<size_t>(next)]);
  if (absl::IsUnavailable(status) || absl::IsAlreadyExists(status)) {
    return End(operation, Outcome::kRefused, 0, 0);
  }
  if (!status.ok()) FailStatus(status);
  if (!shares) --held.count;
  End(operation, Outcome::kOk, 1, 0);
}

void HeapScene::UseReserve(int participant, size_t number, bool keeps) {
  Operation asked = {};
  asked.function = Function::kRecover;  // no block is anybody's by it
  Operation& reserving =
      Begin(participant, "reserve", MustNotWait(design_.traits().allocate), asked);
  absl::StatusOr<HeapReserve> reserve =
      heap(participant).Reserve(kReserved, kBlockBytes, Deadline::None());
  if (!reserve.ok() && !IsNoRoom(reserve.status())) FailStatus(reserve.status());
  End(reserving, Outcome::kOk, 0, 0);
  if (keeps) DoAfter(participant, number);
  if (!reserve.ok()) return;
  Allocate(participant, IdOfWrite(participant, number), &*reserve);
  Operation& releasing = Begin(participant, "release", MustNotWait(design_.traits().free), asked);
  const absl::Status released = heap(participant).Release(*std::move(reserve));
  if (!released.ok()) FailStatus(released);
  End(releasing, Outcome::kOk, 0, 0);
}

void HeapScene::AskOwners(int participant) {
  if (common_.id == kNothing) return;
  Operation asked = {};
  asked.function = Function::kOwners;
  asked.argument = common_.id;
  Operation& operation = Begin(participant, "owners", MustNotWait(design_.traits().share), asked);
  const absl::StatusOr<std::vector<ParticipantId>> owners =
      heap(participant).Owners(common_.handle);
  if (absl::IsUnimplemented(owners.status())) return End(operation, Outcome::kRefused, 0, 0);
  if (!owners.ok() && !absl::IsNotFound(owners.status())) FailStatus(owners.status());
  End(operation, Outcome::kOk, owners.ok() ? BitsOf(*owners) : 0, 0);
}

void HeapScene::Do(int participant, size_t number, size_t call) {
  Blocks& held = of_[static_cast<size_t>(participant)].held;
  if (number == 0)
    of_[static_cast<size_t>(participant)] = at_beginning_[static_cast<size_t>(participant)];
  const ValueId id = IdOfWrite(participant, number);
  switch (static_cast<HeapMove>(call)) {
    case HeapMove::kAlloc:
      return Allocate(participant, id, nullptr);
    case HeapMove::kFree:
      if (held.count != 0) LetGo(participant, "free", held.all[--held.count]);
      return;
    case HeapMove::kDrop:
      return LetGo(participant, "drop", common_);
    case HeapMove::kShare:
      return HandOver(participant, /*shares=*/true);
    case HeapMove::kPass:
      return HandOver(participant, /*shares=*/false);
    case HeapMove::kGrab:
      return LetGo(participant, "grab",
                   own_[static_cast<size_t>((participant + participants() - 1) % participants())]);
    case HeapMove::kUse:
      return UseReserve(participant, number, /*keeps=*/false);
    case HeapMove::kKeep:
      return UseReserve(participant, number, /*keeps=*/true);
    case HeapMove::kCome:
      return Come(participant, number);
    case HeapMove::kOwners:
      return AskOwners(participant);
    case HeapMove::kRecover:
      return Recover(participant);
    case HeapMove::kJoin:
      return Join(participant);
    case HeapMove::kWaitAlloc:
    case HeapMove::kSoonAlloc:
      return WaitAndAllocate(participant, IdOfWrite(participant, number), IsTimedHeapCall(call));
    case HeapMove::kTick:
      return Tick(participant);
  }
}

// ---- What is left -------------------------------------------------------------------------------

Finding HeapScene::LookAtBlock(const Block& block) {
  const absl::StatusOr<std::vector<ParticipantId>> owners = heap(kAuditor).Owners(block.handle);
  if (absl::IsUnimplemented(owners.status())) return {};
  if (!owners.ok() && !absl::IsNotFound(owners.status())) {
    return {Verdict::kViolation,
            absl::StrCat("Owners after recovery: ", std::string(owners.status().message()))};
  }
  // As each that lives would be told: who is an owner and is not told so was robbed.
  Operation asked = {};
  asked.function = Function::kOwners;
  asked.argument = block.id;
  asked.result = owners.ok() ? BitsOf(*owners) : 0;
  After(asked);
  for (int i = 0; i < participants(); ++i) {
    if (Stage::Get().died(i)) continue;
    asked.process = static_cast<uint32_t>(i) + 1;
    After(asked);
  }
  return {};
}

// As many as those that live can have at most.
Finding HeapScene::CountBlocks() {
  uint64_t most = fillers_;
  bool common = false;
  for (int i = 0; i < participants(); ++i) {
    const Did& one = of_[static_cast<size_t>(i)];
    if (!Stage::Get().died(Next(i))) most += one.gave;
    if (Stage::Get().died(i)) continue;
    most += one.held.count;
    common |= common_.id != kNothing && !one.dropped;
  }
  const absl::StatusOr<HeapOccupancy> occupancy = heap(kAuditor).Look();
  if (!occupancy.ok()) {
    return {Verdict::kViolation,
            absl::StrCat("Look after recovery: ", std::string(occupancy.status().message()))};
  }
  if (occupancy->blocks <= most + (common ? 1 : 0)) return {};
  return {Verdict::kLeak, absl::StrCat("after recovery there are ", occupancy->blocks,
                                       " blocks, more than those that live can have")};
}

// All that is there is owned by who lives, and adds up to the room.
Finding HeapScene::LookAtAll() {
  Finding found;
  uint64_t dead = 0;
  for (int i = 0; i < participants(); ++i) {
    if (Stage::Get().died(i)) dead |= OwnerBit(OwnerOf(i));
  }
  const absl::Status status = heap(kAuditor).ForEach([&](const HeapBlock& block) {
    const uint64_t bits = BitsOf(block.owners);
    if (bits == 0 || (bits & dead) != 0) {
      found = {Verdict::kLeak, "after recovery a block is owned by nobody who lives"};
    }
    return found.verdict == Verdict::kPass;
  });
  if (absl::IsUnimplemented(status)) return {};
  if (!status.ok()) {
    return {Verdict::kViolation,
            absl::StrCat("ForEach after recovery: ", std::string(status.message()))};
  }
  if (found.verdict != Verdict::kPass) return found;
  const absl::StatusOr<HeapAccount> account = heap(kAuditor).Account();
  if (absl::IsUnimplemented(account.status())) return {};
  if (!account.ok() || account->accounted_bytes() != account->room_bytes) {
    return {Verdict::kAuditFailed, "the account does not add up to the room"};
  }
  return {};
}

// Who waited for room for an hour, while nobody else could go on, got none; and there is some after
// recovery, which nobody has given up since.
Finding HeapScene::CheckWaits() {
  uint64_t last_wait = 0, last_change = 0;
  for (int i = 0; i < participants(); ++i) {
    if (Stage::Get().died(i)) {
      last_change = std::max(last_change, Stage::Get().time_of_death(i));
    }
    for (const Operation& one : OperationsOf(i)) {
      const bool in_vain = one.outcome == Outcome::kRefused && one.result_version == kInVain;
      if (in_vain) last_wait = std::max(last_wait, one.finish);
      if (!in_vain && one.finish != kNever) last_change = std::max(last_change, one.finish);
    }
  }
  if (last_wait <= last_change) return {};
  const absl::StatusOr<BlockHandle> there = heap(kAuditor).Allocate(kBlockBytes, Deadline::None());
  if (!there.ok()) return {};
  heap(kAuditor).Free(*there).IgnoreError();
  return {Verdict::kStuck, "a death was overslept: the dead had the room that was waited for"};
}

Finding HeapScene::Look() {
  if (Finding found = CheckWaits(); found.verdict != Verdict::kPass) return found;
  if (Finding found = CountBlocks(); found.verdict != Verdict::kPass) return found;
  if (Finding found = LookAtAll(); found.verdict != Verdict::kPass) return found;
  for (int i = 0; i < participants(); ++i) {
    const Block& own = own_[static_cast<size_t>(i)];
    if (own.id == kNothing) continue;
    if (Finding found = LookAtBlock(own); found.verdict != Verdict::kPass) return found;
  }
  if (common_.id != kNothing) {
    if (Finding found = LookAtBlock(common_); found.verdict != Verdict::kPass) return found;
  }
  for (int i = 0; i < participants(); ++i) {
    const Blocks& allocated = of_[static_cast<size_t>(i)].allocated;
    for (size_t n = 0; n < allocated.count; ++n) {
      if (Finding found = LookAtBlock(allocated.all[n]); found.verdict != Verdict::kPass) {
        return found;
      }
    }
  }
  return {};
}

}  // namespace kill9::explore
