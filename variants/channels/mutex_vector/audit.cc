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

// What the audit has found so far.
struct Space::AuditState {
  AuditReport& report;
  std::vector<Use> uses = {};           // by extent
  std::vector<Interval> payloads = {};  // of all that are not empty
  ExtentLink tail = 0;
  uint64_t waiting = 0;
  uint64_t taken = 0;
  uint64_t bytes = 0;
  uint32_t drafts = 0;

  template <typename... Parts>
  void Violate(const Parts&... parts) {
    report.violations.push_back(absl::StrCat(parts...));
  }
  void Same(const std::string& what, uint64_t is, uint64_t should) {
    if (is != should) Violate("V3: ", what, " is ", is, " and should be ", should);
  }
};

void Space::Audit(AuditReport& report) const {
  AuditState state{.report = report, .uses = std::vector<Use>(grown())};
  if (!AuditChain(state)) return;
  AuditRecords(state);
  AuditRows(state);
  AuditExtents(state);
  AuditShared(state);
  state.Same("tail", header_->tail, state.tail);
  state.Same("waiting", header_->waiting, state.waiting);
  state.Same("taken", header_->taken, state.taken);
  state.Same("bytes", header_->bytes, state.bytes);
  state.Same("drafts", header_->drafts, state.drafts);
  report.entries = state.waiting + state.taken;
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    if (participants_.state(slot) != ParticipantState::kFree) ++report.participants;
  }
}

// V2: each extent of the chain once.
bool Space::AuditChain(AuditState& state) const {
  // Relaxed: the segment is quiet, and the mutex is held.
  ExtentLink link = static_cast<ExtentLink>(header_->head.load(std::memory_order_relaxed));
  while (link != 0) {
    if (link > grown() || ++state.uses[link - 1].log > 1) {
      state.Violate("V2: the chain of the log is broken at extent ", link - 1);
      return false;
    }
    state.tail = link;
    link = NextOf(link - 1);
  }
  return true;
}

void Space::UsePayload(AuditState& state, const Payload& payload, bool by_draft) const {
  if (!IsPayload(payload)) {
    state.Violate("V7: a payload of ", payload.size, " bytes lies outside, at ", payload.at);
    return;
  }
  const uint64_t begin = payload.at * kUnit;
  if (payload.size != 0) state.payloads.push_back({begin, begin + payload.size});
  const uint32_t first = ExtentOf(payload);
  const bool run = HasOwnRun(payload.size);
  if (run && begin != extents_begin_ + first * extent_bytes_) {
    state.Violate("V7: a payload with a run of its own begins in the middle of extent ", first);
    return;
  }
  const uint32_t end = run ? first + ExtentsFor(payload.size) : first + 1;
  for (uint32_t i = first; i < end; ++i) {
    Use& use = state.uses[i];
    ++(by_draft ? use.drafts : use.payloads);
    use.in_run |= run;
  }
}

// V2, V4, V6.
void Space::AuditRecords(AuditState& state) const {
  uint64_t last = 0;
  const bool sound = ForEachRecord([&](uint32_t extent, Record& record) {
    last = record.sequence;
    if (record.is() == Record::kAcknowledged) return true;
    ++state.uses[extent].live_records;
    ++(record.is() == Record::kWaiting ? state.waiting : state.taken);
    state.bytes += record.size;
    if (record.payload != 0) {
      UsePayload(state, {record.payload, record.size}, /*by_draft=*/false);
    }
    if (record.is() != Record::kTaken) return true;
    const uint32_t slot = static_cast<uint16_t>(record.word() >> Record::kSlotShift);
    if (slot >= participants_.size() ||
        participants_.generation(slot) != static_cast<uint32_t>(record.word() >> 32) ||
        participants_.state(slot) == ParticipantState::kFree) {
      state.Violate("V6: message ", record.sequence, " is taken by nobody who is attached");
    }
    return true;
  });
  if (!sound) state.Violate("V2, V4: a record of the log is damaged, after message ", last);
  // Relaxed: as in AuditChain.
  if (header_->sent.load(std::memory_order_relaxed) <= last) {
    state.Violate("V2: the next message's sequence is not above ", last);
  }
}

