// The store contract: what every design in variants/stores/ implements, the baselines and the peers
// with them. It adds to what all shared objects have in common (object.h).
//
// A store maps keys to values (bytes) in one segment that any number of processes share. What a
// Store holds when its process dies (pins, drafts, half-done operations) is given back by whichever
// survivor calls Recover(), or by an operation that needs the room.
//
// Errors, beside those of object.h, the same in every design:
//
//   kInvalidArgument     key empty or longer than max_key_bytes; value longer than max_value_bytes;
//                        a version, pin or draft that cannot be one of this store's
//   kNotFound            the key is absent (no message: a miss allocates nothing)
//   kResourceExhausted   no room left for the value, or no hold left in the ledger; nothing
//                        changed, nothing leaked
//   kUnimplemented       this store does not have the operation; its traits say so; or its segment
//                        keeps no terms
//   kOutOfRange          Increment of what is no number
//
// Where a program has closed the segment's descriptor (object.h), Get, Put and the others go on; an
// operation that would have to recover for room finds none. Once the participant has ended by that,
// its pinned values have, too.
//
// A segment may keep *terms* (SegmentOptions::keeps_terms, Traits::can_keep_terms): an entry has a
// deadline and a mark, one participant can have the *lease* of a key, and all can be cleared in one
// step (docs/cache.md). There
//
//   expired    An entry whose deadline is over is absent for every operation. The first one that
//              finds it so removes it before it says so: it never comes back, also if the clock is
//              set back. What nobody looks at is removed when its room is needed.
//   clear      An entry carries the era in which it was set, and those of past eras are absent.
//   lease      The entry says who computes its value. Whatever sets, erases or clears the key ends
//              the lease, and then PutLeased of the old holder is refused. If the holder dies, one
//              of those who wait has the lease at once. To be leased changes an entry's version.
//
// In a segment without terms none of this costs anything.
//
// Strict linearizability (Aguilera and Frølund 2003) is the condition that a lossless store meets:
// an operation takes effect at one moment between its call and its return, and one cut off by its
// process's death takes effect before the death or never.
#ifndef KILL9_VARIANTS_STORE_H_
#define KILL9_VARIANTS_STORE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/deadline.h"
#include "variants/object.h"
#include "variants/segment/terms.h"

namespace kill9 {

// Tells one setting of a key from every other: it never repeats for a key, across erase and
// re-insert too. Of two versions of one key the later one is greater. 0 stands for "absent".
using Version = uint64_t;
inline constexpr Version kAbsent = 0;

struct CasResult {
  bool swapped = false;
  Version version = kAbsent;  // swapped: the new version; else the present one
};

// What ForEach shows of an entry; the views end with the visitor's call.
struct EntryView {
  std::string_view key;
  std::string_view value;
  Version version = kAbsent;
  Terms terms = {};
};

// What Modify shall do with an entry.
struct Change {
  enum class Kind : uint8_t { kKeep, kSet, kErase };
  static Change Keep() { return {}; }
  // `value` stays valid until the call of the function that follows, or Modify's return.
  static Change Set(std::string_view value, const Terms& terms = {}) {
    return {Kind::kSet, value, terms};
  }
  static Change Erase() { return {Kind::kErase, {}, {}}; }

