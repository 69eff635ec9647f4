// The audit of a space of chunks: C1 as code (chunks.h), over a quiet segment, and the account of
// every chunk. Nothing is counted while the channel works, so nothing can have drifted: all is
// derived here. Of the account a block is a message, or what a chunk has beside its messages:
//
//   live    a message that waits,
//   held    one that a member has taken, or has not sent yet,
//   free    what is gone, or was never there: whoever owns the chunk, or takes it over, will use it
//   leaked  none of these.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_CHUNK_AUDIT_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_CHUNK_AUDIT_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "variants/channels/shared/chunks.h"
#include "variants/object.h"

namespace kill9::chunks {

enum class Share : uint8_t { kFree, kLive, kHeld, kLeaked };

// Of its Context it asks what a Space does, and `IsDraft(ref)`: the message was not sent yet.
template <typename Context>
class ChunkAudit {
 public:
  // `at_places`: the messages that places have. `present`: the participants that there are.
  ChunkAudit(const Context& context, const absl::flat_hash_map<Ref, Share>& at_places,
             const absl::flat_hash_set<uint32_t>& present, AuditReport& report)
      : context_(context), at_places_(at_places), present_(present), report_(report) {}

  void Run() {
    report_.capacity.bytes = context_.granule_count() * Context::kGranuleBytes;
    for (uint32_t number = 0; number < context_.chunk_count();) number += WalkChunk(number);
    if (visited_ != at_places_.size()) {
      Violation("a place has a message that no chunk has", at_places_.size() - visited_);
    }
    const uint64_t bytes =
        report_.free.bytes + report_.live.bytes + report_.held.bytes + report_.leaked.bytes;
    if (bytes != report_.capacity.bytes) {
      Violation("the chunks do not add up to the space", bytes);
    }
  }

 private:
  void Violation(std::string_view what, uint64_t where) { report_.AddViolation("C1", what, where); }
  // Relaxed: the segment is quiet.
  static uint64_t Load(const SharedWord& word) { return word.load(std::memory_order_relaxed); }

  void Account(Share share, uint64_t granules) {
    if (granules == 0) return;
    AuditReport::Account* accounts[] = {&report_.free, &report_.live, &report_.held,
                                        &report_.leaked};
    AuditReport::Account& account = *accounts[static_cast<size_t>(share)];
    ++account.blocks;
    account.bytes += granules * Context::kGranuleBytes;
    ++report_.capacity.blocks;
  }

  // The messages of a chunk or span, and what is beside them. `drafts`: what those are that were
  // not sent yet; `rest`: what is gone.
  void WalkMessages(uint32_t number, uint64_t granules, Share drafts, Share rest) {
    uint64_t end = Load(context_.chunk(number).end);
    if (end > granules) {
      Violation("a chunk's messages end beyond it", number);
      end = granules;
    }
    uint64_t at = 0;
    while (at < end) {
      const Ref ref = context_.FirstOf(number) + static_cast<Ref>(at);
      const uint64_t size =
          Context::GranulesFor(std::min(context_.bytes_of(ref), uint64_t{1} << 40));
      if (size > granules - at) {
        Violation("a message ends beyond its chunk", ref);
        break;
      }
      const auto found = at_places_.find(ref);
      if (found == at_places_.end()) {
        Account(context_.IsDraft(ref) ? drafts : rest, size);
      } else {
        Account(found->second, size);
        ++visited_;
      }
      at += size;
    }
    Account(rest, granules - at);
  }

  // Returns the number of chunks that belong together.
  uint32_t WalkChunk(uint32_t number) {
    const Chunk& chunk = context_.chunk(number);
    const ChunkWord word{Load(chunk.word)};
    const uint64_t span =
        std::clamp<uint64_t>(Load(chunk.span), 1, context_.chunk_count() - number);
    switch (word.kind()) {
      case ChunkKind::kFree:
        if (Load(chunk.end) != 0 || Load(chunk.span) != 0) {
          Violation("a free chunk has messages", number);
        }
        Account(Share::kFree, context_.chunk_granules());
        return 1;
      case ChunkKind::kBody:  // met only where no head reaches it
        Violation("a chunk is the body of no span", number);
        Account(Share::kLeaked, context_.chunk_granules());
        return 1;
      case ChunkKind::kOwned:
      case ChunkKind::kRetired:
        break;
    }
    const bool owned = word.kind() == ChunkKind::kOwned;
    const bool lost = owned && !present_.contains(word.argument());
    if (lost) Violation("a chunk is owned by nobody who is there", number);
    // A span that is half built, or half freed: its bodies end early.
    uint32_t reached = 1;
    while (reached < span &&
           ChunkWord{Load(context_.chunk(number + reached).word)}.IsBodyOf(number)) {
      ++reached;
    }
    WalkMessages(number, uint64_t{reached} * context_.chunk_granules(),
                 owned ? Share::kHeld : Share::kFree, lost ? Share::kLeaked : Share::kFree);
    return reached;
  }

  const Context& context_;
  const absl::flat_hash_map<Ref, Share>& at_places_;
  const absl::flat_hash_set<uint32_t>& present_;
  AuditReport& report_;
  uint64_t visited_ = 0;  // of at_places_
};

}  // namespace kill9::chunks

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_CHUNK_AUDIT_H_
