// cas_slots: lock-free, and it loses nothing when anyone dies anywhere.
//
// Read layout.h first (slot words, blocks, pages, ledgers; I1-I7), then cas_slots_store.cc (Commit
// is the commit point of everything), heap.cc, recovery.cc, audit.cc. The argument for crash
// safety, instruction by instruction, is in docs/decisions/2026-11-22-cas-slots.md.
#include <array>
#include <iterator>

#include "variants/registry.h"
#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9 {
namespace {

// The small block sizes, then spans of one page and more.
constexpr auto kEntryEdges = [] {
  constexpr uint32_t kSpans[] = {1, 2, 3, 8, 32};  // in pages
  std::array<uint32_t, cas_slots::kClasses + std::size(kSpans)> edges{};
  size_t count = 0;
  for (const uint32_t bytes : cas_slots::kClassBytes) edges[count++] = bytes;
  for (const uint32_t pages : kSpans) edges[count++] = pages * cas_slots::kPageBytes;
  return edges;
}();

class CasSlotsVariant final : public Variant {
 public:
  std::string_view name() const override { return "cas_slots"; }
  std::string_view summary() const override {
    return "lock-free: one CAS of a 64-bit slot word publishes; every block has a findable owner";
  }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own;
      own.can_keep_terms = true;
      own.has_modify = true;
      own.read = Progress::kLockFree;
      own.write = Progress::kLockFree;
      own.pin = Progress::kLockFree;
      own.blocks = Traits::Reach::kNowhere;
      own.edges = {.max_key_bytes = cas_slots::kMaxKeyBytes,
                   .overhead_bytes = sizeof(cas_slots::BlockHeader),
                   .key_unit_bytes = 1,
                   .entry_bytes = kEntryEdges,
                   .value_bytes = {}};
      own.recovery_trigger =
          "Recover(), an attach that finds no slot, or an allocation that finds no room";
      own.recovery_cost = "what the dead participants' ledgers name";
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return cas_slots::CreateSegment(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, cas_slots::LayoutOfSegments());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, cas_slots::LayoutOfSegments());
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return cas_slots::AttachStore(std::move(segment));
  }
};

}  // namespace

const Variant& CasSlots();
const Variant& CasSlots() {
  static const CasSlotsVariant variant;
  return variant;
}

}  // namespace kill9
