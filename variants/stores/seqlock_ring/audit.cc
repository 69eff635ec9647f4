// The audit: I1 to I8 of layout.h, and the account. The block of this design is the unit of 64
// bytes: live if a readable record that an entry names covers it, held if only a hold does, leaked
// if no opener can ever take its chunk, else free (there is nothing else that can keep a unit of a
// ring from being used).
//
// I1 is about words over time, I2's second half about a moment, I9 about who sleeps; the rest is
// checked here.
//
// Acquire throughout, and relaxed after an acquire: the segment is quiet, and the audit sees all
// that those who left or died had stored.
#include <algorithm>
#include <bit>
#include <vector>

#include "absl/strings/str_cat.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {
namespace {

struct Span {
  uint64_t first_unit = 0;
  uint64_t units = 0;
  uint64_t position = 0;
  bool live = false;       // else a hold
  bool validated = false;  // a hold whose claim stands
  bool written = false;    // a hold for writing
};

}  // namespace

class Auditor {
 public:
  Auditor(const Geometry& geometry, const ParticipantTable& table)
      : geometry_(geometry), table_(table) {}

  void Violation(std::string_view invariant, const std::string& what) {
    report_.violations.push_back(absl::StrCat(std::string(invariant), ": ", what));
  }

  // I2, and the words' own form. The entries that count are added to *words.
  void Words(uint64_t index, std::vector<uint64_t>* words) {
    Bucket& bucket = geometry_.buckets[index];
    // Acquire, here and below: the segment is quiet; what its last writers did is to be seen.
    const uint64_t control = bucket.control.load(std::memory_order_acquire);
    words->clear();
    for (std::atomic<uint64_t>& slot : bucket.slots) {
      const uint64_t word = slot.load(std::memory_order_acquire);
      if (KindOf(word) == kVacant) continue;
      if (KindOf(word) != kEntry) {
        Violation("I2", absl::StrCat("bucket ", index, " has a word of kind ", KindOf(word)));
        continue;
      }
      for (uint64_t other : *words) {
        if (TagOf(other) == TagOf(word)) {
          Violation("I2", absl::StrCat("tag ", TagOf(word), " is twice in bucket ", index));
        }
      }
      words->push_back(word);
    }
    if (KindOf(control) == kVacant) return;
    if (!IsStaged(control) || KindOf(control) - kStaged >= kSlotsPerBucket) {
      Violation("I2", absl::StrCat("bucket ", index, " has a control of kind ", KindOf(control)));
      return;
    }
    const uint64_t staged = WithKind(control, kEntry);
    for (uint64_t word : *words) {
      if (word == staged) return;  // moved already
      if (TagOf(word) == TagOf(staged)) {
        Violation("I2", absl::StrCat("tag ", TagOf(word), " is staged and in bucket ", index));
      }
    }
    words->push_back(staged);
  }

  // I4 and I5, for a record that its entry's reader could read so far.
  void Record(uint64_t index, uint64_t word, const RecordHead& head, const std::string& key,
              const std::string& value, uint64_t hash) {
    if (&geometry_.BucketOf(hash) != &geometry_.buckets[index] || TagOfHash(hash) != TagOf(word)) {
      Violation("I4", absl::StrCat("bucket ", index, " names a record of another bucket or tag"));
    }
    if (head.checksum != ChecksumOf(SumOfValue(value), hash, head.position, head.version)) {
      Violation("I4", absl::StrCat("the record at position ", head.position, " (key of ",
                                   key.size(), " bytes) is damaged: its checksum is wrong"));
    }
    const uint64_t stamp = geometry_.buckets[index].stamp.load(std::memory_order_acquire);
    if (head.version == kAbsent || head.version > stamp) {
      Violation("I5",
                absl::StrCat("version ", head.version, " in bucket ", index, " of stamp ", stamp));
    }
  }

  void Live(const RecordHead& head) {
    ++report_.entries;
    spans_.push_back({.first_unit = geometry_.UnitOf(head.position),
                      .units = head.units,
                      .position = head.position,
                      .live = true});
  }