  Kind kind = Kind::kKeep;
  std::string_view value;
  Terms terms = {};
};

struct Modified {
  bool changed = false;
  Version version = kAbsent;  // what the key has now
};

struct Incremented {
  uint64_t number = 0;
  Version version = kAbsent;
};

// The right and the duty to compute a key's value. Of the participant that got it, while it lives.
struct LeaseToken {
  std::string key;
  Version version = kAbsent;
};

struct LeaseOptions {
  // How long to sleep for what another computes.
  Deadline wait = Deadline::None();
  // After this the lease passes on as if the holder had died.
  std::chrono::nanoseconds lease_for = std::chrono::seconds(30);
  // An entry that lives no longer than this is to be computed anew.
  std::chrono::nanoseconds renew_before{0};
  // Who need not compute takes the present value, if there is one, instead of waiting.
  bool takes_old = false;
};

struct LeaseAnswer {
  enum class Kind : uint8_t {
    kHit,    // the value, and nobody computes it
    kLease,  // the caller computes it: PutLeased or DropLease. The value, if has_value
    kOld,    // the value, which another computes anew (LeaseOptions::takes_old)
    kBusy,   // another computes it, and the wait is over
  } kind = Kind::kBusy;
  bool has_value = false;
  Version version = kAbsent;
  Terms terms = {};
  LeaseToken lease = {};  // kLease
  Expiry until = {};      // kBusy: when the other's lease ends at the latest
};

// What participants counted in a segment that keeps terms. Figures for people: they order nothing.
struct StoreCounters {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t evictions = 0;  // entries that a lossy design forgot, as far as it knows
  uint64_t expired = 0;    // entries removed because their deadline was over
  uint64_t cleared = 0;    // because of a clear: as they are found, or their room is needed
  uint64_t leases = 0;     // given
  uint64_t waits = 0;      // for another's lease, asleep
};

// Where a design goes another way with the size of what it stores. The harness makes keys and
// values on both sides of each edge, so that its runs meet them by intent and not by luck.
struct SizeEdges {
  uint32_t max_key_bytes = 250;
  // An entry takes overhead_bytes, its key padded to a multiple of key_unit_bytes, and its value.
  uint32_t overhead_bytes = 0;
  uint32_t key_unit_bytes = 1;
  std::span<const uint32_t> entry_bytes;  // the largest such sum of each way
  std::span<const uint32_t> value_bytes;  // the longest value of each way
};

// What a store can do beyond what every object can.
struct Traits : ObjectTraits {
  bool has_compare_and_swap = true;
  bool has_pin = true;
  bool has_draft = true;
  bool has_versions = true;  // false: Put, Get and ForEach tell kAbsent instead of a version
  // A value of which one word (8 bytes) was damaged is never returned; one that was damaged in
  // several only if its checksum, of 64 bits, is the same by chance. Without it Get returns what
  // is there.
  bool values_checked = false;
  Progress read = Progress::kBlocking;   // Get
  Progress write = Progress::kBlocking;  // Put, Erase, CompareAndSwap, Reserve, Commit
  Progress pin = Progress::kBlocking;    // Pin, release
  // Where a stopped process can block others at all: the whole store, one stripe of it, or nowhere.
  enum class Reach : uint8_t { kNowhere, kStripe, kStore } blocks = Reach::kStore;
  // A process whose stripe has no room goes through the others for some: it stands, and can block,
  // in those as well, until it has found some or knows that there is none.
  bool borrows_room = false;
  bool can_keep_terms = false;  // SegmentOptions::keeps_terms
  bool moves_hot = false;       // it is a MovesHot (room.h)
  bool has_modify = false;      // Modify and what is made of it, in any segment
  SizeEdges edges = {};
};

class Store;
namespace terms {
class Handle;
}

// A zero-copy, read-only view of a value. It stays valid and unchanged until released, whatever
// others do to the key, even if its writer dies. Move-only; must be released before its Store is
// destroyed.
class PinnedValue {
 public:
  PinnedValue() = default;
  PinnedValue(Store* store, uint64_t hold, std::string_view value, Version version)
      : store_(store), hold_(hold), value_(value), version_(version) {}
  PinnedValue(PinnedValue&& other) noexcept { *this = std::move(other); }
  PinnedValue& operator=(PinnedValue&& other) noexcept;
  ~PinnedValue() { Release(); }

  void
  Release();  // idempotent; what is released or moved from shows an empty value, version kAbsent
  std::string_view value() const { return value_; }
  Version version() const { return version_; }
  const Terms& terms() const { return terms_; }

 private:
  friend class Store;
  Store* store_ = nullptr;
  uint64_t hold_ = 0;
  std::string_view value_;
  Version version_ = kAbsent;
  Terms terms_ = {};
};

// Room for a value that nobody else sees yet: fill bytes() in place, then Store::Commit makes them
// visible in one step. Dropped (destroyed uncommitted), it leaves no trace. Move-only; must not
// outlive its Store.
class Draft {
 public:
  Draft() = default;
  Draft(Store* store, uint64_t hold, std::span<char> bytes)
      : store_(store), hold_(hold), bytes_(bytes) {}
  Draft(Draft&& other) noexcept { *this = std::move(other); }
  Draft& operator=(Draft&& other) noexcept;
  ~Draft() { Drop(); }

  void Drop();  // idempotent; what is dropped or moved from has no bytes
  std::span<char> bytes() const { return bytes_; }

