// The smallest store that is right, and the ways in which it is not: what the sweep is tested on.
// An array of slots under one robust mutex; the bits of one 64-bit word say which slots are live,
// so that an overwrite (old slot off, new slot on) is published by one store.
#ifndef KILL9_PROPERTY_SWEEP_SWEEP_ARRAY_STORE_H_
#define KILL9_PROPERTY_SWEEP_SWEEP_ARRAY_STORE_H_

#include <x86intrin.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/sweep/sweep_unsteady.h"
#include "variants/registry.h"
#include "variants/segment/robust_mutex.h"

namespace kill9 {

enum class ArrayBug : uint8_t {
  kNone,
  kOneInstructionWindow,     // publishes by two stores: between them the key is absent
  kConsistentWithoutRepair,  // overwrites in place, and a survivor goes on as if nothing had been
  kNotRobust,                // a lock word that a death leaves locked
  kLeak,                     // counts a slot as taken before it is live, and never gives it back
  kClaimsLockFree,           // declares reads lock-free, and locks
  kAcknowledgesEarly,        // undoes, in recovery, the last thing that was acknowledged
  kTakesAsLongAsTheClockSays,
  kReadsUnlocked,  // copies a value that may be overwritten meanwhile
  kTakesBackLate,  // publishes by what it saw before its lock, and takes that back if it was wrong
  kYieldsToTwo,    // leaves a put to the others, if two of them are in the middle of one
  kRecoversByNumber,    // takes the next owner of a dead one's participant slot for the dead one
  kLongestKeyCutOff,    // its length is kept in eight bits
  kRefusedAttachLeaks,  // takes a slot for whoever finds the table of participants full
  kGuestReturnsEarly,   // attaching, gives the slots of the dead back before it has repaired
  kTakesMostUsedSlot,   // right: takes the participant slot that had most owners
  // Right, and hard to repeat (sweep_unsteady.h):
  kReadsClocks,
  kReadsCounters,
  kUsesDispatchedStrings,
  kCopiesByString,
  kWipesAndCopiesByString,  // so that each iteration makes another state
  kAddsRestartably,
};

struct ArrayBody {
  RobustMutex mutex;
  std::atomic<uint32_t> spin;
  uint32_t slots;
  std::atomic<uint64_t> live;   // a bit a slot
  std::atomic<uint64_t> taken;  // only where Counts(): what is not free
  std::atomic<uint64_t> next_version;
  std::atomic<uint64_t> last_acknowledged;  // only with kAcknowledgesEarly: a slot's bit
  // A bit a participant: writing (with kRecoversByNumber or kYieldsToTwo); found dead once (with
  // the former).
  std::atomic<uint64_t> writing, dead;
};

// Whether slots are counted apart from what says that they are live: a death may leave them
// counted.
inline bool Counts(ArrayBug bug) {
  return bug == ArrayBug::kLeak || bug == ArrayBug::kGuestReturnsEarly ||
         bug == ArrayBug::kRefusedAttachLeaks;
}
inline void CountAnew(ArrayBody& body) {
  if (body.mutex.Lock() == RobustMutex::Acquired::kOwnerDied) body.mutex.Consistent();
  body.taken.store(body.live.load(std::memory_order_relaxed), std::memory_order_relaxed);
  body.mutex.Unlock();
}

struct ArraySlot {
  uint64_t version;
  uint32_t key_size;
  uint32_t value_size;
  char key[256];
  char value[3072];
};

class ArrayStore final : public Store {
 public:
  ArrayStore(std::shared_ptr<Segment> segment, Participant participant, ArrayBug bug)
      : Store(participant.guard()),
        segment_(std::move(segment)),
        participant_(std::move(participant)),
        bug_(bug),
        body_(*reinterpret_cast<ArrayBody*>(segment_->body().data())),
        slots_(reinterpret_cast<ArraySlot*>(segment_->body().data() + sizeof(ArrayBody))) {}

  size_t max_key_bytes() const override { return sizeof(ArraySlot::key); }
  size_t max_value_bytes() const override { return sizeof(ArraySlot::value); }

 private:
  class Locked {
   public:
    explicit Locked(ArrayStore& store) : store_(store) {
      if (store_.bug_ == ArrayBug::kNotRobust) {
        while (store_.body_.spin.exchange(1, std::memory_order_acquire) != 0) _mm_pause();
      } else if (store_.body_.mutex.Lock() == RobustMutex::Acquired::kOwnerDied) {
        // All states of this store are sound: there is nothing to repair (but with a bug).
        store_.body_.mutex.Consistent();
      }
    }
    ~Locked() {
      if (store_.bug_ == ArrayBug::kNotRobust) {
        store_.body_.spin.store(0, std::memory_order_release);
      } else {
        store_.body_.mutex.Unlock();
      }
    }

