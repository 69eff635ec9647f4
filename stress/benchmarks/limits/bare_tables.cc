// What the hardware allows for the same access pattern: fixed-size slots in shared memory, open
// addressing, no allocation, no versions, no deletion, no crash safety.
//
//   seqlock_slots    a sequence word for each slot: readers copy and validate, a writer makes it
//                    odd meanwhile (a writer that dies there blocks the slot for ever)
//   robust_stripes   a robust mutex for each stripe (the lock recovers, the data does not)
//   robust_stripes_prefetched
//                    the same, and the slot is fetched before its mutex is taken
//   slots_and_blocks a word for each slot names a block elsewhere, with key and value; a put fills
//                    another block and swaps the word. No states, holds or ledgers, so it may read
//                    a block that is being filled anew: what a lossless table of values of any size
//                    cannot do without, two misses one after the other, and nothing else
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "stress/benchmarks/limits/subject.h"
#include "variants/segment/file/huge_pages.h"
#include "variants/segment/hash.h"
#include "variants/segment/robust_mutex.h"

namespace kill9::limits {
namespace {

constexpr size_t kKeyBytes = 16;

// In the same pages as a segment.
char* MapShared(size_t bytes) {
  const int fd = memfd_create("kill9-bare-table", MFD_CLOEXEC);
  AllocateHugePages(fd, bytes);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) std::abort();
  char* memory = MapForHugePages(fd, bytes);
  if (memory == MAP_FAILED) std::abort();
  close(fd);
  return memory;
}

// Slots of one size in one array.
struct Slots {
  struct Header {
    std::atomic<uint64_t> sequence;  // 0: never used
    char key[kKeyBytes];
  };
  explicit Slots(const Load& load)
      : count(std::bit_ceil(load.entries * 2)),
        stride((sizeof(Header) + load.value_bytes + 7) / 8 * 8),
        value_bytes(load.value_bytes),
        memory(MapShared(count * stride)) {}
  ~Slots() { munmap(memory, count * stride); }
  Header& at(uint64_t index) const { return *reinterpret_cast<Header*>(memory + index * stride); }
  char* value(Header& slot) const { return reinterpret_cast<char*>(&slot + 1); }

  uint64_t count;
  size_t stride;
  size_t value_bytes;
  char* memory;
};

uint64_t Hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

class SeqlockAccess final : public Access {
 public:
  explicit SeqlockAccess(Slots& slots) : slots_(slots) {}

  bool Get(std::string_view key, std::string* value) override {
    for (uint64_t i = Hash(key);; ++i) {
      Slots::Header& slot = slots_.at(i & (slots_.count - 1));
      while (true) {
        const uint64_t before = slot.sequence.load(std::memory_order_acquire);
        if (before == 0) return false;
        if ((before & 1) != 0) continue;
        const bool same = std::memcmp(slot.key, key.data(), kKeyBytes) == 0;
        if (same) value->assign(slots_.value(slot), slots_.value_bytes);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (slot.sequence.load(std::memory_order_relaxed) != before) continue;
        if (same) return true;
        break;
      }
    }
  }

  bool Put(std::string_view key, std::string_view value) override {
    for (uint64_t i = Hash(key);; ++i) {
      Slots::Header& slot = slots_.at(i & (slots_.count - 1));
      uint64_t before = slot.sequence.load(std::memory_order_acquire);
      if (before > 1 && std::memcmp(slot.key, key.data(), kKeyBytes) != 0) continue;
      while ((before & 1) != 0 ||
             !slot.sequence.compare_exchange_weak(before, before + 1, std::memory_order_acquire,
                                                  std::memory_order_acquire)) {
        before = slot.sequence.load(std::memory_order_acquire);
      }
      if (before != 0 && std::memcmp(slot.key, key.data(), kKeyBytes) != 0) {
        slot.sequence.store(before, std::memory_order_release);
        continue;
      }
      std::memcpy(slot.key, key.data(), kKeyBytes);
      std::memcpy(slots_.value(slot), value.data(), value.size());
      slot.sequence.store(before + 2, std::memory_order_release);
      return true;
    }
  }

 private:
  Slots& slots_;
};

class SeqlockSlots final : public Subject {
 public:
  explicit SeqlockSlots(const Load& load) : slots_(load) {}
  std::unique_ptr<Access> Open() override { return std::make_unique<SeqlockAccess>(slots_); }

