// counted_heap: blocks whose owners are counted by an integer in the block.
//
// All else is as it should be: the mutex is robust, and each change of a block is one store, so
// that whoever finds that its owner has died may go on at once. A handle of a block that was freed
// is told from one of the next block in its place.
//
// Its author's case for it: the count is changed under the mutex only, so it is always exact, and
// who has a buffer frees it. What a dead process had it still counts: the block leaks; and a count
// that somebody took down in its stead would free the block under the others.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "variants/baselines/dead_slots.h"
#include "variants/registry.h"
#include "variants/segment/robust_mutex.h"
#include "variants/segment/round_up.h"

namespace kill9 {
namespace {

constexpr std::string_view kName = "counted_heap";

struct CountedHeader {
  RobustMutex mutex;
  uint64_t begin;  // of the first block, from the segment's base
  uint64_t end;
  uint64_t generations;
};

// Before a block's bytes. The blocks follow one another, and fill the room.
struct CountedBlock {
  uint64_t room_bytes;  // behind this header
  uint64_t bytes;       // as they were asked for
  uint64_t references;  // 0: it is free
  uint64_t generation;
};
static_assert(sizeof(CountedBlock) == 32);

class CountedHeap final : public Heap {
 public:
  CountedHeap(std::shared_ptr<Segment> segment, Participant participant)
      : Heap(participant.guard()),
        segment_(std::move(segment)),
        participant_(std::move(participant)),
        header_(*reinterpret_cast<CountedHeader*>(segment_->body().data())) {
    SetMaxBlockBytes(header_.end - header_.begin - sizeof(CountedBlock));
  }

  ParticipantId id() const override { return {participant_.slot(), participant_.generation()}; }

