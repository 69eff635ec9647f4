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
//   kUnimplemented       this store does not have the operation; its traits say so
//
// Where a program has closed the segment's descriptor (object.h), Get, Put and the others go on; an
// operation that would have to recover for room finds none. Once the participant has ended by that,
// its pinned values have, too.
//
// Strict linearizability (Aguilera and Frølund 2003) is the condition that a lossless store meets:
// an operation takes effect at one moment between its call and its return, and one cut off by its
// process's death takes effect before the death or never.
#ifndef KILL9_VARIANTS_STORE_H_
#define KILL9_VARIANTS_STORE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/object.h"

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
  SizeEdges edges = {};
};

class Store;

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

 private:
  Store* store_ = nullptr;
  uint64_t hold_ = 0;
  std::string_view value_;
  Version version_ = kAbsent;
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
  // Copies the value into *value (whose capacity is reused) and returns its version; kNotFound if
  // absent, *value is then unspecified. `value` may be null: only the version is asked for.
  absl::StatusOr<Version> Get(std::string_view key, std::string* value);
  // Removes the key; returns whether it was there.
  absl::StatusOr<bool> Erase(std::string_view key);
  // Sets the key if its version is still `expected` (kAbsent: if the key is absent).
  absl::StatusOr<CasResult> CompareAndSwap(std::string_view key, Version expected,
                                           std::string_view value);
  // kNotFound if absent; kResourceExhausted if this participant holds all that its ledger has room
  // for.
  absl::StatusOr<PinnedValue> Pin(std::string_view key);
  // Room for `size` bytes under `key`; the key itself is untouched until Commit.
  absl::StatusOr<Draft> Reserve(std::string_view key, size_t size);
  // Publishes the draft as Put would. The draft is spent, also on an error.
  absl::StatusOr<Version> Commit(Draft draft);
  // Visits what is there until `visit` returns false: each key that is present throughout is seen
  // exactly once, one that comes or goes meanwhile at most once. The visitor may call this store's
  // operations.
  absl::Status ForEach(absl::FunctionRef<bool(const EntryView&)> visit);

  virtual size_t max_key_bytes() const = 0;    // at least 250
  virtual size_t max_value_bytes() const = 0;  // what the segment could hold if it were empty

 protected:
  using SharedObject::SharedObject;

 private:
  friend class PinnedValue;
  friend class Draft;

  virtual absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) = 0;
  virtual absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) = 0;
  virtual absl::StatusOr<bool> DoErase(std::string_view key) = 0;
  virtual absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                                     std::string_view value) = 0;
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
  // Whether the key is not empty, and within the limits as far as they are known.
  bool Fits(std::string_view key) const { return key.size() - 1 < known_max_key_bytes_; }
  void LearnLimits() {
    if (guard().can_be_lost()) return;  // then each operation goes the way that looks at it
    known_max_key_bytes_ = max_key_bytes();
    known_max_value_bytes_ = max_value_bytes();
  }

  // What max_key_bytes() and max_value_bytes() say, once they have been asked; they never change.
  size_t known_max_key_bytes_ = 0;
  size_t known_max_value_bytes_ = 0;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_STORE_H_
