#include "harness/explore/base/weak_memory.h"

#include <algorithm>
#include <utility>

namespace kill9::explore {
namespace {

inline uint64_t Stir(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ hash >> 29;
}

}  // namespace

void WeakMemory::Forget(uint64_t words) {
  location_of_.assign(words, kNone);
  accesses_.assign(2 * words, {});
  for (std::vector<uint64_t>& written : written_) written.reserve(4 * words);
  location_count_ = 0;
  narrowed_ = false;
}

void WeakMemory::Begin(int fibers) {
  ++schedule_;
  fibers_ = fibers;
  for (int i = 0; i < location_count_; ++i) locations_[i].count = 0;
  for (FiberViews& views : views_) views = {};
  seq_cst_ = kernel_ = callers_ = {};
  clock_ = {};
  for (std::vector<uint64_t>& written : written_) written.clear();
}

int WeakMemory::AddLocation(uint64_t word) {
  if (location_count_ == kLocations) {
    narrowed_ = true;
    return kNone;
  }
  location_of_[word] = static_cast<int16_t>(location_count_);
  locations_[location_count_].word = word;
  locations_[location_count_].count = 0;
  return location_count_++;
}

int WeakMemory::OldestFor(int fiber, int location, Order order) {
  int place = views_[fiber].now.at[location];
  if (order == Order::kSeqCst) place = std::max<int>(place, seq_cst_.at[location]);
  const int age = locations_[location].count - 1 - place;
  if (age < kMostAges) return age;
  narrowed_ = true;
  return kMostAges - 1;
}

void WeakMemory::Join(View& view, const View& other) const {
  for (int i = 0; i < location_count_; ++i) view.at[i] = std::max(view.at[i], other.at[i]);
  for (int i = 0; i < kFibers; ++i) view.clock[i] = std::max(view.clock[i], other.clock[i]);
}

template <typename Visit>
void WeakMemory::ForEachView(Visit visit) {
  for (FiberViews& views : views_) {
    visit(views.now);
    visit(views.acquire);
    visit(views.release);
  }
  visit(seq_cst_);
  visit(kernel_);
  visit(callers_);
  for (int i = 0; i < location_count_; ++i) {
    for (int n = 0; n < locations_[i].count; ++n) {
      if (locations_[i].stores[n].has_view) visit(locations_[i].stores[n].view);
    }
  }
}

void WeakMemory::ForgetOldest(int location) {
  Location& of = locations_[location];
  for (const FiberViews& views : views_) narrowed_ |= views.now.at[location] == 0;
  std::move(of.stores.begin() + 1, of.stores.begin() + of.count, of.stores.begin());
  --of.count;
  ForEachView([&](View& view) {
    if (view.at[location] > 0) --view.at[location];
  });
}

void WeakMemory::Insert(int location, int place, uint64_t value) {
  Location& of = locations_[location];
  if (of.count == kStores) {
    ForgetOldest(location);
    --place;
  }
  if (place < of.count) {
    std::move_backward(of.stores.begin() + place, of.stores.begin() + of.count,
                       of.stores.begin() + of.count + 1);
    ForEachView([&](View& view) {
      if (view.at[location] >= place) ++view.at[location];
    });
  }
  of.stores[place].value = value;
  of.stores[place].is_update = of.stores[place].has_view = false;
  ++of.count;
}

void WeakMemory::Seen(int fiber, int location, int place) {
  FiberViews& views = views_[fiber];
  const auto at = static_cast<uint16_t>(place);
  views.now.at[location] = std::max(views.now.at[location], at);
  views.acquire.at[location] = std::max(views.acquire.at[location], at);
}

void WeakMemory::Load(int fiber, int location, Order order, int age) {
  const int place = locations_[location].count - 1 - age;
  const StoreOf& store = locations_[location].stores[place];
  FiberViews& views = views_[fiber];
  Seen(fiber, location, place);
  if (store.has_view) {
    Join(views.acquire, store.view);
    if (Acquires(order)) Join(views.now, store.view);
  }
  if (order == Order::kSeqCst) {
    seq_cst_.at[location] = std::max(seq_cst_.at[location], static_cast<uint16_t>(place));
  }
}

void WeakMemory::Store(int fiber, int location, Order order, int age, uint64_t value) {
  Insert(location, locations_[location].count - age, value);
  const int place = locations_[location].count - 1 - age;
  Seen(fiber, location, place);
  StoreOf& stored = locations_[location].stores[place];
  stored.has_view = true;
  stored.view = Releases(order) ? views_[fiber].now : views_[fiber].release;
  if (order == Order::kSeqCst) {
    seq_cst_.at[location] = std::max(seq_cst_.at[location], static_cast<uint16_t>(place));
  }
}

// An update goes on with the release sequence of what it reads.
void WeakMemory::Continue(int location, int age, const View& sequence) {
  StoreOf& stored = locations_[location].stores[locations_[location].count - 1 - age];
  stored.is_update = true;
  Join(stored.view, sequence);
}

void WeakMemory::Update(int fiber, int location, Order order, int age, uint64_t value) {
  Load(fiber, location, order, age);
  const StoreOf& read = StoreAt(location, age);
  const View sequence = read.has_view ? read.view : View{};
  Store(fiber, location, order, age, value);
  Continue(location, age, sequence);
}

void WeakMemory::StorePart(int fiber, int location, Order order, uint64_t value) {
  const StoreOf& before = StoreAt(location, 0);
  const View sequence = before.has_view ? before.view : View{};
  Store(fiber, location, order, 0, value);
  Continue(location, 0, sequence);
}

void WeakMemory::Fence(int fiber, Order order) {
  FiberViews& views = views_[fiber];
  if (Acquires(order)) views.now = views.acquire;
  if (order == Order::kSeqCst) {
    // Of the places alone: no fence makes what another did happen before.
    for (int i = 0; i < location_count_; ++i) {
      views.now.at[i] = seq_cst_.at[i] = std::max(views.now.at[i], seq_cst_.at[i]);
    }
    views.acquire = views.now;
  }
  if (Releases(order)) views.release = views.now;
}

void WeakMemory::PlainWrite(int fiber, int location, uint64_t value) {
  Insert(location, locations_[location].count, value);
  SeeNewest(fiber, location);
}

void WeakMemory::SeeNewest(int fiber, int location) {
  Seen(fiber, location, locations_[location].count - 1);
}

void WeakMemory::SeeAll(int fiber) {
  for (int i = 0; i < location_count_; ++i) {
    if (locations_[i].count > 0) SeeNewest(fiber, i);
  }
}

void WeakMemory::ThroughKernel(int fiber) {
  Join(views_[fiber].acquire, kernel_);
  Join(views_[fiber].now, kernel_);
  Join(kernel_, views_[fiber].now);
}

void WeakMemory::Bury(int fiber) {
  Join(kernel_, views_[fiber].now);
  Returned(fiber);
  views_[fiber] = {};
}

void WeakMemory::UpdateOfDead(int fiber, int location, uint64_t value) {
  Update(fiber, location, Order::kAcqRel, 0, value);
}

bool WeakMemory::Races(int fiber, uint64_t half, Access access, uint32_t dead) {
  Accesses& accesses = accesses_[half];
  if (accesses.schedule != schedule_) accesses = {schedule_, {}};
  const View& known = views_[fiber].now;
  const auto unknown = [&](Access of, bool also_of_dead) {
    for (int i = 0; i < fibers_; ++i) {
      if (i == fiber || (!also_of_dead && (dead >> i & 1) != 0)) continue;
      if (accesses.of[static_cast<size_t>(of)][i] > known.clock[i]) return true;
    }
    return false;
  };
  const bool plain = access == Access::kPlainRead || access == Access::kPlainWrite;
  const bool writes = access == Access::kAtomicWrite || access == Access::kPlainWrite;
  bool races = unknown(Access::kPlainWrite, true);
  if (plain) races |= unknown(Access::kAtomicWrite, true);
  if (writes) races |= unknown(Access::kPlainRead, false);
  if (plain && writes) races |= unknown(Access::kAtomicRead, false);
  const uint16_t now = ++clock_[fiber];
  uint16_t& latest = accesses.of[static_cast<size_t>(access)][fiber];
  if (writes && latest == 0) written_[fiber].push_back(half * 4 + static_cast<uint64_t>(access));
  latest = now;
  views_[fiber].now.clock[fiber] = views_[fiber].acquire.clock[fiber] = now;
  return races;
}

// Of what differs from what all living fibers know.
uint64_t WeakMemory::HashOf(const View& view, const View& known) const {
  uint64_t hash = 7;
  for (int i = 0; i < location_count_; ++i) {
    if (view.at[i] <= known.at[i]) continue;
    hash = Stir(hash, static_cast<uint64_t>(locations_[i].count - view.at[i]) << 8 |
                          static_cast<uint64_t>(i));
  }
  for (int i = 0; i < fibers_; ++i) {
    if (view.clock[i] <= known.clock[i]) continue;
    hash = Stir(hash, static_cast<uint64_t>(clock_[i] - view.clock[i]) << 8 |
                          static_cast<uint64_t>(200 + i));
  }
  return hash;
}

// Of what the fiber has written, and somebody who lives may be in a race with.
uint64_t WeakMemory::HashOfWritten(int fiber, const View& known) const {
  uint64_t hash = 0;
  for (const uint64_t written : written_[fiber]) {
    const uint16_t latest = accesses_[written / 4].of[written % 4][fiber];
    if (latest <= known.clock[fiber]) continue;
    hash += Stir(Stir(written, static_cast<uint64_t>(fiber)),
                 static_cast<uint64_t>(clock_[fiber] - latest));
  }
  return hash;
}

uint64_t WeakMemory::Hash(uint32_t living) const {
  View known = {};
  bool first = true;
  for (int f = 0; f < fibers_; ++f) {
    if ((living >> f & 1) == 0) continue;
    const View& view = views_[f].now;
    if (std::exchange(first, false)) {
      known = view;
      continue;
    }
    for (int i = 0; i < location_count_; ++i) known.at[i] = std::min(known.at[i], view.at[i]);
    for (int i = 0; i < kFibers; ++i) known.clock[i] = std::min(known.clock[i], view.clock[i]);
  }
  uint64_t hash = Stir(HashOf(seq_cst_, known), HashOf(kernel_, known));
  hash = Stir(hash, HashOf(callers_, known));
  for (int f = 0; f < fibers_; ++f) {
    hash = Stir(hash, HashOf(views_[f].now, known));
    // What the living have written follows from what they have read.
    if ((living >> f & 1) == 0) {
      if (!first) hash = Stir(hash, HashOfWritten(f, known));
      continue;
    }
    hash = Stir(hash, HashOf(views_[f].acquire, known));
    hash = Stir(hash, HashOf(views_[f].release, known));
  }
  for (int i = 0; i < location_count_; ++i) {
    const Location& of = locations_[i];
    // Older ones nobody can read, and nothing can be stored before them.
    for (int n = first ? of.count : known.at[i]; n < of.count; ++n) {
      const StoreOf& store = of.stores[n];
      hash =
          Stir(hash, store.value * 4 + static_cast<uint64_t>(i) * 256 + (store.is_update ? 1 : 0));
      if (store.has_view) hash = Stir(hash, HashOf(store.view, known));
    }
  }
  return hash;
}

}  // namespace kill9::explore