 private:
  Slots slots_;
};

// Two cache lines: processors fetch them in pairs, and neighbours must not share one.
struct alignas(128) Stripe {
  RobustMutex mutex;
};

struct Striped {
  explicit Striped(const Load& load)
      // As many as striped_locks has by default.
      : stripes(std::bit_ceil(8 * std::max(1u, std::thread::hardware_concurrency()))),
        mutexes(reinterpret_cast<Stripe*>(MapShared(stripes * sizeof(Stripe)))),
        slots(load),
        part(slots.count / stripes) {
    for (uint64_t i = 0; i < stripes; ++i) mutexes[i].mutex.Format();
  }
  ~Striped() { munmap(mutexes, stripes * sizeof(Stripe)); }
  uint64_t stripes;
  Stripe* mutexes;
  Slots slots;
  uint64_t part;  // slots of a stripe; a power of two
};

class StripeAccess final : public Access {
 public:
  StripeAccess(Striped& table, bool prefetch) : table_(table), prefetch_(prefetch) {}

  bool Get(std::string_view key, std::string* value) override {
    const uint64_t hash = Hash(key);
    if (prefetch_) Prefetch(hash);
    const Held held(table_, hash);
    Slots::Header* slot = Find(hash, key);
    if (slot->sequence.load(std::memory_order_relaxed) == 0) return false;
    value->assign(table_.slots.value(*slot), table_.slots.value_bytes);
    return true;
  }

  bool Put(std::string_view key, std::string_view value) override {
    const uint64_t hash = Hash(key);
    if (prefetch_) Prefetch(hash);
    const Held held(table_, hash);
    Slots::Header* slot = Find(hash, key);
    slot->sequence.store(1, std::memory_order_relaxed);
    std::memcpy(slot->key, key.data(), kKeyBytes);
    std::memcpy(table_.slots.value(*slot), value.data(), value.size());
    return true;
  }

 private:
  struct Held {
    Held(Striped& table, uint64_t hash) : mutex(table.mutexes[hash & (table.stripes - 1)].mutex) {
      if (mutex.Lock() == RobustMutex::Acquired::kOwnerDied) mutex.Consistent();
    }
    ~Held() { mutex.Unlock(); }
    RobustMutex& mutex;
  };

  // In the stripe's own part of the slots.
  Slots::Header& SlotAt(uint64_t hash, uint64_t place) const {
    return table_.slots.at((hash & (table_.stripes - 1)) * table_.part +
                           (place & (table_.part - 1)));
  }
  void Prefetch(uint64_t hash) const {
    const char* slot = reinterpret_cast<const char*>(&SlotAt(hash, hash >> 32));
    for (size_t at = 0; at < table_.slots.stride; at += 64) __builtin_prefetch(slot + at);
    __builtin_prefetch(slot + table_.slots.stride - 1);
  }
  Slots::Header* Find(uint64_t hash, std::string_view key) {
    for (uint64_t i = hash >> 32;; ++i) {
      Slots::Header& slot = SlotAt(hash, i);
      if (slot.sequence.load(std::memory_order_relaxed) == 0 ||
          std::memcmp(slot.key, key.data(), kKeyBytes) == 0) {
        return &slot;
      }
    }
  }

  Striped& table_;
  bool prefetch_;
};

class RobustStripes final : public Subject {
 public:
  RobustStripes(const Load& load, bool prefetch) : table_(load), prefetch_(prefetch) {}
  std::unique_ptr<Access> Open() override {
    return std::make_unique<StripeAccess>(table_, prefetch_);
  }

 private:
  Striped table_;
  bool prefetch_;
};

struct Blocks {
  static constexpr uint64_t kSpare = 256;  // of each worker
  static constexpr uint64_t kWorkers = 64;
  struct Free {
    std::atomic_flag locked;
    uint64_t count;
    uint32_t block[kSpare * kWorkers];
  };
  explicit Blocks(const Load& load)
      // As many slots as cas_slots makes of the same load.
      : slot_count(load.entries * 8),
        stride((kKeyBytes + load.value_bytes + 63) / 64 * 64),
        value_bytes(load.value_bytes),
        // Block 0 is none.
        block_count(1 + load.entries + kSpare * kWorkers),
        slots(reinterpret_cast<std::atomic<uint64_t>*>(MapShared(slot_count * 8))),
        memory(MapShared(block_count * stride)),
        free(*new (MapShared(sizeof(Free))) Free{}),
        next(*new (MapShared(64)) std::atomic<uint64_t>(1)) {}
  ~Blocks() {
    munmap(slots, slot_count * 8);
    munmap(memory, block_count * stride);
    munmap(&free, sizeof(Free));
    munmap(&next, 64);
  }
  char* at(uint64_t word) const { return memory + (word & 0xffffffff) * stride; }

