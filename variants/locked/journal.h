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
//
// The order matters to the compiler alone: a process that is killed has executed its stores up to
// some instruction and none after it, and the kernel orders them before the news of its death.
// Release stores keep earlier stores above them; where later plain stores must stay below (Save,
// Commit), a signal fence, which costs no instruction, holds them there. This is undo logging as in
// ARIES (Mohan et al. 1992), at word granularity and without a log manager. Journals lie with their
// participants, not with the shards, so that their lines stay in their writer's cache.
#ifndef KILL9_VARIANTS_LOCKED_JOURNAL_H_
#define KILL9_VARIANTS_LOCKED_JOURNAL_H_

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>

namespace kill9::locked {

class Journal {
 public:
  // The longest transaction (an overwrite that splits one block and merges two others) writes 34
  // words.
  static constexpr uint64_t kEntries = 56;

  struct Entry {
    uint64_t offset;  // of the word, from the segment's base
    uint64_t old_value;
  };
  struct alignas(64) Area {
    uint64_t count;
    uint64_t reserved[7];
    Entry entries[kEntries];
  };
  static_assert(sizeof(Area) == 64 + kEntries * sizeof(Entry) &&
                std::is_trivially_copyable_v<Area>);

  // REQUIRES: the caller holds the shard's mutex, and has undone what a dead holder left. `writer`
  // is the shard's word that names this journal by `id`.
  Journal(char* base, Area& area, uint64_t id, uint64_t& writer)
      : base_(base), area_(area), id_(id), writer_(writer) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Changes *word as part of the transaction.
  void Set(uint64_t* word, uint64_t value) {
    Append(word);
    // Release: the journal's entry and count come first (J2).
    std::atomic_ref<uint64_t>(*word).store(value, std::memory_order_release);
  }

  // Remembers *word, which the caller then overwrites by plain stores.
  void Save(uint64_t* word) {
    Append(word);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the plain stores stay below
  }

  // The commit point.
  //   dies before -> the next holder undoes everything: the operation never happened
  //   dies after  -> the operation happened
  //   a successor sees all of the transaction's stores, or none
  void Commit() {
    // Release: all stores of the transaction come first (J3).
    std::atomic_ref<uint64_t>(area_.count).store(0, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the next transaction's stay below
    count_ = 0;
  }

  // The end of the session: nobody is `writer` (J5). REQUIRES: committed, or nothing written.
  void Close() {
    if (writer_ == id_) {
      // Release: after the last commit.
      std::atomic_ref<uint64_t>(writer_).store(0, std::memory_order_release);
    }
  }

  // REQUIRES: the caller holds the mutex of the shard whose writer this was. Returns whether there
  // was anything to undo.
  static bool Undo(char* base, Area& area) {
    const uint64_t count = area.count;
    for (uint64_t i = count; i-- > 0;) {
      uint64_t* word = reinterpret_cast<uint64_t*>(base + area.entries[i].offset);
      // Release: keeps the order of the undo (J4); readers come after the mutex.
      std::atomic_ref<uint64_t>(*word).store(area.entries[i].old_value, std::memory_order_release);
    }
    std::atomic_ref<uint64_t>(area.count).store(0, std::memory_order_release);  // last (J4)
    return count != 0;
  }

 private:
  void Append(uint64_t* word) {
    if (count_ == 0) writer_ = id_;
    if (count_ == kEntries) {
      std::fputs("kill9: a transaction outgrew its journal\n", stderr);
      std::abort();
    }
    Entry& entry = area_.entries[count_];
    entry.offset = static_cast<uint64_t>(reinterpret_cast<char*>(word) - base_);
    entry.old_value = *word;
    // Release: the entry, and before the first one `writer`, come first (J2).
    std::atomic_ref<uint64_t>(area_.count).store(++count_, std::memory_order_release);
  }

  char* base_;
  Area& area_;
  uint64_t id_;
  uint64_t& writer_;
  uint64_t count_ = 0;
};

}  // namespace kill9::locked

#endif  // KILL9_VARIANTS_LOCKED_JOURNAL_H_