  // I7. Counts the units that nobody can ever use.
  void Chunks() {
    const uint64_t cursor = geometry_.header->cursor.load(std::memory_order_acquire);
    for (uint64_t i = 0; i < geometry_.chunk_count; ++i) {
      const uint64_t claim = geometry_.chunks[i].claim.load(std::memory_order_acquire);
      const uint64_t content = geometry_.chunks[i].content.load(std::memory_order_acquire);
      const bool never = claim == 0 && content == 0;
      if (!never && (content > claim || geometry_.ChunkOf(claim) != (claim == 0 ? 0 : i) ||
                     geometry_.ChunkOf(content) != (content == 0 ? 0 : i))) {
        Violation("I7", absl::StrCat("chunk ", i, " has claim ", claim, " and content ", content));
      }
      if (claim >= cursor) {
        Violation("I7", absl::StrCat("chunk ", i, " is claimed for ", claim, ", the cursor is at ",
                                     cursor));
        unusable_.push_back(i);
      }
    }
  }

  // I8, the holds themselves.
  void Holds() {
    const uint64_t attached = geometry_.header->attached_slots.load(std::memory_order_acquire);
    for (uint32_t slot = 0; slot < table_.size(); ++slot) {
      const ParticipantState state = table_.state(slot);
      if (state != ParticipantState::kFree) ++report_.participants;
      const Ledger& ledger = table_.ledger_as<Ledger>(slot);
      const uint64_t claims = ledger.claims.load(std::memory_order_acquire);
      if (claims == 0) continue;
      if (state == ParticipantState::kFree || claims >> 32 != table_.generation(slot) ||
          slot >= attached) {
        Violation("I8",
                  absl::StrCat("slot ", slot, " has holds of a participant that is not there"));
        continue;
      }
      for (uint32_t bits = static_cast<uint32_t>(claims); bits != 0; bits &= bits - 1) {
        const Hold& hold = ledger.holds[std::countr_zero(bits)];
        const uint64_t position =
            hold.position.load(std::memory_order_relaxed);  // ordered by claims
        const uint64_t kind_and_units = hold.units.load(std::memory_order_relaxed);
        OneHold(slot, position, kind_and_units & ~kWriteHold, (kind_and_units & kWriteHold) != 0);
      }
    }
  }

  AuditReport Finish() {
    Overlaps();
    Account();
    return std::move(report_);
  }

 private:
  void OneHold(uint32_t slot, uint64_t position, uint64_t units, bool written) {
    const uint64_t unit = geometry_.UnitOf(position);
    if (units == 0 || units > geometry_.ring_units() || unit > geometry_.ring_units() - units) {
      Violation("I8", absl::StrCat("slot ", slot, " holds ", units, " units at position ", position,
                                   ", outside of the ring"));
      return;
    }
    bool validated = true;
    for (uint64_t sequence = geometry_.SequenceOf(position);
         sequence <= geometry_.SequenceOf(position + units - 1); ++sequence) {
      validated &= geometry_.chunks[geometry_.ChunkOf(sequence)].claim.load(
                       std::memory_order_acquire) == sequence;
    }
    spans_.push_back({.first_unit = unit,
                      .units = units,
                      .position = position,
                      .validated = validated,
                      .written = written});
  }

  // I6 and I8: who owns a unit twice.
  void Overlaps() {
    std::sort(spans_.begin(), spans_.end(),
              [](const Span& a, const Span& b) { return a.first_unit < b.first_unit; });
    std::vector<const Span*> open;  // those that reach past where the sweep is
    for (const Span& span : spans_) {
      if (!span.live && !span.validated) continue;
      std::erase_if(open, [&](const Span* other) {
        return other->first_unit + other->units <= span.first_unit;
      });
      for (const Span* other : open) {
        if (!Excludes(*other, span)) continue;
        report_.doubly_owned +=
            std::min(other->first_unit + other->units, span.first_unit + span.units) -
            span.first_unit;
        Violation(span.live && other->live ? "I6" : "I8",
                  absl::StrCat("positions ", other->position, " and ", span.position, " overlap"));
      }
      open.push_back(&span);
    }
  }

  static bool Excludes(const Span& a, const Span& b) {
    if (a.position == b.position) return a.live == b.live && (a.live || (a.written && b.written));
    // A record that is about to be overwritten stays readable until the writer's first store.
    if (a.live != b.live) return !(a.live ? b : a).written;
    return a.live || a.written || b.written;
  }

