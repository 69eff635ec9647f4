// What each participant may see where one memory order is weaker than it is written, and beside it
// what it might see were none: two memories of one execution. So it is known which choices the
// weaker order has brought, and whoever searches can go there first.
#ifndef KILL9_HARNESS_EXPLORE_BASE_TWIN_MEMORY_H_
#define KILL9_HARNESS_EXPLORE_BASE_TWIN_MEMORY_H_

#include <cstdint>

#include "harness/explore/base/weak_memory.h"

namespace kill9::explore {

// In which an access takes place, and is written.
struct TakenOrder {
  TakenOrder(Order as_written) : order(as_written), written(as_written) {}
  TakenOrder(Order taken, Order as_written) : order(taken), written(as_written) {}
  Order order, written;
};

class TwinMemory {
 public:
  // `twin`: an order is weaker than it is written. Else the second memory costs nothing.
  void Forget(uint64_t words, bool twin) {
    twin_ = twin;
    memory_.Forget(words);
    if (twin_) as_written_.Forget(words);
  }
  void Begin(int fibers) {
    Both([=](WeakMemory& of) { of.Begin(fibers); });
  }
  int LocationOf(uint64_t word) const { return memory_.LocationOf(word); }
  int AddLocation(uint64_t word) {
    if (twin_) as_written_.AddLocation(word);
    return memory_.AddLocation(word);
  }
  void Show(int location, uint64_t value) {
    Both([=](WeakMemory& of) { of.Show(location, value); });
  }
  bool narrowed() const { return memory_.narrowed(); }

  int Count(int location) const { return memory_.Count(location); }
  uint64_t ValueAt(int location, int age) const { return memory_.ValueAt(location, age); }
  bool MayFollow(int location, int age) const { return memory_.MayFollow(location, age); }
  struct Oldest {
    int allowed;     // to the access
    int as_written;  // to it, were no order weaker
  };
  Oldest OldestFor(int fiber, int location, TakenOrder order) {
    const int oldest = memory_.OldestFor(fiber, location, order.order);
    return {oldest, twin_ ? as_written_.OldestFor(fiber, location, order.written) : oldest};
  }

  void Load(int fiber, int location, TakenOrder order, int age) {
    memory_.Load(fiber, location, order.order, age);
    if (twin_) as_written_.Load(fiber, location, order.written, age);
  }
  void Store(int fiber, int location, TakenOrder order, int age, uint64_t value) {
    memory_.Store(fiber, location, order.order, age, value);
    if (twin_) as_written_.Store(fiber, location, order.written, age, value);
  }
  void StorePart(int fiber, int location, TakenOrder order, uint64_t value) {
    memory_.StorePart(fiber, location, order.order, value);
    if (twin_) as_written_.StorePart(fiber, location, order.written, value);
  }
  void Update(int fiber, int location, TakenOrder order, int age, uint64_t value) {
    memory_.Update(fiber, location, order.order, age, value);
    if (twin_) as_written_.Update(fiber, location, order.written, age, value);
  }
  void Fence(int fiber, TakenOrder order) {
    memory_.Fence(fiber, order.order);
    if (twin_) as_written_.Fence(fiber, order.written);
  }
  void PlainRead(int fiber, int location) {
    Both([=](WeakMemory& of) { of.PlainRead(fiber, location); });
  }
  void PlainWrite(int fiber, int location, uint64_t value) {
    Both([=](WeakMemory& of) { of.PlainWrite(fiber, location, value); });
  }
  void SeeAll(int fiber) {
    Both([=](WeakMemory& of) { of.SeeAll(fiber); });
  }
  void ThroughKernel(int fiber) {
    Both([=](WeakMemory& of) { of.ThroughKernel(fiber); });
  }
  void Bury(int fiber) {
    Both([=](WeakMemory& of) { of.Bury(fiber); });
  }
  void Returned(int fiber) {
    Both([=](WeakMemory& of) { of.Returned(fiber); });
  }
  void Called(int fiber) {
    Both([=](WeakMemory& of) { of.Called(fiber); });
  }
  void UpdateOfDead(int fiber, int location, uint64_t value) {
    Both([=](WeakMemory& of) { of.UpdateOfDead(fiber, location, value); });
  }

  bool Races(int fiber, uint64_t half, WeakMemory::Access access, uint32_t dead) {
    return memory_.Races(fiber, half, access, dead);
  }
  uint64_t Hash(uint32_t living) const { return memory_.Hash(living); }

 private:
  template <typename Do>
  void Both(Do act) {
    act(memory_);
    if (twin_) act(as_written_);
  }

  bool twin_ = false;
  WeakMemory memory_, as_written_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_BASE_TWIN_MEMORY_H_
