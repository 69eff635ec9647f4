// The undo journal of a participant: it makes any number of word stores in one shard happen
// together, or not at all, when their author is killed between any two instructions.
//
// J1  A journal is written by its participant, while that one holds the mutex of the shard that it
//     changes, and after its death by the next holder of that mutex. It is never about two shards.
// J2  Before a word of a shard is changed, the shard's `writer` names this journal and the old
//     value is in the journal: entry first, then `count`, then the word. So undoing entries count-1
//     .. 0 restores the shard as it was when count was last 0.
// J3  count = 0 means: the shard is consistent. Committing is the one store of 0.
// J4  Undo may itself be killed anywhere and run again: it restores the same old values, and clears
//     count only after all of them.
// J5  `writer` is 0 whenever the mutex is free. So who finds the mutex owner-dead either finds 0,
//     and the victim had not begun, or the victim's own journal, which nobody else touches: its
//     slot is not recovered before its shard's mutex has been taken (L4).
// J6  `shard` names the shard that the journal is about from before that shard's `writer` names the
//     journal until after it no longer does. So recovery finds a victim's transaction without
//     looking at every shard, and no shard names the journal of a slot that has been returned. A
//     session that only reads writes nothing here.
// J7  A transaction is made of words, or it is one image: the old bytes of one run, complete before
//     count says kImage, which then are overwritten. Never both, so the order of undoing is plain.
//
// The order matters to the compiler alone: a process that is killed has executed its stores up to
// some instruction and none after it, and the kernel orders them before the news of its death.
// Release stores keep earlier stores above them; where later plain stores must stay below (Save,
// Commit), a signal fence, which costs no instruction, holds them there. This is undo logging as in
// ARIES (Mohan et al. 1992), at word granularity and without a log manager. Journals lie with their
// participants, not with the shards, so that their lines stay in their writer's cache.
#ifndef KILL9_VARIANTS_STORES_LOCKED_JOURNAL_H_
#define KILL9_VARIANTS_STORES_LOCKED_JOURNAL_H_

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace kill9::locked {

class Journal {
 public:
  // The longest transaction of words (an overwrite that splits one block and merges two others) has
  // 34.
  static constexpr uint64_t kEntries = 56;
  static constexpr uint64_t kImageBytes = 496;
  static constexpr uint64_t kImage = UINT64_MAX;  // a count: the image is the transaction

  struct Entry {
    uint64_t offset;  // of the word, from the segment's base
    uint64_t old_value;
  };
  struct Image {
    uint64_t offset;  // of the first byte
    uint64_t bytes;
    char old[kImageBytes];
  };
  struct alignas(64) Area {
    uint64_t count;  // of entries, or kImage
    uint64_t shard;  // index + 1 of the shard that the transaction is about; 0: none (J6)
    uint64_t reserved[6];
    Image image;
    Entry entries[kEntries];
  };
  static_assert(sizeof(Area) == 64 + sizeof(Image) + kEntries * sizeof(Entry) &&
                std::is_trivially_copyable_v<Area> && std::is_standard_layout_v<Area>);

  // REQUIRES: the caller holds the mutex of shard `index`, and has undone what a dead holder left.
  // `writer` is the shard's word that names this journal by `id`.
  Journal(char* base, Area& area, uint64_t id, uint32_t index, uint64_t& writer)
      : base_(base), area_(area), id_(id), writer_(writer), index_(index) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Changes *word as part of the transaction.
  void Set(uint64_t* word, uint64_t value) {
    Append(word, 1);
    // Release: the journal's entry and count come first (J2).
    std::atomic_ref<uint64_t>(*word).store(value, std::memory_order_release);
  }

  // Remembers `words` words from *first, which the caller then overwrites by plain stores.
  void Save(void* first, uint64_t words) {
    Append(first, words);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the plain stores stay below
  }

  // Remembers `bytes` bytes from *first, which the caller then overwrites by plain stores: all of
  // the transaction. REQUIRES: the transaction is empty so far, bytes <= kImageBytes.
  void SaveImage(void* first, uint64_t bytes) {
    if (!open_) Open();
    area_.image.offset = static_cast<uint64_t>(static_cast<char*>(first) - base_);
    area_.image.bytes = bytes;
    std::memcpy(area_.image.old, first, bytes);
    // Release: the image, `shard` and `writer` come first (J2, J6, J7).
    std::atomic_ref<uint64_t>(area_.count).store(kImage, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the plain stores stay below
    count_ = kEntries;                                    // no word fits beside it
  }

  // What the transaction is about contradicts itself: nothing of it shall happen. Whoever says so
  // need not stop at once; all that follows until Commit or Close is undone with the rest.
  void MarkDamaged() { damaged_ = true; }
  bool damaged() const { return damaged_; }

  // False: the transaction was marked damaged; it has been undone. Else this is the commit point.
  //   dies before -> the next holder undoes everything: the operation never happened
  //   dies after  -> the operation happened
  //   a successor sees all of the transaction's stores, or none
  [[nodiscard]] bool Commit() {
    if (damaged_) [[unlikely]] {
      UndoOwn();
      return false;
    }
    // Release: all stores of the transaction come first (J3).
    std::atomic_ref<uint64_t>(area_.count).store(0, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the next transaction's stay below
    count_ = 0;
    return true;
  }

  // The end of the session: nobody is `writer` (J5). REQUIRES: committed, marked damaged, or
  // nothing written.
  void Close() {
    if (!open_) return;
    if (damaged_) [[unlikely]]
      UndoOwn();
    // Release: after the last commit. [spare release under compiler: the fence of Commit keeps it
    // there; who has undone its own has found damage]
    std::atomic_ref<uint64_t>(writer_).store(0, std::memory_order_release);
    // dies here -> recovery looks at a shard where there is nothing to undo
    // Release: after `writer` (J6). [spare release under compiler of global_mutex: the next owner
    // of the journal waits for the same shard]
    std::atomic_ref<uint64_t>(area_.shard).store(0, std::memory_order_release);
  }

  // Of what a dead writer left: kDamaged if the journal names what no transaction can have changed
  // (`may_change` tells of a run of bytes); then nothing is undone.
  enum class Undone : uint8_t { kNothing, kAll, kDamaged };
  // REQUIRES: the caller holds the mutex of the shard whose writer this was.
  template <typename MayChange>
  static Undone Undo(char* base, Area& area, MayChange may_change) {
    const uint64_t count = area.count;
    if (count == kImage) {
      if (area.image.bytes > kImageBytes || !may_change(area.image.offset, area.image.bytes)) {
        return Undone::kDamaged;
      }
    } else if (count > kEntries) {
      return Undone::kDamaged;
    }
    for (uint64_t i = count == kImage ? 0 : count; i-- > 0;) {
      const uint64_t offset = area.entries[i].offset;
      if (offset % sizeof(uint64_t) != 0 || !may_change(offset, sizeof(uint64_t))) {
        return Undone::kDamaged;
      }
    }
    Restore(base, area, count);
    return count != 0 ? Undone::kAll : Undone::kNothing;
  }

 private:
  static void Restore(char* base, Area& area, uint64_t count) {
    if (count == kImage) std::memcpy(base + area.image.offset, area.image.old, area.image.bytes);
    for (uint64_t i = count == kImage ? 0 : count; i-- > 0;) {
      uint64_t* word = reinterpret_cast<uint64_t*>(base + area.entries[i].offset);
      // Relaxed: stores to one word keep their order.
      std::atomic_ref<uint64_t>(*word).store(area.entries[i].old_value, std::memory_order_relaxed);
    }
    // Release: after all of them (J4).
    std::atomic_ref<uint64_t>(area.count).store(0, std::memory_order_release);
  }
  // Of the transaction that this process itself has begun.
  void UndoOwn() {
    Restore(base_, area_, area_.count);
    count_ = 0;
  }

  void Append(const void* first, uint64_t words) {
    if (!open_) Open();
    if (words > kEntries - count_) {
      std::fputs("kill9: a transaction outgrew its journal\n", stderr);
      std::abort();
    }
    const char* word = static_cast<const char*>(first);
    const uint64_t offset = static_cast<uint64_t>(word - base_);
    Entry* entries = area_.entries + count_;
    for (uint64_t i = 0; i < words; ++i) {
      entries[i].offset = offset + i * sizeof(uint64_t);
      std::memcpy(&entries[i].old_value, word + i * sizeof(uint64_t), sizeof(uint64_t));
    }
    count_ += words;
    // Release: the entries, and before the first ones `shard` and `writer`, come first (J2, J6).
    std::atomic_ref<uint64_t>(area_.count).store(count_, std::memory_order_release);
  }

  void Open() {
    open_ = true;
    // Relaxed: the store to `writer` orders it. Atomic: a recoverer may look at any moment.
    std::atomic_ref<uint64_t>(area_.shard).store(index_ + uint64_t{1}, std::memory_order_relaxed);
    // Release: `shard` comes first (J6); the store to count orders this one (J2). [spare release
    // under compiler of global_mutex: as in Close]
    std::atomic_ref<uint64_t>(writer_).store(id_, std::memory_order_release);
  }

  char* base_;
  Area& area_;
  uint64_t id_;
  uint64_t& writer_;
  uint64_t count_ = 0;
  uint32_t index_;
  bool open_ = false;  // writer_ and area_.shard say what is written
  bool damaged_ = false;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_STORES_LOCKED_JOURNAL_H_
