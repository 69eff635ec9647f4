// Whether cas_slots has room for an entry, told by pages and blocks as they are.
#include <algorithm>
#include <vector>

#include "variants/stores/cas_slots/cas_slots_store.h"

namespace kill9::cas_slots {
namespace {

class Room {
 public:
  explicit Room(const Context& context) : context_(context) {
    context_.CollectHolds(held_);
    for (uint32_t page = 0; page < context_.page_count();) page += LookAt(page);
  }

  // A page more than the entry needs must be left: its slot may need a node, too.
  bool Has(size_t bytes) const {
    if (bytes > kMaxSmallBytes) {
      const size_t pages = (bytes + kPageBytes - 1) / kPageBytes;
      return longest_row_ >= pages && free_pages_ > pages;
    }
    const uint32_t size_class = ClassOf(bytes);
    // The entry takes a page that was free, or may do so: its block is one of such a page.
    const bool takes_page = !has_free_block_[size_class] || has_free_page_[size_class];
    return free_pages_ > (takes_page ? 1 : 0);
  }

 private:
  // Nobody reads in it, and its state is Free. Acquire: as Take.
  bool IsFree(Ref ref) const {
    return BlockState{context_.block(ref)->state.load(std::memory_order_acquire)}.kind() ==
               BlockKind::kFree &&
           !std::binary_search(held_.begin(), held_.end(), ref);
  }
  // Returns how many pages it has looked at.
  uint32_t LookAt(uint32_t page) {
    // Acquire: pairs with the releases of page words.
    const PageWord word =
        context_.Checked(page, PageWord{context_.page(page).word.load(std::memory_order_acquire)});
    const uint32_t pages = word.kind() == PageKind::kSpanHead ? word.argument() : 1;
    bool free = word.kind() == PageKind::kFree ||
                (word.kind() == PageKind::kSpanHead && IsFree(Context::FirstOf(page)));
    if (word.kind() == PageKind::kSmall) {
      free = true;
      for (uint32_t i = 0; i < BlocksInPage(word.size_class()); ++i) {
        const bool block_is_free = IsFree(Context::RefOf(page, word.size_class(), i));
        has_free_block_[word.size_class()] |= block_is_free;
        free = free && block_is_free;
      }
      has_free_page_[word.size_class()] |= free;
    }
    row_ = free ? row_ + pages : 0;
    free_pages_ += free ? pages : 0;
    longest_row_ = std::max(longest_row_, row_);
    return pages;
  }

  const Context& context_;
  std::vector<Ref> held_;
  uint64_t free_pages_ = 0;  // or can become so: nothing in them is used
  uint64_t row_ = 0;         // of these, up to the last page that was looked at
  uint64_t longest_row_ = 0;
  bool has_free_block_[kClasses] = {};
  bool has_free_page_[kClasses] = {};  // one with nothing but free blocks
};

}  // namespace

absl::StatusOr<bool> CasSlotsStore::HasRoom(std::string_view key, size_t value_bytes) {
  const Found found = LocateAnywhere(key, segment_->Hash(key));
  if (found.damaged) return ReportDamage(found);
  const bool listed = found.entry != nullptr;
  const size_t others =
      found.node == nullptr
          ? found.other_count
          : found.node->items - size_t{StruckItems(found.node, found.word).count()};
  ReleaseHolds(found);
  if (!listed && others >= kMaxNodeItems) return false;
  return Room(context_).Has(sizeof(BlockHeader) + key.size() + value_bytes + put_terms_bytes());
}

}  // namespace kill9::cas_slots
