#include "harness/inspect/contents.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "harness/inspect/heap_contents.h"
#include "harness/inspect/pool.h"
#include "variants/buffers/buffer_pool_design.h"
#include "variants/channel.h"
#include "variants/heap.h"
#include "variants/registry.h"
#include "variants/segment/byte_lock.h"
#include "variants/segment/file/segment_file.h"
#include "variants/store.h"

namespace kill9::inspect {
namespace {

// Makes participants of the copy live, and die, one by one.
class Lives {
 public:
  explicit Lives(const Segment& segment)
      : table_(segment.participants()),
        fd_(open(absl::StrCat("/proc/self/fd/", segment.fd()).c_str(), O_RDWR | O_CLOEXEC)) {}
  ~Lives() { close(fd_); }
  Lives(const Lives&) = delete;
  Lives& operator=(const Lives&) = delete;

  bool ok() const { return fd_ >= 0; }
  void Begin(const Attached& one) {
    TryLockByte(fd_, ProofLockByte(one.slot));
    // Who attached may have found it dead. Relaxed, as all of the copy: nobody else has it.
    Word(one.slot).store(
        uint64_t{one.generation} << 32 | static_cast<uint32_t>(ParticipantState::kInUse),
        std::memory_order_relaxed);
  }
  void End(const Attached& one) { UnlockByte(fd_, ProofLockByte(one.slot)); }

 private:
  std::atomic<uint64_t>& Word(uint32_t slot) const {
    char* const begin = table_.ledger(slot).data() - sizeof(ParticipantSlot);
    return reinterpret_cast<ParticipantSlot*>(begin)->word;
  }