 private:
  // Inside for as long as it lives.
  class Inside {
   public:
    explicit Inside(CountedHeader& header) : mutex_(header.mutex) {
      if (mutex_.Lock() == RobustMutex::Acquired::kOwnerDied) mutex_.Consistent();
    }
    ~Inside() { mutex_.Unlock(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    RobustMutex& mutex_;
  };

  CountedBlock& At(uint64_t offset) const {
    return *reinterpret_cast<CountedBlock*>(segment_->base() + offset);
  }
  uint64_t Next(uint64_t offset) const {
    return offset + sizeof(CountedBlock) + At(offset).room_bytes;
  }
  CountedBlock* Find(BlockHandle handle) const {
    if (handle.offset % kAlignment != 0 || handle.offset < header_.begin + sizeof(CountedBlock) ||
        handle.offset >= header_.end) {
      return nullptr;
    }
    CountedBlock& block = At(handle.offset - sizeof(CountedBlock));
    return block.references != 0 && block.generation == handle.generation ? &block : nullptr;
  }

  // The first block with room enough; free ones that follow it become part of it.
  std::optional<BlockHandle> Take(size_t bytes) {
    const uint64_t room = std::max<uint64_t>(RoundUp(bytes, kAlignment), kAlignment);
    for (uint64_t offset = header_.begin; offset < header_.end; offset = Next(offset)) {
      CountedBlock& block = At(offset);
      if (block.references != 0) continue;
      while (Next(offset) < header_.end && At(Next(offset)).references == 0) {
        block.room_bytes += sizeof(CountedBlock) + At(Next(offset)).room_bytes;
      }
      if (block.room_bytes < room) continue;
      if (block.room_bytes >= room + sizeof(CountedBlock) + kAlignment) {
        const uint64_t rest = block.room_bytes - room - sizeof(CountedBlock);
        CountedBlock& second = At(offset + sizeof(CountedBlock) + room);
        second = {};
        second.room_bytes = rest;
        block.room_bytes = room;
      }
      block.bytes = bytes;
      block.generation = ++header_.generations;
      block.references = 1;
      return BlockHandle{offset + sizeof(CountedBlock), block.generation};
    }
    return std::nullopt;
  }

  absl::StatusOr<BlockHandle> DoAllocate(size_t bytes, Deadline deadline, Lifetime) override {
    for (;;) {
      {
        const Inside inside(header_);
        if (const std::optional<BlockHandle> block = Take(bytes)) return *block;
      }
      timespec now{};
      clock_gettime(CLOCK_MONOTONIC, &now);
      if (now.tv_sec * 1'000'000'000 + now.tv_nsec >= deadline.monotonic_ns()) {
        return absl::DeadlineExceededError("no room");
      }
      constexpr timespec kTick{0, 100'000};
      nanosleep(&kTick, nullptr);
    }
  }
  absl::Status DoFree(BlockHandle handle) override {
    const Inside inside(header_);
    CountedBlock* const block = Find(handle);
    if (block == nullptr) return absl::NotFoundError("there is no such block");
    --block->references;
    return absl::OkStatus();
  }
  absl::Status DoShare(BlockHandle handle, ParticipantId) override {
    const Inside inside(header_);
    CountedBlock* const block = Find(handle);
    if (block == nullptr) return absl::NotFoundError("there is no such block");
    ++block->references;
    return absl::OkStatus();
  }
  // Who has it from now on counts as who had it.
  absl::Status DoTransfer(BlockHandle handle, ParticipantId) override {
    const Inside inside(header_);
    return Find(handle) == nullptr ? absl::NotFoundError("there is no such block")
                                   : absl::OkStatus();
  }
  absl::StatusOr<std::span<char>> DoData(BlockHandle handle) override {
    const Inside inside(header_);
    CountedBlock* const block = Find(handle);
    if (block == nullptr) return absl::NotFoundError("there is no such block");
    return std::span<char>(segment_->base() + handle.offset, block->bytes);
  }

  absl::StatusOr<BlockHandle> DoAllocateAt(uint64_t, size_t) override { return None(); }
  absl::StatusOr<HeapReserve> DoReserve(uint64_t, size_t, Deadline) override { return None(); }
  absl::StatusOr<BlockHandle> DoAllocateReserved(uint64_t, size_t) override { return None(); }
  absl::Status DoRelease(uint64_t) override { return None(); }
  absl::StatusOr<std::vector<ParticipantId>> DoOwners(BlockHandle) override { return None(); }
  absl::Status DoForEach(absl::FunctionRef<bool(const HeapBlock&)>) override { return None(); }
  static absl::Status None() {
    return absl::UnimplementedError("this baseline counts owners, and does not know them");
  }

  absl::StatusOr<HeapOccupancy> DoLook() override {
    const absl::StatusOr<HeapAccount> account = DoAccount();
    if (!account.ok()) return account.status();
    HeapOccupancy occupancy;
    occupancy.room_bytes = account->room_bytes;
    occupancy.free_bytes = account->free_bytes;
    occupancy.blocks = account->report.entries;
    return occupancy;
  }
  absl::StatusOr<HeapAccount> DoAccount() override {
    const Inside inside(header_);
    HeapAccount account;
    AuditReport& report = account.report;
    account.room_bytes = header_.end - header_.begin;
    for (uint64_t offset = header_.begin; offset < header_.end; offset = Next(offset)) {
      const CountedBlock& block = At(offset);
      const uint64_t whole = sizeof block + block.room_bytes;
      AuditReport::Account& of = block.references == 0 ? report.free : report.live;
      ++of.blocks;
      of.bytes += whole;
      if (block.references == 0) {
        account.free_bytes += whole;
        continue;
      }
      ++report.entries;
      account.live_bytes += block.bytes;
      account.header_bytes += sizeof block;
      account.rounding_bytes += block.room_bytes - block.bytes;
    }
    report.capacity = {report.free.blocks + report.live.blocks, account.room_bytes};
    const ParticipantTable participants = segment_->participants();
    for (uint32_t slot = 0; slot < participants.size(); ++slot) {
      if (participants.state(slot) != ParticipantState::kFree) ++report.participants;
    }
    return account;
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    RecoveryReport report;
    report.participants = baselines::ReturnSlotsOfTheDead(segment_->participants());
    return report;
  }

 private:
  const std::shared_ptr<Segment> segment_;
  Participant participant_;
  CountedHeader& header_;
};

class CountedHeapDesign final : public HeapDesign {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "a repaired robust mutex, and blocks whose owners an integer in the block counts";
  }
  Role role() const override { return Role::kBaseline; }
  std::string_view expected_verdict() const override { return "audit_failed|leak"; }
  std::string_view shown_by() const override { return "torture --scenario=owners_die"; }
  const HeapTraits& traits() const override {
    static const HeapTraits traits = [] {
      HeapTraits own;
      own.separates_lifetimes = false;
      own.has_allocate_at = false;
      own.has_reserve = false;
      own.recovery_trigger = "nobody";
      own.recovery_cost = "there is none: only the slots of the dead are returned";
      return own;
    }();
    return traits;
  }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(options, {.design = kName}, [](Segment& segment, SegmentHeader&) {
      CountedHeader& header = *reinterpret_cast<CountedHeader*>(segment.body().data());
      const uint64_t body = static_cast<uint64_t>(segment.body().data() - segment.base());
      header.mutex.Format();
      header.begin = RoundUp(body + sizeof header, Heap::kAlignment);
      header.end = (body + segment.body().size()) / Heap::kAlignment * Heap::kAlignment;
      CountedBlock& first = *reinterpret_cast<CountedBlock*>(segment.base() + header.begin);
      first.room_bytes = header.end - header.begin - sizeof first;
      return absl::OkStatus();
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, {.design = kName});
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, {.design = kName});
  }
  absl::StatusOr<std::unique_ptr<Heap>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<Participant> participant = segment->participants().Claim();
    if (absl::IsResourceExhausted(participant.status())) {
      baselines::ReturnSlotsOfTheDead(segment->participants());
      participant = segment->participants().Claim();
    }
    if (!participant.ok()) return participant.status();
    return std::make_unique<CountedHeap>(std::move(segment), *std::move(participant));
  }
};

}  // namespace

const HeapDesign& SharedCountHeap();
const HeapDesign& SharedCountHeap() {
  static const CountedHeapDesign design;
  return design;
}

}  // namespace kill9
