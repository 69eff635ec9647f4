// The audit of a buffer pool: B1 to B7 as code, and the account of every byte. Nothing is counted
// while the pool works, so nothing can have drifted: all is derived here.
#include <algorithm>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "variants/buffers/account_of_copy.h"
#include "variants/buffers/buffer_pool.h"

namespace kill9 {
namespace {

using buffers::Descriptor;
using buffers::HoldKind;
using buffers::HoldWord;
using buffers::Space;

class PoolAudit {
 public:
  explicit PoolAudit(const Space& space) : space_(space) {}

  BufferPoolAccount Run() {
    AuditReport& report = account_.report;
    const ParticipantTable& table = space_.participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) report.participants += IsThere(slot);
    for (uint64_t number = 0; number < space_.buffers_most(); ++number) AddBuffer(number);
    space_.arena().Walk([this](const locked::Heap::BlockView& view) { AddBlock(view); },
                        report.violations);
    for (const auto& [payload, number] : payloads_) {
      Violate("B7", "a buffer's block is none of the arena", number);
    }
    account_.room_bytes = space_.arena().capacity_bytes();
    const uint64_t sum = account_.free_bytes + account_.live_bytes + account_.header_bytes +
                         account_.rounding_bytes + report.leaked.bytes;
    if (sum != account_.room_bytes) Violate("B7", "the blocks do not add up to the room", sum);
    const auto append = [](const std::map<uint32_t, uint64_t>& from, std::vector<HoldsOf>& to) {
      for (const auto& [holder, holds] : from) to.push_back({holder, holds});
    };
    append(of_participants_, account_.of_participants);
    append(of_messages_, account_.of_messages);
    return std::move(account_);
  }

 private:
  bool IsThere(uint32_t slot) const {
    const ParticipantTable& table = space_.participants();
    return slot < table.size() && (table.state(slot) == ParticipantState::kInUse ||
                                   table.state(slot) == ParticipantState::kDead);
  }
  bool AnyIsDead() const {
    uint32_t generation = 0;
    for (uint32_t slot = 0; slot < space_.participants().size(); ++slot) {
      if (space_.participants().MarkIfDead(slot, &generation)) return true;
    }
    return false;
  }
  void Violate(std::string_view invariant, std::string_view what, uint64_t where) {
    account_.report.AddViolation(invariant, what, where);
  }

  void AddBuffer(uint64_t number) {
    Descriptor& buffer = space_.descriptor(number);
    const bool is_buffer = buffer.state == Descriptor::kBuffer;
    // Relaxed: the pool is quiet.
    const uint64_t used = buffer.used.load(std::memory_order_relaxed);
    uint64_t holds = 0;
    for (uint64_t i = 0; i < space_.holds_most(); ++i) {
      const HoldWord word = space_.WordOf(number, i);
      if (word.kind() == HoldKind::kFree) continue;
      ++holds;
      if (!is_buffer || i >= used) Violate("B4", "a hold where there can be none", number);
      if (word.kind() == HoldKind::kSent) {
        ++of_messages_[word.holder()];
      } else {
        ++of_participants_[word.holder()];
        if (!IsThere(word.holder())) Violate("B1", "held by nobody who is there", number);
      }
    }
    account_.holds += holds;
    if (!is_buffer) return;
    // Between its last hold and the end of it somebody may have died, whom nobody has recovered.
    if (holds == 0 && !AnyIsDead()) Violate("B5", "a buffer without a hold", number);
    if (!payloads_.emplace(buffer.payload, number).second) {
      ++account_.report.doubly_owned;
      Violate("B7", "two buffers have one block", number);
    }
  }

  void AddBlock(const locked::Heap::BlockView& view) {
    AuditReport& report = account_.report;
    const auto add = [&view](AuditReport::Account& account) {
      ++account.blocks;
      account.bytes += view.bytes;
    };
    add(report.capacity);
    const auto found = payloads_.find(view.payload);
    if (!view.used || view.findable) {
      add(report.free);
      account_.free_bytes += view.bytes;
      if (found != payloads_.end()) ++report.doubly_owned;
    } else if (found == payloads_.end()) {
      add(report.leaked);
    } else {
      add(report.live);
      ++report.entries;
      const uint64_t bytes = space_.descriptor(found->second).bytes;
      const uint64_t room = view.bytes - locked::Heap::kBlockHeaderBytes;
      if (bytes > room) Violate("B5", "a buffer has more bytes than room", found->second);
      account_.live_bytes += std::min(bytes, room);
      account_.rounding_bytes += room - std::min(bytes, room);
      account_.header_bytes += locked::Heap::kBlockHeaderBytes;
    }
    if (found != payloads_.end()) payloads_.erase(found);
  }

  const Space& space_;
  BufferPoolAccount account_;
  absl::flat_hash_map<uint64_t, uint64_t> payloads_;  // of buffers; to the descriptor's number
  std::map<uint32_t, uint64_t> of_participants_, of_messages_;
};

}  // namespace

absl::StatusOr<BufferPoolAccount> BufferPool::AccountOf() {
  const buffers::Session session(space_);
  if (!session.entered) return Damaged();
  return PoolAudit(space_).Run();
}

absl::StatusOr<BufferPoolAccount> buffers::AccountOfCopy(std::shared_ptr<Segment> copy) {
  if (absl::Status status = Space::Check(*copy); !status.ok()) return status;
  Space space(std::move(copy));
  PoolHeader& header = space.header();
  header.mutex.Reset(!header.mutex.LooksFree() || header.writer != 0);
  const Session session(space);
  if (!session.entered) return Damaged();
  return PoolAudit(space).Run();
}

}  // namespace kill9