  void Account() {
    std::vector<uint8_t> units(geometry_.ring_units(), kFree);
    for (uint64_t chunk : unusable_)
      Cover(units, chunk << geometry_.chunk_unit_bits, geometry_.chunk_units(), kLeaked);
    for (const Span& span : spans_) {
      if (!span.live) Cover(units, span.first_unit, span.units, kHeld);
    }
    for (const Span& span : spans_) {
      if (span.live) Cover(units, span.first_unit, span.units, kLive);
    }
    uint64_t counts[kStates] = {};
    for (uint8_t state : units) ++counts[state];
    const auto account = [](uint64_t blocks) {
      return AuditReport::Account{.blocks = blocks, .bytes = blocks * kUnitBytes};
    };
    report_.capacity = account(geometry_.ring_units());
    report_.free = account(counts[kFree]);
    report_.live = account(counts[kLive]);
    report_.held = account(counts[kHeld]);
    report_.leaked = account(counts[kLeaked]);
  }

  enum State : uint8_t { kFree, kLeaked, kHeld, kLive, kStates };
  static void Cover(std::vector<uint8_t>& units, uint64_t first, uint64_t count, State state) {
    std::fill_n(units.begin() + static_cast<std::ptrdiff_t>(first), count, state);
  }

  const Geometry& geometry_;
  const ParticipantTable& table_;
  AuditReport report_;
  std::vector<Span> spans_;
  std::vector<uint64_t> unusable_;
};

absl::StatusOr<AuditReport> RingStore::DoAudit() {
  Auditor auditor(geometry_, table_);
  std::vector<uint64_t> words;
  std::string key;
  std::string value;
  for (uint64_t i = 0; i < geometry_.bucket_count; ++i) {
    auditor.Words(i, &words);
    for (uint64_t word : words) {
      // I3: a record that is not sealed with this position has been overwritten: the entry names
      // nothing.
      RecordHead head;
      if (geometry_.UnitOf(word) >= geometry_.ring_units()) {
        auditor.Violation("I3",
                          absl::StrCat("bucket ", i, " names a position outside of the ring"));
        continue;
      }
      if (!ReadHead(geometry_, word, &head) || !StillWhole(geometry_, head) ||
          IsCleared(geometry_, head.position)) {
        continue;
      }
      key.resize(head.key_bytes);
      CopyOut(key.data(), head.key(), head.key_bytes);
      value.resize(head.value_bytes);
      CopyOut(value.data(), head.value(), head.value_bytes);
      auditor.Record(i, word, head, key, value, HashOf(key));
      auditor.Live(head);
    }
  }
  auditor.Chunks();
  auditor.Holds();
  return auditor.Finish();
}

// Chunks that nobody holds, twice as many in a row as the record takes: an opener that goes by its
// own steps then meets as many as it needs.
absl::StatusOr<bool> RingStore::HasRoom(std::string_view key, size_t value_bytes) {
  const uint64_t units = UnitsFor(key.size(), value_bytes + put_terms_bytes());
  const uint64_t wanted = (units + geometry_.chunk_units() - 1) >> geometry_.chunk_unit_bits;
  std::vector<bool> held(geometry_.chunk_count);
  bool any_held = false;
  for (uint32_t slot = 0; slot < table_.size(); ++slot) {
    const Ledger& ledger = table_.ledger_as<Ledger>(slot);
    // Acquire: pairs with the holder's store.
    uint32_t bits = static_cast<uint32_t>(ledger.claims.load(std::memory_order_acquire));
    for (; bits != 0; bits &= bits - 1) {
      const Hold& hold = ledger.holds[std::countr_zero(bits)];
      // Relaxed: the segment is quiet.
      const uint64_t first = geometry_.UnitOf(hold.position.load(std::memory_order_relaxed));
      const uint64_t count = hold.units.load(std::memory_order_relaxed) & ~kWriteHold;
      any_held = true;
      for (uint64_t unit = first; unit < first + count && unit < geometry_.ring_units();
           unit += geometry_.chunk_units()) {
        held[unit >> geometry_.chunk_unit_bits] = true;
      }
      const uint64_t last = std::min(first + count, geometry_.ring_units()) - 1;
      held[last >> geometry_.chunk_unit_bits] = true;
    }
  }
  if (!any_held) return wanted <= geometry_.chunk_count;
  uint64_t row = 0;
  for (const bool one : held) {
    row = one ? 0 : row + 1;
    if (row >= 2 * wanted) return true;
  }
  return false;
}

}  // namespace kill9::ring