 private:
  friend class Store;
  Store* store_ = nullptr;
  uint64_t hold_ = 0;
  std::span<char> bytes_;
};

// The public operations check what is common to all designs (the handle is this process's own, the
// sizes fit) and hand over to the design's Do… functions.
class Store : public SharedObject {
 public:
  // Sets the key; returns the new version (kAbsent if the traits say that there are none).
  absl::StatusOr<Version> Put(std::string_view key, std::string_view value);
  absl::StatusOr<Version> Put(std::string_view key, std::string_view value, const Terms& terms);
  // Copies the value into *value (whose capacity is reused) and returns its version; kNotFound if
  // absent, *value is then unspecified. `value` may be null: only the version is asked for.
  absl::StatusOr<Version> Get(std::string_view key, std::string* value);
  absl::StatusOr<Version> Get(std::string_view key, std::string* value, Terms* terms);
  // Get of many keys, their waits for memory overlapped: each is a Get of its own. `visit` is told
  // of them in their order, null if absent; it must not call this store. Ends at the first error.
  absl::Status GetMany(std::span<const std::string_view> keys,
                       absl::FunctionRef<void(size_t index, const EntryView*)> visit);
  // Removes the key; returns whether it was there.
  absl::StatusOr<bool> Erase(std::string_view key);
  // Sets the key if its version is still `expected` (kAbsent: if the key is absent).
  absl::StatusOr<CasResult> CompareAndSwap(std::string_view key, Version expected,
                                           std::string_view value, const Terms& terms = {});
  // Changes the key in one step, as the function says of what is there (null: absent). The function
  // may be called several times, and the last call counts; it must not call this store.
  // PROGRESS: lock-free, where CompareAndSwap is. ON CRASH: as of CompareAndSwap.
  absl::StatusOr<Modified> Modify(std::string_view key,
                                  absl::FunctionRef<Change(const EntryView*)> change);
  // Sets the key if it is absent; if it is there.
  absl::StatusOr<CasResult> Add(std::string_view key, std::string_view value,
                                const Terms& terms = {});
  absl::StatusOr<CasResult> Replace(std::string_view key, std::string_view value,
                                    const Terms& terms = {});
  // kNotFound if absent. The terms stay.
  absl::StatusOr<Version> Append(std::string_view key, std::string_view bytes);
  absl::StatusOr<Version> Prepend(std::string_view key, std::string_view bytes);
  // Of a decimal number of 64 bits: an addition goes round, a subtraction ends at 0.
  absl::StatusOr<Incremented> Increment(std::string_view key, int64_t by);
  // A new deadline; value and mark stay.
  absl::StatusOr<Version> Touch(std::string_view key, Expiry expires);

  // A value, or the lease of the key, of which there is one; who has to wait does so asleep. If the
  // holder dies, one of those who wait has the lease at once; the others go on.
  // kResourceExhausted: there is no room to note the lease.
  absl::StatusOr<LeaseAnswer> GetOrLease(std::string_view key, std::string* value,
                                         const LeaseOptions& options = {});
  // Ends the lease by a value. Not swapped: the lease was no longer this one's, nothing changed.
  absl::StatusOr<CasResult> PutLeased(const LeaseToken& lease, std::string_view value,
                                      const Terms& terms = {});
  // Ends the lease without a value: another may have it. False: it was no longer this one's.
  absl::StatusOr<bool> DropLease(const LeaseToken& lease);
  // For who may not sleep in GetOrLease: readable when it may be worth asking again after kBusy.
  // kUnimplemented: the system has none left. Owned by the store. Ask ForgetTold first, then
  // GetOrLease, then wait for the descriptor; while ForgetTold says true, a millisecond at most.
  absl::StatusOr<int> LeaseDescriptor();
  bool ForgetTold();
  // For a program that keeps leases of its own in its values: the name of this participant, which
  // no other one ever has, and whether the one of a name has ended. REQUIRES: keeps_terms().
  terms::Holder Name() const;
  bool HasEnded(terms::Holder name) const;

  // Forgets everything in one step; at `when`, if no other Clear or ClearAt comes before.
  absl::Status Clear();
  absl::Status ClearAt(Expiry when);
  // Of all participants that there ever were.
  absl::StatusOr<StoreCounters> Counted();
  // Removes what has expired or was cleared. Returns how many entries. Goes through all; a write,
  // but no Reserve, does so itself when it finds no room, now and then.
  absl::StatusOr<uint64_t> DropExpired();