  ParticipantTable table_;
  int fd_;
};

Json AsJson(const AuditReport::Account& account) {
  return {{"blocks", account.blocks}, {"bytes", account.bytes}};
}

Json AccountOf(const AuditReport& audit) {
  return {{"capacity", AsJson(audit.capacity)},
          {"free", AsJson(audit.free)},
          {"live", AsJson(audit.live)},
          {"held", AsJson(audit.held)}};
}

absl::StatusOr<Json> KeysOf(Store& store) {
  uint64_t keys = 0, key_bytes = 0, value_bytes = 0;
  const absl::Status status = store.ForEach([&](const EntryView& entry) {
    ++keys;
    key_bytes += entry.key.size();
    value_bytes += entry.value.size();
    return true;
  });
  if (!status.ok()) return status;
  return Json{{"keys", keys}, {"key_bytes", key_bytes}, {"value_bytes", value_bytes}};
}

absl::StatusOr<Json> OccupancyOf(Channel& channel) {
  const absl::StatusOr<Occupancy> occupancy = channel.Look();
  if (!occupancy.ok()) return occupancy.status();
  // The one who looks sends.
  return Json{{"waiting", occupancy->waiting},     {"taken", occupancy->taken},
              {"bytes", occupancy->bytes},         {"capacity_bytes", occupancy->capacity_bytes},
              {"senders", occupancy->senders - 1}, {"receivers", occupancy->receivers},
              {"closed", occupancy->closed}};
}

// Who only sends to a channel is told of all that is there.
absl::StatusOr<std::unique_ptr<SharedObject>> AttachTo(const Design& design,
                                                       std::shared_ptr<Segment> copy) {
  if (design.kind() != ChannelDesign::kKind) return design.AttachObject(std::move(copy));
  return static_cast<const ChannelDesign&>(design).Attach(std::move(copy),
                                                          {.role = MemberRole::kSender});
}

// A field of its kind's name, for the kinds that are known; that of heaps comes later.
absl::Status AddKind(const Design& design, SharedObject& object, Json& told) {
  absl::StatusOr<Json> more;
  if (design.kind() == Variant::kKind) {
    more = KeysOf(static_cast<Store&>(object));
  } else if (design.kind() == ChannelDesign::kKind) {
    more = OccupancyOf(static_cast<Channel&>(object));
  } else if (design.kind() == kPoolKind) {
    more = PoolOf(object);
  } else {
    return absl::OkStatus();
  }
  if (!more.ok()) return more.status();
  told[std::string(design.kind())] = *std::move(more);
  return absl::OkStatus();
}

// Of a channel: messages that somebody has taken.
uint64_t TakenIn(const Design& design, SharedObject& object) {
  if (design.kind() != ChannelDesign::kKind) return 0;
  const absl::StatusOr<Occupancy> occupancy = static_cast<Channel&>(object).Look();
  return occupancy.ok() ? occupancy->taken : 0;
}

// What comes back when each is recovered alone, the others living.
Json HoldsOf(const Design& design, SharedObject& object, const AuditReport& whole, Lives& lives,
             const std::vector<Attached>& attached) {
  Json holds = Json::array();
  AuditReport before = whole;
  uint64_t taken_before = TakenIn(design, object);
  for (const Attached& one : attached) lives.Begin(one);
  for (const Attached& one : attached) {
    lives.End(one);
    const absl::StatusOr<RecoveryReport> report = object.Recover();
    const absl::StatusOr<AuditReport> after = object.Audit();
    if (!report.ok() || !after.ok()) break;
    const uint64_t taken = TakenIn(design, object);
    const auto less = [](uint64_t was, uint64_t is) { return was > is ? was - is : 0; };
    holds.push_back({{"slot", one.slot},
                     {"blocks", less(before.held.blocks, after->held.blocks)},
                     {"bytes", less(before.held.bytes, after->held.bytes)},
                     {"taken_messages", less(taken_before, taken)},
                     {"unfinished_operations", report->rolled_back + report->rolled_forward}});
    before = *after;
    taken_before = taken;
  }
  return holds;
}

absl::StatusOr<std::shared_ptr<Segment>> CopyOf(const Design& design, const Segment& segment) {
  const int fd = memfd_create("kill9 inspect", MFD_CLOEXEC);
  if (fd < 0) return segment_file::ErrnoStatus(errno, "no memory for a second copy");
  struct stat stat {};
  fstat(segment.fd(), &stat);
  for (off_t at = 0; at < stat.st_size;) {
    if (sendfile(fd, segment.fd(), &at, static_cast<size_t>(stat.st_size - at)) > 0) continue;
    const absl::Status status = segment_file::ErrnoStatus(errno, "no memory for a second copy");
    close(fd);
    return status;
  }
  return design.FromFd(fd);  // which takes it over
}

absl::StatusOr<std::optional<SeenHeap>> SeeIfHeap(const Design& design, SharedObject& object) {
  if (design.kind() != HeapDesign::kKind) return std::nullopt;
  absl::StatusOr<SeenHeap> seen = See(static_cast<Heap&>(object));
  if (!seen.ok()) return seen.status();
  return *std::move(seen);
}

// What a second look tells of the one whom the first look had to recover: its holds, and of a heap
// all that Complete takes. `given_up` is recovered in its place.
struct SecondLook {
  Json holds;
  std::optional<SeenHeap> heap;
  HeapAccount without;
};
absl::StatusOr<SecondLook> LookAgain(const Design& design, const Segment& pristine,
                                     const std::vector<Attached>& attached,
                                     const Attached& given_up, const Attached& untold) {
  const absl::StatusOr<std::shared_ptr<Segment>> copy = CopyOf(design, pristine);
  if (!copy.ok()) return copy.status();
  Lives lives(**copy);
  if (!lives.ok()) return segment_file::ErrnoStatus(errno, "cannot open the copy once more");
  for (const Attached& one : attached) {
    if (one.slot != given_up.slot) lives.Begin(one);
  }
  const absl::StatusOr<std::unique_ptr<SharedObject>> object = AttachTo(design, *copy);
  if (!object.ok()) return object.status();
  const absl::StatusOr<AuditReport> audit = (*object)->Audit();
  if (!audit.ok()) return audit.status();
  SecondLook look;
  absl::StatusOr<std::optional<SeenHeap>> heap = SeeIfHeap(design, **object);
  if (!heap.ok()) return heap.status();
  look.heap = *std::move(heap);
  look.holds = HoldsOf(design, **object, *audit, lives, {untold});
  if (!look.heap.has_value()) return look;
  absl::StatusOr<HeapAccount> without = static_cast<Heap&>(**object).Account();
  if (!without.ok()) return without.status();
  look.without = *std::move(without);
  return look;
}

// A table without a free slot: of one participant nothing but its state is told by a look that
// recovers it, to have a slot. Another look, which recovers another one, tells of it.
struct FullTable {
  std::shared_ptr<Segment> pristine;
  Attached untold;
};

// Adds to `holds`, and to what was seen of a heap.
absl::Status TellOfUntold(const Design& design, const FullTable& full,
                          const std::vector<Attached>& attached, SeenHeap* heap, Json& holds) {
  const SeenHeap before = heap != nullptr ? *heap : SeenHeap();
  for (const Attached& given_up : attached) {
    if (given_up.recovers || given_up.slot == full.untold.slot) continue;
    const absl::StatusOr<SecondLook> look =
        LookAgain(design, *full.pristine, attached, given_up, full.untold);
    if (!look.ok()) return look.status();
    holds = look->holds;
    if (heap == nullptr) return absl::OkStatus();
    *heap = before;
    const ParticipantId id{full.untold.slot, full.untold.generation};
    if (Complete(*look->heap, look->without, id, *heap)) return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> DescribeContents(const Design& design, std::shared_ptr<Segment> copy,
                                      const std::vector<Attached>& attached) {
  Lives lives(*copy);
  if (!lives.ok()) return segment_file::ErrnoStatus(errno, "cannot open the copy once more");
  std::vector<Attached> told_apart = attached;
  std::optional<FullTable> full;
  absl::StatusOr<Json> of_full_pool;
  bool is_full_pool = false;
  const size_t participants = static_cast<size_t>(std::count_if(
      attached.begin(), attached.end(), [](const Attached& one) { return !one.recovers; }));
  if (participants >= copy->header().max_participants) {
    // No slot is left for who looks: it recovers one.
    const absl::StatusOr<std::shared_ptr<Segment>> pristine = CopyOf(design, *copy);
    is_full_pool = design.kind() == kPoolKind;
    if (is_full_pool) {
      for (const Attached& one : attached) lives.Begin(one);
      of_full_pool = PoolOfCopy(copy);
      if (!of_full_pool.ok()) return of_full_pool.status();
      for (const Attached& one : attached) lives.End(one);
    }
    const auto last = std::find_if(told_apart.rbegin(), told_apart.rend(),
                                   [](const Attached& one) { return !one.recovers; });
    if (pristine.ok()) full = {*pristine, *last};  // else one look has to do
    told_apart.erase(std::next(last).base());
    for (const Attached& one : told_apart) lives.Begin(one);
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> object = AttachTo(design, copy);
  if (!object.ok()) return object.status();
  Json told = Json::object();
  if (!design.object_traits().has_audit) {
    if (absl::Status status = AddKind(design, **object, told); !status.ok()) return status;
    const absl::StatusOr<std::optional<SeenHeap>> heap = SeeIfHeap(design, **object);
    if (!heap.ok()) return heap.status();
    if (heap->has_value()) told["heap"] = AsJson(**heap, *copy, attached);
    return told;
  }
  const absl::StatusOr<AuditReport> audit = (*object)->Audit();
  if (!audit.ok()) return audit.status();
  told["account"] = AccountOf(*audit);
  told["entries"] = audit->entries;
  told["leaked_blocks"] = audit->leaked.blocks;
  told["doubly_owned_blocks"] = audit->doubly_owned;
  told["violations"] = audit->violations;
  if (absl::Status status = AddKind(design, **object, told); !status.ok()) {
    return status;
  }
  if (is_full_pool) told[std::string(kPoolKind)] = *std::move(of_full_pool);
  absl::StatusOr<std::optional<SeenHeap>> heap = SeeIfHeap(design, **object);
  if (!heap.ok()) return heap.status();
  Json& holds = told["holds"] = Json::array();
  if (design.object_traits().has_recovery) {
    holds = HoldsOf(design, **object, *audit, lives, told_apart);
    Json of_untold = Json::array();
    if (full.has_value()) {
      absl::Status status =
          TellOfUntold(design, *full, attached, heap->has_value() ? &**heap : nullptr, of_untold);
      if (!status.ok()) return status;
    }
    for (Json& one : of_untold) holds.push_back(std::move(one));
  }
  if (heap->has_value()) {
    told["heap"] = AsJson(**heap, *copy, attached);
    told["account"] = AccountOf((*heap)->account.report);
  }
  return told;
}

}  // namespace kill9::inspect