   private:
    ArrayStore& store_;
  };

  // While it lives, its participant is marked as one that writes.
  class Writing {
   public:
    explicit Writing(ArrayStore& store) : store_(store) { Mark(true); }
    ~Writing() { Mark(false); }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    void Mark(bool writes) {
      if (store_.bug_ != ArrayBug::kRecoversByNumber && store_.bug_ != ArrayBug::kYieldsToTwo) {
        return;
      }
      const uint64_t bit = uint64_t{1} << store_.participant_.slot();
      if (writes) {
        store_.body_.writing.fetch_or(bit, std::memory_order_relaxed);
      } else {
        store_.body_.writing.fetch_and(~bit, std::memory_order_relaxed);
      }
    }
    ArrayStore& store_;
  };

  uint64_t live() const { return body_.live.load(std::memory_order_relaxed); }  // under the mutex
  int Find(std::string_view key) const {
    for (uint32_t n = 0; n < body_.slots; ++n) {
      if ((live() >> n & 1) == 0) continue;
      if (std::string_view(slots_[n].key, slots_[n].key_size) == key) return static_cast<int>(n);
    }
    return -1;
  }
  void Publish(uint64_t off, uint64_t on) {
    if (bug_ == ArrayBug::kOneInstructionWindow && off != 0 && on != 0) {
      body_.live.store(live() & ~off, std::memory_order_release);
      body_.live.store(live() | on, std::memory_order_release);
    } else {
      body_.live.store((live() & ~off) | on, std::memory_order_release);
    }
    if (Counts(bug_)) body_.taken.fetch_and(~off, std::memory_order_relaxed);
    body_.last_acknowledged.store(on, std::memory_order_relaxed);
  }
  absl::StatusOr<Version> Set(int old, std::string_view key, std::string_view value) {
    const Version version = body_.next_version.fetch_add(1, std::memory_order_relaxed) + 1;
    const uint64_t off = old < 0 ? 0 : uint64_t{1} << old;
    if (bug_ == ArrayBug::kConsistentWithoutRepair && old >= 0) {
      Write(slots_[old], key, value, version);
      return version;
    }
    const uint64_t used = Counts(bug_) ? body_.taken.load(std::memory_order_relaxed) : live();
    const uint32_t fresh = static_cast<uint32_t>(std::countr_one(used));
    if (fresh >= body_.slots) return absl::ResourceExhaustedError("no slot is free");
    if (Counts(bug_)) body_.taken.fetch_or(uint64_t{1} << fresh, std::memory_order_relaxed);
    Write(slots_[fresh], key, value, version);
    if (bug_ == ArrayBug::kWipesAndCopiesByString) {
      std::memset(slots_[fresh].value, 0xff, value.size());
    }
    if ((bug_ == ArrayBug::kCopiesByString || bug_ == ArrayBug::kWipesAndCopiesByString) &&
        !CopyByStringInstruction(slots_[fresh].value, value.data(), value.size())) {
      return absl::DataLossError("what was copied is not the same");
    }
    Publish(off, uint64_t{1} << fresh);
    return version;
  }
  void Write(ArraySlot& slot, std::string_view key, std::string_view value, Version version) {
    slot.version = version;
    slot.key_size = static_cast<uint32_t>(key.size());
    if (bug_ == ArrayBug::kLongestKeyCutOff) slot.key_size %= 256;
    slot.value_size = static_cast<uint32_t>(value.size());
    key.copy(slot.key, key.size());
    value.copy(slot.value, value.size());
  }

