#include "harness/inspect/contents.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "harness/inspect/heap_map.h"
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

BlockUse UseOf(const HeapBlock& block, const std::vector<Attached>& attached) {
  const auto lives = [&](ParticipantId id) {
    return std::any_of(attached.begin(), attached.end(), [&](const Attached& one) {
      return one.lives && one.slot == id.slot && one.generation == id.generation;
    });
  };
  if (std::none_of(block.owners.begin(), block.owners.end(), lives)) return BlockUse::kOfTheDead;
  if (block.reserved) return BlockUse::kReserved;
  return block.owners.size() > 1 ? BlockUse::kShared : BlockUse::kAlone;
}

absl::StatusOr<Json> HeapOf(Heap& heap, const Segment& segment,
                            const std::vector<Attached>& attached) {
  const absl::StatusOr<HeapAccount> account = heap.Account();
  if (!account.ok()) return account.status();
  const absl::StatusOr<HeapOccupancy> occupancy = heap.Look();
  if (!occupancy.ok()) return occupancy.status();
  Json holdings = Json::array();
  for (const Holding& holding : account->holdings) {
    holdings.push_back({{"slot", holding.owner.slot},
                        {"generation", holding.owner.generation},
                        {"blocks", holding.blocks},
                        {"bytes", holding.bytes},
                        {"shared_blocks", holding.shared_blocks},
                        {"reserved_blocks", holding.reserved_blocks},
                        {"reserved_bytes", holding.reserved_bytes}});
  }
  HeapMap map(segment.header().body_offset, segment.size());
  const absl::Status status = heap.ForEach([&](const HeapBlock& block) {
    map.Add(block.handle.offset, block.bytes, UseOf(block, attached),
            block.owners.empty() ? 0 : block.owners.front().slot);
    return true;
  });
  if (!status.ok()) return status;
  return Json{{"blocks", occupancy->blocks},
              {"room_bytes", account->room_bytes},
              {"free_bytes", account->free_bytes},
              {"live_bytes", account->live_bytes},
              {"reserved_bytes", account->reserved_bytes},
              {"header_bytes", account->header_bytes},
              {"rounding_bytes", account->rounding_bytes},
              {"largest_block_bytes", occupancy->largest_block_bytes},
              {"holdings", std::move(holdings)},
              {"map", map.AsJson()}};
}

// Who only sends to a channel is told of all that is there.
absl::StatusOr<std::unique_ptr<SharedObject>> AttachTo(const Design& design,
                                                       std::shared_ptr<Segment> copy) {
  if (design.kind() != ChannelDesign::kKind) return design.AttachObject(std::move(copy));
  return static_cast<const ChannelDesign&>(design).Attach(std::move(copy),
                                                          {.role = MemberRole::kSender});
}

// A field of its kind's name, for the kinds that are known.
absl::Status AddKind(const Design& design, SharedObject& object, const Segment& copy,
                     const std::vector<Attached>& attached, Json& told) {
  absl::StatusOr<Json> more;
  if (design.kind() == Variant::kKind) {
    more = KeysOf(static_cast<Store&>(object));
  } else if (design.kind() == ChannelDesign::kKind) {
    more = OccupancyOf(static_cast<Channel&>(object));
  } else if (design.kind() == HeapDesign::kKind) {
    more = HeapOf(static_cast<Heap&>(object), copy, attached);
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

}  // namespace

absl::StatusOr<Json> DescribeContents(const Design& design, std::shared_ptr<Segment> copy,
                                      const std::vector<Attached>& attached) {
  Lives lives(*copy);
  if (!lives.ok()) return segment_file::ErrnoStatus(errno, "cannot open the copy once more");
  std::vector<Attached> told_apart = attached;
  absl::StatusOr<Json> of_full_pool;
  bool is_full_pool = false;
  const size_t participants = static_cast<size_t>(std::count_if(
      attached.begin(), attached.end(), [](const Attached& one) { return !one.recovers; }));
  if (participants >= copy->header().max_participants) {
    // No slot is left for who looks: it recovers one, of whom nothing is told then, but what a
    // pool's bytes tell of all.
    is_full_pool = design.kind() == kPoolKind;
    if (is_full_pool) {
      for (const Attached& one : attached) lives.Begin(one);
      of_full_pool = PoolOfCopy(copy);
      if (!of_full_pool.ok()) return of_full_pool.status();
      for (const Attached& one : attached) lives.End(one);
    }
    const auto last = std::find_if(told_apart.rbegin(), told_apart.rend(),
                                   [](const Attached& one) { return !one.recovers; });
    told_apart.erase(std::next(last).base());
    for (const Attached& one : told_apart) lives.Begin(one);
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> object = AttachTo(design, copy);
  if (!object.ok()) return object.status();
  Json told = Json::object();
  if (!design.object_traits().has_audit) {
    const absl::Status status = AddKind(design, **object, *copy, attached, told);
    if (!status.ok()) return status;
    return told;
  }
  const absl::StatusOr<AuditReport> audit = (*object)->Audit();
  if (!audit.ok()) return audit.status();
  told["account"] = AccountOf(*audit);
  told["entries"] = audit->entries;
  told["leaked_blocks"] = audit->leaked.blocks;
  told["doubly_owned_blocks"] = audit->doubly_owned;
  told["violations"] = audit->violations;
  if (absl::Status status = AddKind(design, **object, *copy, attached, told); !status.ok()) {
    return status;
  }
  if (is_full_pool) told[std::string(kPoolKind)] = *std::move(of_full_pool);
  told["holds"] = design.object_traits().has_recovery
                      ? HoldsOf(design, **object, *audit, lives, told_apart)
                      : Json::array();
  return told;
}

}  // namespace kill9::inspect