  // kNotFound if absent; kResourceExhausted if this participant holds all that its ledger has room
  // for.
  absl::StatusOr<PinnedValue> Pin(std::string_view key);
  // Room for `size` bytes under `key`; the key itself is untouched until Commit.
  absl::StatusOr<Draft> Reserve(std::string_view key, size_t size);
  // Publishes the draft as Put would. The draft is spent, also on an error.
  absl::StatusOr<Version> Commit(Draft draft, const Terms& terms = {});
  // Visits what is there until `visit` returns false: each key that is present throughout is seen
  // exactly once, one that comes or goes meanwhile at most once. The visitor may call this store's
  // operations.
  absl::Status ForEach(absl::FunctionRef<bool(const EntryView&)> visit);

  virtual size_t max_key_bytes() const = 0;    // at least 250
  virtual size_t max_value_bytes() const = 0;  // what the segment could hold if it were empty
  bool keeps_terms() const { return terms_ != nullptr; }
  ~Store() override;

 protected:
  // A store whose segment keeps no terms.
  explicit Store(const ForkGuard& guard);
  // A store that can keep them.
  Store(std::shared_ptr<Segment> segment, const Participant& participant);

  // Of DoPrefetch: about as many misses as a core has under way.
  static constexpr size_t kMostPrefetched = 16;
  // What terms take of a value's room.
  size_t terms_bytes() const { return keeps_terms() ? terms::kMostBytes : 0; }
  // The same of a Put.
  size_t put_terms_bytes() const { return keeps_terms() ? sizeof(terms::Trailer) : 0; }
  // What a DoGetWithTerms is made of. Each is GetByLook's shortened.
  //   Whether what was read is alive, and nobody has its lease. Then it is counted, and *terms set.
  // Asked after the entry was read: an era only rises (variants/terms/operations.cc).
  bool IsHit(const terms::Trailer& trailer, Terms* terms) const {
    // Acquire: as in CurrentEra. An order is there before the era rises by it.
    if (term_words_->order.load(std::memory_order_acquire) != 0 ||
        trailer.era_and_flags != term_words_->era.load(std::memory_order_acquire)
                                     << terms::kEraShift) [[unlikely]] {
      return false;
    }
    const Expiry expires = Expiry::AtNs(trailer.expires_unix_ns);
    if (!expires.never() && expires <= Expiry::Now()) return false;
    terms::Count(term_counters_->hits);
    if (terms != nullptr) *terms = {expires, trailer.mark};
    return true;
  }
  //   The same of an entry's bytes, which become the value's.
  bool IsHitApart(std::string_view* bytes, Terms* terms) const {
    terms::Trailer trailer;
    if (bytes->size() < sizeof trailer) return false;
    bytes->remove_suffix(sizeof trailer);
    std::memcpy(&trailer, bytes->data() + bytes->size(), sizeof trailer);
    return IsHit(trailer, terms);
  }
  //   Of a key that is not there.
  absl::Status CountMiss() const;
  //   All else: looks again, removes what is dead, and tells.
  absl::StatusOr<Version> GetByLook(std::string_view key, std::string* value, Terms* terms);
  // Dates the value that is about to be published. A design whose entries never are forgotten calls
  // it in Put, Commit and CompareAndSwap: after it has looked what is there, before the step that
  // is taken only if that has not changed.
  //   So what was set before a Clear never takes the place of what was set after it, and what is
  //   published in a past era was published while that one's last state was there.
  void Date(char* value, size_t bytes) const {
    if (era_ != nullptr) [[unlikely]]
      DateNow(value, bytes);
  }
  // Of a design that may forget entries: after this call has, or may have, forgotten some that it
  // was not asked for. Where it has published something since, the store's own calls tell.
  void TellForgotten();

 private:
  friend class PinnedValue;
  friend class Draft;

