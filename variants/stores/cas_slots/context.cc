#include "variants/stores/cas_slots/context.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/round_up.h"

namespace kill9::cas_slots {
namespace {

constexpr size_t kSystemPageBytes = 4096;

bool Membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

// Slot words cost 8 bytes each. With four a key, five keys of six have a word of their own.
uint64_t ChooseSlots(uint64_t body_bytes, uint64_t expected_entries) {
  constexpr uint64_t kBytesPerSlot = 80;  // nobody said: an eighth at most of the space
  constexpr uint64_t kBytesPerSlotAtLeast =
      1024;  // keeps slots short if there are more keys than said
  uint64_t most = std::max<uint64_t>(1, body_bytes / kBytesPerSlot);
  if (expected_entries == 0) return most;
  uint64_t wanted = std::max(expected_entries * kSlotsPerEntry, body_bytes / kBytesPerSlotAtLeast);
  return std::clamp<uint64_t>(wanted, 1, most);
}

}  // namespace

SegmentLayout LayoutOfSegments() {
  return {.design = "cas_slots",
          .layout_version = kLayoutVersion,
          .ledger_bytes = sizeof(Ledger),
          .can_keep_terms = true};
}

bool RegisterForBarriers() { return Membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED); }

absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(const SegmentOptions& options) {
  return Segment::Create(
      options, LayoutOfSegments(),
      [&options](Segment& segment, SegmentHeader& header) -> absl::Status {
        const uint64_t body = segment.body().size();
        const uint64_t slots = ChooseSlots(body, options.expected_entries);
        const uint64_t pages_offset = header.body_offset + RoundUp(slots * 8, 64);
        // Each page needs its words as well; what rounding to system pages costs is paid in pages.
        const uint64_t left = header.size_bytes - std::min(header.size_bytes, pages_offset);
        constexpr uint64_t kWordsOfPage = sizeof(Page) + sizeof(SharedWord);
        uint64_t pages = left / (kPageBytes + kWordsOfPage);
        uint64_t heap_offset = 0;
        for (;; --pages) {
          if (pages == 0) {
            return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                           " bytes leaves no room for values"));
          }
          heap_offset = RoundUp(pages_offset + pages * kWordsOfPage, kSystemPageBytes);
          if (heap_offset + pages * kPageBytes <= header.size_bytes) break;
        }
        if (pages > kMaxPages || slots >= (uint64_t{1} << 32) - 1) {
          return absl::InvalidArgumentError(absl::StrCat("a segment of ", header.size_bytes,
                                                         " bytes is too large: at most ",
                                                         (kMaxPages * kPageBytes) >> 30, " GiB"));
        }
        // Zero is right for all else: Empty(0) slots, Free pages, ledgers that hold nothing.
        header.parameters[kSlotCount] = slots;
        header.parameters[kSlotsOffset] = header.body_offset;
        header.parameters[kPageCount] = pages;
        header.parameters[kPagesOffset] = pages_offset;
        header.parameters[kFloorsOffset] = pages_offset + pages * sizeof(Page);
        header.parameters[kHeapOffset] = heap_offset;
        header.parameters[kAsymmetric] = RegisterForBarriers() ? 1 : 0;
        return absl::OkStatus();
      });
}

absl::Status CheckParameters(const Segment& segment) {
  const SegmentHeader& header = segment.header();
  const uint64_t* const parameters = header.parameters;
  const uint64_t slots = parameters[kSlotCount];
  const uint64_t pages = parameters[kPageCount];
  // In the order of their places, each with what it takes.
  const uint64_t offsets[] = {parameters[kSlotsOffset], parameters[kPagesOffset],
                              parameters[kFloorsOffset], parameters[kHeapOffset]};
  bool sound = slots > 0 && slots < (uint64_t{1} << 32) - 1 && pages > 0 && pages <= kMaxPages;
  const uint64_t taken[] = {slots * 8, pages * sizeof(Page), pages * sizeof(SharedWord),
                            pages * kPageBytes};
  uint64_t end = std::max<uint64_t>(
      header.body_offset, Segment::kHeaderBytes + ParticipantTable::Bytes(header.max_participants,
                                                                          header.ledger_bytes));
  for (int i = 0; i < 4; ++i) {
    sound = sound && offsets[i] >= end && offsets[i] <= segment.size() &&
            offsets[i] % sizeof(SharedWord) == 0;
    end = offsets[i] + taken[i];
  }
  // A block's header is of one granule, and its state word does not lie across two lines.
  if (sound && end <= segment.size() && offsets[3] % kLineBytes == 0 &&
      header.ledger_bytes == sizeof(Ledger)) {
    return absl::OkStatus();
  }
  return absl::DataLossError("the segment is damaged: its header's parameters contradict its size");
}