  // How many live and are in the middle of a put.
  int CountWriting() const {
    const ParticipantTable table = segment_->participants();
    const uint64_t bits = body_.writing.load(std::memory_order_relaxed);
    if (std::popcount(bits) < 3) return std::popcount(bits);
    int count = 0;
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      uint32_t generation = 0;
      const bool lives =
          table.state(slot) == ParticipantState::kInUse && !table.MarkIfDead(slot, &generation);
      count += (bits >> slot & 1) != 0 && lives ? 1 : 0;
    }
    return count;
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    switch (bug_) {
      case ArrayBug::kTakesAsLongAsTheClockSays:
        for (unsigned long long n = (__rdtsc() >> 4) % 1024; n > 0; --n)
          asm volatile("" ::: "memory");
        break;
      case ArrayBug::kReadsClocks:
        ReadClocks();
        break;
      case ArrayBug::kReadsCounters:
        ReadCounters();
        break;
      case ArrayBug::kUsesDispatchedStrings:
        UseDispatchedStrings(value);
        break;
      case ArrayBug::kAddsRestartably:
        for (int n = 0; n < 5; ++n) AddRestartably(&added_);
        break;
      default:
        break;
    }
    const int seen = Find(key);
    const Writing writing(*this);
    Locked locked(*this);
    const int found = Find(key);
    if (bug_ == ArrayBug::kYieldsToTwo && CountWriting() > 2) {
      return body_.next_version.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    if (bug_ == ArrayBug::kTakesBackLate && seen >= 0 && seen != found) {
      const uint64_t before = live();
      body_.live.store(before | uint64_t{1} << seen, std::memory_order_release);
      body_.live.store(before, std::memory_order_release);
    }
    return Set(found, key, value);
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    std::optional<Locked> locked;
    if (bug_ != ArrayBug::kReadsUnlocked) locked.emplace(*this);
    int found = Find(key);
    if (found < 0) return absl::NotFoundError("");
    if (value != nullptr) value->assign(slots_[found].value, slots_[found].value_size);
    return slots_[found].version;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    Locked locked(*this);
    int found = Find(key);
    if (found >= 0) Publish(uint64_t{1} << found, 0);
    return found >= 0;
  }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override {
    Locked locked(*this);
    int found = Find(key);
    const Version present = found < 0 ? kAbsent : slots_[found].version;
    if (present != expected) return CasResult{false, present};
    absl::StatusOr<Version> version = Set(found, key, value);
    if (!version.ok()) return version.status();
    return CasResult{true, *version};
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    Locked locked(*this);
    for (uint32_t n = 0; n < body_.slots; ++n) {
      const ArraySlot& slot = slots_[n];
      if ((live() >> n & 1) == 0) continue;
      if (!visit({{slot.key, slot.key_size}, {slot.value, slot.value_size}, slot.version})) break;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    RecoveryReport report;
    ParticipantTable table = segment_->participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      uint32_t generation = 0;
      if (!table.MarkIfDead(slot, &generation)) continue;
      if (bug_ == ArrayBug::kGuestReturnsEarly) CountAnew(body_);
      body_.writing.fetch_and(~(uint64_t{1} << slot), std::memory_order_relaxed);
      if (bug_ == ArrayBug::kRecoversByNumber) {
        body_.dead.fetch_or(uint64_t{1} << slot, std::memory_order_relaxed);
      }
      if (bug_ == ArrayBug::kAcknowledgesEarly) {
        Locked locked(*this);
        Publish(body_.last_acknowledged.load(std::memory_order_relaxed), 0);
      }
      report.participants += table.MarkRecovered(slot, generation);
    }
    // "Whoever died while it wrote may have damaged everything."
    if ((body_.writing.load(std::memory_order_relaxed) &
         body_.dead.load(std::memory_order_relaxed)) != 0) {
      body_.live.store(0, std::memory_order_release);
    }
    return report;
  }
  absl::StatusOr<AuditReport> DoAudit() override {
    Locked locked(*this);
    AuditReport report;
    const uint64_t all = body_.slots;
    const uint64_t alive = static_cast<uint64_t>(std::popcount(live()));
    const uint64_t lost = Counts(bug_) ? static_cast<uint64_t>(std::popcount(
                                             body_.taken.load(std::memory_order_relaxed) & ~live()))
                                       : 0;
    report.capacity = {all, all * sizeof(ArraySlot)};
    report.live = {alive, alive * sizeof(ArraySlot)};
    report.leaked = {lost, lost * sizeof(ArraySlot)};
    report.free = {all - alive - lost, (all - alive - lost) * sizeof(ArraySlot)};
    report.entries = alive;
    ParticipantTable table = segment_->participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      report.participants += table.state(slot) != ParticipantState::kFree;
    }
    return report;
  }
  absl::StatusOr<PinnedValue> DoPin(std::string_view) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<Draft> DoReserve(std::string_view, size_t) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<Version> DoCommit(uint64_t) override { return absl::UnimplementedError(""); }
  void DoReleasePin(uint64_t) override {}
  void DoDropDraft(uint64_t) override {}

  std::shared_ptr<Segment> segment_;
  Participant participant_;
  ArrayBug bug_;
  ArrayBody& body_;
  ArraySlot* slots_;
  uint64_t added_ = 0;
};