  uint64_t slot_count;
  size_t stride;
  size_t value_bytes;
  uint64_t block_count;
  std::atomic<uint64_t>* slots;  // a count of changes above, a block below
  char* memory;
  Free& free;
  std::atomic<uint64_t>& next;  // the first block that was never used
};

class BlockAccess final : public Access {
 public:
  explicit BlockAccess(Blocks& table) : table_(table) {
    const Locked locked(table_.free.locked);
    for (uint32_t& block : spare_) {
      block = table_.free.count > 0 ? table_.free.block[--table_.free.count] : NextUnused();
    }
  }
  ~BlockAccess() override {
    const Locked locked(table_.free.locked);
    for (uint32_t block : spare_) table_.free.block[table_.free.count++] = block;
  }

  bool Get(std::string_view key, std::string* value) override {
    for (uint64_t i = SlotOf(Hash(key));; i = i + 1 == table_.slot_count ? 0 : i + 1) {
      for (;;) {
        // Acquire: pairs with the swap.
        const uint64_t word = table_.slots[i].load(std::memory_order_acquire);
        if (word == 0) return false;
        const char* block = table_.at(word);
        const bool same = std::memcmp(block, key.data(), kKeyBytes) == 0;
        if (same) value->assign(block + kKeyBytes, table_.value_bytes);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (table_.slots[i].load(std::memory_order_relaxed) != word) continue;
        if (same) return true;
        break;
      }
    }
  }

  bool Put(std::string_view key, std::string_view value) override {
    const uint64_t hash = Hash(key);
    __builtin_prefetch(&table_.slots[SlotOf(hash)], 1);
    uint32_t& spare = spare_[at_++ % Blocks::kSpare];
    if (spare == 0) spare = NextUnused();
    char* fresh = table_.at(spare);
    std::memcpy(fresh, key.data(), kKeyBytes);
    std::memcpy(fresh + kKeyBytes, value.data(), value.size());
    for (uint64_t i = SlotOf(hash);; i = i + 1 == table_.slot_count ? 0 : i + 1) {
      uint64_t word = table_.slots[i].load(std::memory_order_acquire);
      while (word == 0 || std::memcmp(table_.at(word), key.data(), kKeyBytes) == 0) {
        const uint64_t swapped = ((word >> 32) + 1) << 32 | spare;
        // Release: pairs with Get.
        if (!table_.slots[i].compare_exchange_strong(word, swapped, std::memory_order_acq_rel)) {
          continue;
        }
        spare = static_cast<uint32_t>(word);  // the replaced one; 0 if there was none
        return true;
      }
    }
  }

 private:
  struct Locked {
    explicit Locked(std::atomic_flag& flag) : flag_(flag) {
      while (flag_.test_and_set(std::memory_order_acquire)) {
      }
    }
    ~Locked() { flag_.clear(std::memory_order_release); }
    std::atomic_flag& flag_;
  };

  uint64_t SlotOf(uint64_t hash) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(hash) * table_.slot_count >> 64);
  }
  uint32_t NextUnused() {
    const uint64_t block = table_.next.fetch_add(1, std::memory_order_relaxed);
    if (block >= table_.block_count) std::abort();
    return static_cast<uint32_t>(block);
  }

  Blocks& table_;
  uint32_t spare_[Blocks::kSpare];
  uint64_t at_ = 0;
};

class SlotsAndBlocks final : public Subject {
 public:
  explicit SlotsAndBlocks(const Load& load) : table_(load) {}
  std::unique_ptr<Access> Open() override { return std::make_unique<BlockAccess>(table_); }

 private:
  Blocks table_;
};

}  // namespace

std::vector<SubjectKind> BareTables() {
  return {{"seqlock_slots", SubjectKind::Role::kLimit,
           [](const Load& load) { return std::make_unique<SeqlockSlots>(load); }},
          {"robust_stripes", SubjectKind::Role::kLimit,
           [](const Load& load) { return std::make_unique<RobustStripes>(load, false); }},
          {"robust_stripes_prefetched", SubjectKind::Role::kLimit,
           [](const Load& load) { return std::make_unique<RobustStripes>(load, true); }},
          {"slots_and_blocks", SubjectKind::Role::kLimit,
           [](const Load& load) { return std::make_unique<SlotsAndBlocks>(load); }}};
}

}  // namespace kill9::limits