void Space::AuditRows(AuditState& state) const {
  for (uint32_t slot = 0; slot < participants_.size(); ++slot) {
    for (const std::atomic<uint64_t>& row : ledger(slot).rows) {
      // Relaxed: as in AuditChain.
      const uint64_t word = row.load(std::memory_order_relaxed);
      if (word == 0) continue;
      ++state.drafts;
      UsePayload(state, Payload::Unpack(word), /*by_draft=*/true);
    }
  }
  // V5: no two payloads overlap.
  std::vector<Interval>& payloads = state.payloads;
  std::sort(payloads.begin(), payloads.end(), [](const Interval& a, const Interval& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  for (size_t i = 1; i < payloads.size(); ++i) {
    if (payloads[i].begin < payloads[i - 1].end) ++state.report.doubly_owned;
  }
}

// V3, and the account.
void Space::AuditExtents(AuditState& state) const {
  AuditReport& report = state.report;
  uint32_t free = 0;
  for (uint32_t i = 0; i < grown(); ++i) {
    const Use& use = state.uses[i];
    const Extent& extent = extent_table_[i];
    const bool in_use = use.log + use.payloads + use.drafts != 0;
    const bool is_free = extent.kind == ExtentKind::kFree;
    free += is_free ? 1 : 0;
    if (is_free && in_use) state.Violate("V3: extent ", i, " is free and in use");
    const uint32_t payloads = use.payloads + use.drafts;
    if (payloads > (use.log != 0 ? 0u : use.in_run ? 1u : payloads)) ++report.doubly_owned;
    // The log's last extent, if it is empty, is given up by who needs it (GiveUpEmptyLog).
    const bool is_empty_log = use.log != 0 && use.live_records == 0;
    AuditReport::Account& account = !in_use        ? (is_free ? report.free : report.leaked)
                                    : is_empty_log ? report.free
                                    : use.log + use.payloads != 0 ? report.live
                                                                  : report.held;
    ++account.blocks;
    account.bytes += extent_bytes_;
    if (!in_use) continue;
    const ExtentKind kind = use.log != 0 ? ExtentKind::kLog
                            : use.in_run ? ExtentKind::kRun
                                         : ExtentKind::kPayload;
    state.Same(absl::StrCat("the kind of extent ", i), static_cast<uint64_t>(extent.kind),
               static_cast<uint64_t>(kind));
    const uint32_t live = use.log != 0 ? use.live_records
                          : use.in_run ? 1
                                       : use.payloads + use.drafts;
    state.Same(absl::StrCat("what lives in extent ", i), extent.live, live);
    if (is_empty_log && i + 1 != state.tail) {
      state.Violate("V3: extent ", i, " of the log has no message left");
    }
  }
  state.Same("free_extents", header_->free_extents, free);
  // What the file is not yet long enough for is free.
  report.free.blocks += extents_ - grown();
  report.free.bytes += (extents_ - grown()) * extent_bytes_;
  report.capacity = {extents_, extents_ * extent_bytes_};
}

// V3: the next small payload comes behind all that are in its extent.
void Space::AuditShared(AuditState& state) const {
  const ExtentLink shared = header_->shared;
  if (shared == 0) return;
  if (shared > grown() || extent_table_[shared - 1].kind != ExtentKind::kPayload) {
    return state.Violate("V3: the extent for small payloads is none: ", shared);
  }
  const uint64_t begin = extents_begin_ + (shared - 1) * extent_bytes_;
  const uint64_t end = begin + EndOf(shared - 1);
  bool is_behind = end <= begin + extent_bytes_ && end % kUnit == 0;
  for (const Interval& payload : state.payloads) {
    is_behind &= ExtentOf(payload.begin) != shared - 1 || payload.end <= end;
  }
  if (!is_behind) state.Violate("V3: small payloads end elsewhere in extent ", shared - 1);
}

std::string Space::WhatDoesNotFollow() const {
  if (grown() < kFewestExtents || grown() > extents_) return "V2: it has grown to no such size";
  AuditReport report;
  Audit(report);
  if (!report.violations.empty()) return report.violations.front();
  return report.clean() ? "" : "V3, V5: an extent is used twice, or by nobody";
}

}  // namespace kill9::mutex_vector