class ArrayVariant final : public Variant {
 public:
  ArrayVariant(std::string_view name, ArrayBug bug) : name_(name), bug_(bug) {
    traits_.has_pin = false;
    traits_.has_draft = false;
    if (bug == ArrayBug::kClaimsLockFree) traits_.read = Progress::kLockFree;
  }
  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return "an array under a mutex, for tests"; }
  const Traits& traits() const override { return traits_; }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(options, Layout(), [](Segment& segment, SegmentHeader&) {
      ArrayBody& body = *reinterpret_cast<ArrayBody*>(segment.body().data());
      body.mutex.Format();
      body.slots = static_cast<uint32_t>(
          std::min<size_t>((segment.body().size() - sizeof(ArrayBody)) / sizeof(ArraySlot), 63));
      return absl::OkStatus();
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<Participant> participant = segment->participants().Claim();
    if (absl::IsResourceExhausted(participant.status())) {
      RecoverAsGuest(*segment);
      participant = segment->participants().Claim();
    }
    if (bug_ == ArrayBug::kTakesMostUsedSlot) TakeMostUsed(segment->participants(), participant);
    if (!participant.ok() && bug_ == ArrayBug::kRefusedAttachLeaks) {
      ArrayBody& body = *reinterpret_cast<ArrayBody*>(segment->body().data());
      const uint64_t taken = body.taken.load(std::memory_order_relaxed);
      body.taken.store(taken | (taken + 1), std::memory_order_relaxed);
    }
    if (!participant.ok()) return participant.status();
    return std::make_unique<ArrayStore>(std::move(segment), *std::move(participant), bug_);
  }

 private:
  // Of `participant` and all that are free.
  static void TakeMostUsed(const ParticipantTable& table,
                           absl::StatusOr<Participant>& participant) {
    std::vector<Participant> others;
    while (participant.ok()) {
      absl::StatusOr<Participant> other = table.Claim();
      if (!other.ok()) return;
      if (other->generation() > participant->generation()) std::swap(*other, *participant);
      others.push_back(*std::move(other));
    }
  }
  void RecoverAsGuest(Segment& segment) const {
    const ParticipantTable table = segment.participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      uint32_t generation = 0;
      if (table.MarkIfDead(slot, &generation)) table.MarkRecovered(slot, generation);
    }
    // Nobody else knows by now that there is anything to repair.
    if (bug_ == ArrayBug::kGuestReturnsEarly) {
      CountAnew(*reinterpret_cast<ArrayBody*>(segment.body().data()));
    }
  }
  static SegmentLayout Layout() { return {.design = "sweep_array", .ledger_bytes = 0}; }

  std::string_view name_;
  ArrayBug bug_;
  Traits traits_;
};

inline const Variant* FindArrayVariant(std::string_view name) {
  static const ArrayVariant kVariants[] = {
      {"array", ArrayBug::kNone},
      {"array_one_instruction_window", ArrayBug::kOneInstructionWindow},
      {"array_consistent_without_repair", ArrayBug::kConsistentWithoutRepair},
      {"array_not_robust", ArrayBug::kNotRobust},
      {"array_leak", ArrayBug::kLeak},
      {"array_claims_lock_free", ArrayBug::kClaimsLockFree},
      {"array_acknowledges_early", ArrayBug::kAcknowledgesEarly},
      {"array_takes_as_long_as_the_clock_says", ArrayBug::kTakesAsLongAsTheClockSays},
      {"array_reads_unlocked", ArrayBug::kReadsUnlocked},
      {"array_takes_back_late", ArrayBug::kTakesBackLate},
      {"array_yields_to_two", ArrayBug::kYieldsToTwo},
      {"array_recovers_by_number", ArrayBug::kRecoversByNumber},
      {"array_longest_key_cut_off", ArrayBug::kLongestKeyCutOff},
      {"array_refused_attach_leaks", ArrayBug::kRefusedAttachLeaks},
      {"array_guest_returns_early", ArrayBug::kGuestReturnsEarly},
      {"array_takes_most_used_slot", ArrayBug::kTakesMostUsedSlot},
      {"array_reads_clocks", ArrayBug::kReadsClocks},
      {"array_reads_counters", ArrayBug::kReadsCounters},
      {"array_uses_dispatched_strings", ArrayBug::kUsesDispatchedStrings},
      {"array_copies_by_string", ArrayBug::kCopiesByString},
      {"array_wipes_and_copies_by_string", ArrayBug::kWipesAndCopiesByString},
      {"array_adds_restartably", ArrayBug::kAddsRestartably},
  };
  for (const ArrayVariant& variant : kVariants) {
    if (variant.name() == name) return &variant;
  }
  return FindVariant(name);
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SWEEP_SWEEP_ARRAY_STORE_H_
