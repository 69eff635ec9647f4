// The audit of a mutex_vector: the truth is walked once more, and what follows from it (V3) must be
// what is there.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "variants/channels/mutex_vector/space.h"

namespace kill9::mutex_vector {
namespace {

// What the truth says of an extent.
struct Use {
  uint32_t log = 0;
  uint32_t live_records = 0;
  uint32_t payloads = 0;  // that records name
  uint32_t drafts = 0;    // that rows name
  bool in_run = false;
};

struct Interval {
  uint64_t begin;
  uint64_t end;
};

}  // namespace

void Space::Audit(AuditReport& report) {
  const auto violate = [&](auto&&... parts) {
    report.violations.push_back(absl::StrCat(parts...));
  };
  std::vector<Use> uses(grown());
  std::vector<Interval> payloads;
  const auto use_payload = [&](const Payload& payload, uint32_t Use::*count) {
    if (!IsPayload(payload)) {
      violate("V7: a payload of ", payload.size, " bytes lies outside, at ", payload.at);
      return;
    }
    const uint64_t begin = payload.at * kUnit;
    if (payload.size != 0) payloads.push_back({begin, begin + payload.size});
    const uint32_t first = ExtentOf(payload);
    const bool run = HasOwnRun(payload.size);
    const uint32_t end = run ? first + ExtentsFor(payload.size) : first + 1;
    for (uint32_t i = first; i < end; ++i) {
      ++(uses[i].*count);
      uses[i].in_run |= run;
    }
  };

  // V2: the chain.
  // Relaxed: the segment is quiet, and the mutex is held.
  ExtentLink link = static_cast<ExtentLink>(header_->head.load(std::memory_order_relaxed));
  ExtentLink tail = 0;
  for (uint32_t seen = 0; link != 0 && seen <= grown(); ++seen) {
    if (link > grown() || ++uses[link - 1].log > 1) {
      violate("V2: the chain of the log is broken at extent ", link - 1);
      return;
    }
    tail = link;
    link = NextOf(link - 1);
  }
  // V2, V4, V6: the records.
  uint64_t waiting = 0, taken = 0, bytes = 0, last = 0;
  const bool sound = ForEachRecord([&](uint32_t extent, Record& record) {
    last = record.sequence;
    if (record.is() == Record::kAcknowledged) return true;
    ++uses[extent].live_records;
    ++(record.is() == Record::kWaiting ? waiting : taken);
    bytes += record.size;
    if (record.payload != 0) use_payload({record.payload, record.size}, &Use::payloads);
    if (record.is() == Record::kTaken) {
      const uint32_t slot = static_cast<uint16_t>(record.word() >> Record::kSlotShift);
      if (slot >= participants_.size() ||
          participants_.generation(slot) != static_cast<uint32_t>(record.word() >> 32) ||
          participants_.state(slot) == ParticipantState::kFree) {
        violate("V6: message ", record.sequence, " is taken by nobody who is attached");
      }
    }
    return true;
  });
  if (!sound) violate("V2, V4: a record of the log is damaged, after message ", last);
  // Relaxed: as above.
  if (header_->sent.load(std::memory_order_relaxed) <= last) {
    violate("V2: the next message's sequence is not above ", last);
  }
  uint32_t drafts = 0;
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    for (const std::atomic<uint64_t>& row : ledger(slot).rows) {
      // Relaxed: as above.
      const uint64_t word = row.load(std::memory_order_relaxed);
      if (word == 0) continue;
      ++drafts;
      use_payload(Payload::Unpack(word), &Use::drafts);
    }
  }
  // V5: no two payloads overlap.
  std::sort(payloads.begin(), payloads.end(), [](const Interval& a, const Interval& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  for (size_t i = 1; i < payloads.size(); ++i) {
    if (payloads[i].begin < payloads[i - 1].end) ++report.doubly_owned;
  }

  // V3: what follows.
  const auto same = [&](const char* what, uint64_t is, uint64_t should) {
    if (is != should) violate("V3: ", what, " is ", is, " and should be ", should);
  };
  same("tail", header_->tail, tail);
  same("waiting", header_->waiting, waiting);
  same("taken", header_->taken, taken);
  same("bytes", header_->bytes, bytes);
  same("drafts", header_->drafts, drafts);
  report.entries = waiting + taken;
  uint32_t free = 0;
  for (uint32_t i = 0; i < grown(); ++i) {
    const Use& use = uses[i];
    const Extent& extent = extent_table_[i];
    const bool in_use = use.log + use.payloads + use.drafts != 0;
    const auto count = [&](AuditReport::Account& account) {
      ++account.blocks;
      account.bytes += extent_bytes_;
    };
    if (use.log != 0 && use.payloads + use.drafts != 0) ++report.doubly_owned;
    if (extent.kind == ExtentKind::kFree) {
      ++free;
      if (in_use) violate("V3: extent ", i, " is free and in use");
      if (!in_use) count(report.free);
    } else if (!in_use) {
      count(report.leaked);
    }
    if (!in_use) continue;
    // The log's last extent, if it is empty, is given up by who needs it (GiveUpEmptyLog).
    const bool given_up = use.log != 0 && use.live_records == 0 && i + 1 == tail;
    count(given_up ? report.free : use.log + use.payloads != 0 ? report.live : report.held);
    const ExtentKind kind = use.log != 0 ? ExtentKind::kLog
                            : use.in_run ? ExtentKind::kRun
                                         : ExtentKind::kPayload;
    same(absl::StrCat("the kind of extent ", i).c_str(), static_cast<uint64_t>(extent.kind),
         static_cast<uint64_t>(kind));
    const uint32_t live = use.log != 0 ? use.live_records
                          : use.in_run ? 1
                                       : use.payloads + use.drafts;
    same(absl::StrCat("what lives in extent ", i).c_str(), extent.live, live);
    if (use.log != 0 && use.live_records == 0 && i + 1 != tail) {
      violate("V3: extent ", i, " of the log has no message left");
    }
  }
  same("free_extents", header_->free_extents, free);
  // What the file is not yet long enough for is free.
  report.free.blocks += extents_ - grown();
  report.free.bytes += (extents_ - grown()) * extent_bytes_;
  report.capacity = {extents_, extents_ * extent_bytes_};
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    if (participants_.state(slot) != ParticipantState::kFree) ++report.participants;
  }
}

}  // namespace kill9::mutex_vector