  virtual absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) = 0;
  virtual absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) = 0;
  // The same where the segment keeps terms; `terms` may be null, too. Designs have their own, which
  // does not look twice at what is alive.
  virtual absl::StatusOr<Version> DoGetWithTerms(std::string_view key, std::string* value,
                                                 Terms* terms) {
    return GetByLook(key, value, terms);
  }
  virtual absl::StatusOr<bool> DoErase(std::string_view key) = 0;
  virtual absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                                     std::string_view value) = 0;
  // Removes the entry if this is its version. Of designs whose traits say has_modify.
  virtual absl::StatusOr<bool> DoEraseVersion(std::string_view key, Version version);
  // Begins to fetch what Gets of these keys, at most kMostPrefetched, will need.
  virtual void DoPrefetch(std::span<const std::string_view> keys);
  virtual uint64_t DoCountEvictions() { return 0; }
  virtual absl::StatusOr<PinnedValue> DoPin(std::string_view key) = 0;
  virtual absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) = 0;
  virtual absl::StatusOr<Version> DoCommit(uint64_t hold) = 0;  // always spends the hold
  virtual absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) = 0;
  // `hold` is what the design put into the PinnedValue or the Draft.
  virtual void DoReleasePin(uint64_t hold) = 0;
  virtual void DoDropDraft(uint64_t hold) = 0;

  absl::Status CheckKey(std::string_view key) const;
  absl::Status CheckValue(size_t size) const;
  // Put and Get of a handle that has not asked for its limits yet, or of what must be refused.
  absl::StatusOr<Version> PutChecked(std::string_view key, std::string_view value);
  absl::StatusOr<Version> GetChecked(std::string_view key, std::string* value);

  // ---- Where the segment keeps terms (variants/terms/). The key has been checked.
  struct Seen;
  absl::Status LacksTerms() const;
  static absl::Status LacksTrailer();
  // Makes this era the current one if a clear was due, and tells it.
  uint64_t CurrentEra();
  void DateNow(char* value, size_t bytes) const;
  // What is there. What has expired or was cleared is removed: it is absent. *bytes: with terms.
  absl::StatusOr<Seen> Look(std::string_view key, std::string* bytes);
  absl::StatusOr<bool> RemoveIfDead(std::string_view key, const Seen& seen);
  absl::StatusOr<Version> PutWithTerms(std::string_view key, std::string_view value,
                                       const Terms& terms);
  absl::StatusOr<bool> EraseWithTerms(std::string_view key);
  absl::StatusOr<PinnedValue> PinWithTerms(std::string_view key);
  absl::StatusOr<Version> CommitWithTerms(uint64_t hold, std::span<char> bytes, const Terms& terms);
  absl::Status ForEachWithTerms(absl::FunctionRef<bool(const EntryView&)> visit);
  // Sets what was seen to `bytes`, with terms. Nobody else's change is overwritten.
  absl::StatusOr<CasResult> SetSeen(std::string_view key, const Seen& seen, std::string_view bytes);
  // Sets the lease of what was seen.
  absl::StatusOr<CasResult> TakeLease(std::string_view key, const Seen& seen, std::string* bytes,
                                      const LeaseOptions& options);
  absl::StatusOr<Modified> ModifyOnce(std::string_view key,
                                      absl::FunctionRef<Change(const EntryView*)> change,
                                      bool* again);
  absl::StatusOr<Version> ChangePresent(
      std::string_view key, absl::FunctionRef<absl::Status(const EntryView&, std::string*)> change);
  bool IsHolderGone(const terms::LeaseFields& lease) const;
  // When the lease of what was seen ends though nobody does anything.
  Expiry LeaseEndsBy(const Seen& seen) const;
  void WakeWaiters();
  // Whether the key is not empty, and within the limits as far as they are known.
  bool Fits(std::string_view key) const { return key.size() - 1 < known_max_key_bytes_; }
  bool FitsWithTerms(std::string_view key) const {
    return key.size() - 1 < known_key_bytes_with_terms_;
  }
  void LearnLimits() {
    if (guard().can_be_lost()) return;  // then each operation goes the way that looks at it
    if (keeps_terms()) {
      known_key_bytes_with_terms_ = max_key_bytes();
      return;
    }
    known_max_key_bytes_ = max_key_bytes();
    known_max_value_bytes_ = max_value_bytes();
  }

  // What max_key_bytes() and max_value_bytes() say, once they have been asked; they never change.
  size_t known_max_key_bytes_ = 0;
  size_t known_max_value_bytes_ = 0;
  // The same as the first one, of a segment that keeps terms, where that one stays 0.
  size_t known_key_bytes_with_terms_ = 0;
  // The era's word, while what is published now is to be dated.
  const std::atomic<uint64_t>* era_ = nullptr;
  std::unique_ptr<terms::Handle> terms_;
  // Of *terms_: what every Get asks for.
  const terms::SharedWords* term_words_ = nullptr;
  terms::CounterLine* term_counters_ = nullptr;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_STORE_H_