Context::Context(std::shared_ptr<Segment> segment, const Participant& participant)
    : segment_(std::move(segment)),
      participants_(segment_->participants()),
      slots_(reinterpret_cast<SharedWord*>(segment_->base() +
                                           segment_->header().parameters[kSlotsOffset])),
      pages_(
          reinterpret_cast<Page*>(segment_->base() + segment_->header().parameters[kPagesOffset])),
      floors_(reinterpret_cast<SharedWord*>(segment_->base() +
                                            segment_->header().parameters[kFloorsOffset])),
      heap_(segment_->base() + segment_->header().parameters[kHeapOffset]),
      heap_end_(heap_ + segment_->header().parameters[kPageCount] * kPageBytes),
      slot_count_(segment_->header().parameters[kSlotCount]),
      page_count_(static_cast<uint32_t>(segment_->header().parameters[kPageCount])),
      granules_(page_count_ * uint32_t{kGranulesInPage}),
      index_(participant.slot()),
      tag_(uint64_t{participant.generation()} << 32),
      ledger_(&participants_.ledger_as<Ledger>(index_)),
      asymmetric_(segment_->header().parameters[kAsymmetric] != 0) {}

void Context::RaiseFloor(uint32_t page, uint64_t count) const {
  SharedWord& floor = this->floor(page);
  // Relaxed, all: who makes blocks in the page has claimed it before, and the release with which it
  // became Free comes after this.
  uint64_t seen = floor.load(std::memory_order_relaxed);
  while (seen < count && !floor.compare_exchange_weak(seen, count, std::memory_order_relaxed,
                                                      std::memory_order_relaxed)) {
  }
}

int Context::NumberOf(Ref ref, PageWord word) {
  uint32_t offset = (ref - 1) % kGranulesInPage * kGranuleBytes;
  if (word.is_span()) return offset == 0 ? 0 : -1;
  if (!word.is_small()) return -1;
  uint32_t block_bytes = kClassBytes[word.size_class()];
  if (offset % block_bytes != 0 || offset / block_bytes >= BlocksInPage(word.size_class())) {
    return -1;
  }
  return static_cast<int>(offset / block_bytes);
}

void Context::Hint(Ref ref) const {
  if (!IsPlace(ref)) return;
  Page& page = this->page(PageOf(ref));
  // Relaxed: if the page has changed its shape meanwhile, the hint is merely wrong.
  const PageWord word{page.word.load(std::memory_order_relaxed)};
  const int number = NumberOf(ref, Checked(PageOf(ref), word));
  if (number < 0) return;
  // Release: pairs with the acquire of whoever clears the bit: it sees the block's state Free (I4).
  // [spare release: who takes the block scans for holds before, and acquires what ended them]
  page.hints.fetch_or(uint64_t{1} << number, std::memory_order_release);
}

void Context::Barrier() const {
  if (!asymmetric_) return;  // the seq_cst loads of CollectHolds pair with those stores of Publish
  // Every participant is registered (Attach), and the command has no other reason to fail.
  if (!Membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED)) {
    std::perror("kill9: membarrier");
    std::abort();
  }
}

// The order of the three rounds matters: a hold moves from a ledger word of the first round to one
// of the second (a recoverer protects what its victim's ledger names) or of the third (a pin
// follows the hold under which it was found), and is cleared in its old place only after it stands
// in the new one. So who is missed in its old place is found in the new one.
void Context::CollectHolds(std::vector<Ref>& held) const {
  held.clear();
  Barrier();
  // Seq_cst: pairs with Publish. As acquires they pair with Clear: what was read under a hold that
  // is gone was read before the caller's writes.
  auto add = [&held](const SharedWord& word) {
    if (Ref ref = Named(word.load(std::memory_order_seq_cst)); ref != 0) held.push_back(ref);
  };
  const uint32_t count = participants_.size();
  for (uint32_t i = 0; i < count; ++i) {
    ParticipantState state = participants_.state(i);
    if (state == ParticipantState::kFree) continue;
    Ledger& ledger = ledger_of(i);
    for (SharedWord* word : {&ledger.scratch, &ledger.new_entry, &ledger.new_node,
                             &ledger.entry_hold, &ledger.node_hold}) {
      add(*word);
    }
    if (state != ParticipantState::kDead) continue;
    // These lead recoverers to blocks; while their participant lives they lead nobody. Seq_cst: as
    // above.
    for (const SharedWord& word : ledger.drafts) add(word);
    if (uint32_t start = Named(ledger.page_start.load(std::memory_order_seq_cst)); start != 0) {
      held.push_back(FirstOf(start - 1));
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (participants_.state(i) == ParticipantState::kFree) continue;
    add(ledger_of(i).recovery_hold);
    add(ledger_of(i).recovery_node);
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (participants_.state(i) == ParticipantState::kFree) continue;
    for (const SharedWord& word : ledger_of(i).pins) add(word);
  }
  std::sort(held.begin(), held.end());
}

}  // namespace kill9::cas_slots
