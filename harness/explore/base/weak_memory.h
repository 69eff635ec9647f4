// What the C++ memory model lets each participant see of the contended words.
//
// Each word that atomic operations touch has all its stores, in their order of modification. A
// participant's view says, for each word, the oldest store that it may still read; a release gives
// its view away with the store, an acquire takes it. That is the view-based machine of Kang et al.
// (A promising semantics for relaxed-memory concurrency, 2017) without promises, with the release
// sequences of C++20, and with seq_cst as C++20 has it (P0668).
//
// Its executions are exactly those in which `sequenced before`, `reads from` and the order of the
// seq_cst operations have no cycle together. What that leaves out of C++: values out of thin air, a
// load that a later store of its own thread overtakes (load buffering), and a seq_cst operation
// that a relaxed one of its own thread overtakes.
//
// Plain accesses see the newest store. They are right as long as there is no data race, and each
// race is found: by clocks, which count each participant's accesses.
#ifndef KILL9_HARNESS_EXPLORE_BASE_WEAK_MEMORY_H_
#define KILL9_HARNESS_EXPLORE_BASE_WEAK_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kill9::explore {

// As the compiler numbers them.
enum class Order : uint8_t { kRelaxed, kConsume, kAcquire, kRelease, kAcqRel, kSeqCst };
constexpr bool Acquires(Order order) {
  return order != Order::kRelaxed && order != Order::kRelease;
}
constexpr bool Releases(Order order) { return order >= Order::kRelease; }

class WeakMemory {
 public:
  static constexpr int kFibers = 7;
  // Bounds of what is kept account of: more is treated as if everybody saw it at once, and
  // `narrowed` says that something was left out.
  static constexpr int kLocations = 96;
  static constexpr int kStores = 64;    // of one word
  static constexpr int kMostAges = 20;  // that are offered to one load
  static constexpr int kNone = -1;

  // Of a scene: no word is known, the segment has so many.
  void Forget(uint64_t words);
  // A schedule begins: each word has one store, its beginning.
  void Begin(int fibers);

  // The word's location, kNone if it has none.
  int LocationOf(uint64_t word) const { return location_of_[word]; }
  // Of a word that has none: from now on, in all schedules. kNone: there are too many.
  int AddLocation(uint64_t word);
  // Before the first access to a location in each schedule: what the word has now.
  void Show(int location, uint64_t value) {
    Location& of = locations_[location];
    if (of.count > 0) return;
    StoreOf& beginning = of.stores[of.count++];
    beginning.value = value;
    beginning.is_update = beginning.has_view = false;
  }
  bool narrowed() const { return narrowed_; }

  // ---- Ages: 0 is the newest store, 1 the one before.
  int Count(int location) const { return locations_[location].count; }
  uint64_t ValueAt(int location, int age) const { return StoreAt(location, age).value; }
  // How old a store the fiber may read: at most kMostAges - 1.
  int OldestFor(int fiber, int location, Order order);
  // Whether a new store may stand between the one of this age and its successor: not if an update
  // has read it.
  bool MayFollow(int location, int age) const {
    return age == 0 || !StoreAt(location, age - 1).is_update;
  }

  void Load(int fiber, int location, Order order, int age);
  // After the store of this age.
  void Store(int fiber, int location, Order order, int age, uint64_t value);
  // Of some of the word's bytes: the newest gives the others, and nothing ever stands between.
  void StorePart(int fiber, int location, Order order, uint64_t value);
  // Reads the store of this age, and stands right after it.
  void Update(int fiber, int location, Order order, int age, uint64_t value);
  void Fence(int fiber, Order order);
  void PlainRead(int fiber, int location) { SeeNewest(fiber, location); }
  void PlainWrite(int fiber, int location, uint64_t value);

  // ---- What the kernel does.
  // The fiber has slept, or was woken: all stores have reached it by now.
  void SeeAll(int fiber);
  void SeeNewest(int fiber, int location);
  // A system call that others make, too: whoever makes it later knows what this one knew.
  void ThroughKernel(int fiber);
  // The process has ended, and all that it did is known to the kernel.
  void Bury(int fiber);
  // Those who call operations tell one another when one has returned: whoever calls one later knows
  // what it did. Who does not know calls earlier: such schedules are others.
  void Returned(int fiber) { Join(callers_, views_[fiber].now); }
  void Called(int fiber) {
    Join(views_[fiber].now, callers_);
    Join(views_[fiber].acquire, callers_);
  }
  // The kernel's update of a mutex of the dead.
  void UpdateOfDead(int fiber, int location, uint64_t value);

  // ---- Data races.
  // Notes the access of half a contended word, and says whether it is in a race with one of another
  // participant. A dead reader is in none. `dead`: a bit for each fiber.
  enum class Access : uint8_t { kAtomicRead, kPlainRead, kAtomicWrite, kPlainWrite };
  bool Races(int fiber, uint64_t half, Access access, uint32_t dead);

  // Of all that matters for what may be seen from now on. `living`: a bit for each fiber.
  uint64_t Hash(uint32_t living) const;

 private:
  struct View {
    std::array<uint16_t, kLocations> at;  // a place in the order of modification
    std::array<uint16_t, kFibers> clock;  // how many accesses of each fiber happened before
  };
  struct StoreOf {
    uint64_t value;
    bool is_update;
    bool has_view;  // else it gives nothing away
    View view;
  };
  struct Location {
    uint64_t word = 0;
    int count = 0;
    std::array<StoreOf, kStores> stores;
  };
  // The latest access of each kind by each fiber, by its clock; 0: none.
  struct Accesses {
    uint32_t schedule = 0;
    std::array<std::array<uint16_t, kFibers>, 4> of = {};
  };
  struct FiberViews {
    View now;      // what happened before all that it does
    View acquire;  // what an acquire fence would add
    View release;  // what a relaxed store gives away: since the last release fence
  };

  const StoreOf& StoreAt(int location, int age) const {
    const Location& of = locations_[location];
    return of.stores[of.count - 1 - age];
  }
  void Join(View& view, const View& other) const;
  void Insert(int location, int place, uint64_t value);
  void Continue(int location, int age, const View& sequence);
  template <typename Visit>
  void ForEachView(Visit visit);
  void Seen(int fiber, int location, int place);
  void ForgetOldest(int location);
  uint64_t HashOf(const View& view, const View& known) const;
  uint64_t HashOfWritten(int fiber, const View& known) const;

  uint32_t schedule_ = 0;
  int fibers_ = 0;
  int location_count_ = 0;
  bool narrowed_ = false;
  std::vector<int16_t> location_of_;
  std::vector<Accesses> accesses_;
  // Each half of a word that the fiber has written in this schedule, times 4, and how. They never
  // grow: a fiber would allocate in the arena.
  std::array<std::vector<uint64_t>, kFibers> written_;
  std::array<uint16_t, kFibers> clock_ = {};
  std::array<FiberViews, kFibers> views_ = {};
  View seq_cst_ = {};  // what seq_cst operations and fences have seen
  View kernel_ = {};
  View callers_ = {};
  std::array<Location, kLocations> locations_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_BASE_WEAK_MEMORY_H_
