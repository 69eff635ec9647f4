// The functions that code compiled with -fsanitize=thread calls, here for the explorer's machine
// instead of ThreadSanitizer's library. Each first asks whether the address is in the segment.
#include <atomic>
#include <cstdint>

#include "harness/explore/base/orderings.h"
#include "harness/explore/runtime/machine.h"

namespace kill9::explore {
namespace {

inline bool Explored(const void* address) {
  return Machine::Covers(address) && Machine::exploring();
}

// The compiler's number of a memory order.
TakenOrder OrderOf(const void* address, Ordering::Of of, int order, uintptr_t code) {
  const auto written = static_cast<Order>(order & 7);
  // What a compiler may move a store over is asked of the words of one participant, too.
  const bool holds_back = of == Ordering::Of::kStore && written == Order::kRelease;
  const Machine& machine = Machine::Get();
  if (!machine.IsOrdered(address) && !(holds_back && machine.models_compiler())) return written;
  return Orderings::Get().Take(code, of, written);
}

template <typename T>
T AtomicLoad(const volatile T* address, int order, uintptr_t code) {
  const void* const plain = const_cast<const T*>(address);
  if (!Explored(plain)) return __atomic_load_n(address, __ATOMIC_SEQ_CST);
  return static_cast<T>(Machine::Get().Load(
      plain, sizeof(T), OrderOf(plain, Ordering::Of::kLoad, order, code), code));
}

template <typename T>
void AtomicStore(volatile T* address, T value, int order, uintptr_t code) {
  void* const plain = const_cast<T*>(address);
  if (!Explored(plain)) return __atomic_store_n(address, value, __ATOMIC_SEQ_CST);
  Machine::Get().Store(plain, sizeof(T), value, OrderOf(plain, Ordering::Of::kStore, order, code),
                       code);
}

// `next` gives the new value from the old one.
template <typename T, typename Next>
T AtomicUpdate(volatile T* address, int order, uintptr_t code, Next next) {
  void* const plain = const_cast<T*>(address);
  if (!Explored(plain)) {
    T seen = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(address, &seen, next(seen), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    return seen;
  }
  const TakenOrder taken = OrderOf(plain, Ordering::Of::kUpdate, order, code);
  return static_cast<T>(Machine::Get().ReadModifyWrite(
      plain, sizeof(T), {taken, taken}, code, [&](uint64_t old_value, uint64_t* new_value) {
        *new_value = next(static_cast<T>(old_value));
        return true;
      }));
}

template <typename T>
T AtomicCompareExchange(volatile T* address, T expected, T desired, int success, int failure,
                        uintptr_t code) {
  void* const plain = const_cast<T*>(address);
  if (!Explored(plain)) {
    __atomic_compare_exchange_n(address, &expected, desired, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    return expected;
  }
  const Machine::UpdateOrder written = {OrderOf(plain, Ordering::Of::kUpdate, success, code),
                                        OrderOf(plain, Ordering::Of::kFailedUpdate, failure, code)};
  return static_cast<T>(Machine::Get().ReadModifyWrite(
      plain, sizeof(T), written, code, [&](uint64_t old_value, uint64_t* new_value) {
        *new_value = desired;
        return static_cast<T>(old_value) == expected;
      }));
}

}  // namespace
}  // namespace kill9::explore

using kill9::explore::AtomicCompareExchange;
using kill9::explore::AtomicLoad;
using kill9::explore::AtomicStore;
using kill9::explore::AtomicUpdate;
using kill9::explore::Explored;
using kill9::explore::Machine;
using kill9::explore::Order;
using kill9::explore::Ordering;
using kill9::explore::Orderings;
using kill9::explore::TakenOrder;

#define KILL9_CODE reinterpret_cast<uintptr_t>(__builtin_return_address(0))
// The frame above is explored code's, which is compiled with frame pointers.
#pragma GCC diagnostic ignored "-Wframe-address"
// Of an atomic operation, which the compiler may have left in a function of the library: then the
// caller's place is the one that was written.
#define KILL9_ATOMIC_CODE                                                                 \
  (Orderings::Get().NoteCaller(reinterpret_cast<uintptr_t>(__builtin_return_address(1))), \
   KILL9_CODE)

#define KILL9_PLAIN(SIZE)                                                   \
  void __tsan_read##SIZE(void* address) {                                   \
    if (Explored(address)) Machine::Get().Read(address, SIZE, KILL9_CODE);  \
  }                                                                         \
  void __tsan_write##SIZE(void* address) {                                  \
    if (Explored(address)) Machine::Get().Write(address, SIZE, KILL9_CODE); \
  }                                                                         \
  void __tsan_unaligned_read##SIZE(void* address) {                         \
    if (Explored(address)) Machine::Get().Read(address, SIZE, KILL9_CODE);  \
  }                                                                         \
  void __tsan_unaligned_write##SIZE(void* address) {                        \
    if (Explored(address)) Machine::Get().Write(address, SIZE, KILL9_CODE); \
  }                                                                         \
  void __tsan_read_write##SIZE(void* address) {                             \
    if (!Explored(address)) return;                                         \
    Machine::Get().Read(address, SIZE, KILL9_CODE);                         \
    Machine::Get().Write(address, SIZE, KILL9_CODE);                        \
  }                                                                         \
  void __tsan_unaligned_read_write##SIZE(void* address) {                   \
    if (!Explored(address)) return;                                         \
    Machine::Get().Read(address, SIZE, KILL9_CODE);                         \
    Machine::Get().Write(address, SIZE, KILL9_CODE);                        \
  }

#define KILL9_ATOMIC(BITS, TYPE)                                                                 \
  TYPE __tsan_atomic##BITS##_load(const volatile TYPE* address, int order) {                     \
    return AtomicLoad<TYPE>(address, order, KILL9_ATOMIC_CODE);                                  \
  }                                                                                              \
  void __tsan_atomic##BITS##_store(volatile TYPE* address, TYPE value, int order) {              \
    AtomicStore<TYPE>(address, value, order, KILL9_ATOMIC_CODE);                                 \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_exchange(volatile TYPE* address, TYPE value, int order) {           \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE, [&](TYPE) { return value; });   \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_fetch_add(volatile TYPE* address, TYPE value, int order) {          \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE,                                 \
                              [&](TYPE seen) { return static_cast<TYPE>(seen + value); });       \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_fetch_sub(volatile TYPE* address, TYPE value, int order) {          \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE,                                 \
                              [&](TYPE seen) { return static_cast<TYPE>(seen - value); });       \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_fetch_and(volatile TYPE* address, TYPE value, int order) {          \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE,                                 \
                              [&](TYPE seen) { return static_cast<TYPE>(seen & value); });       \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_fetch_or(volatile TYPE* address, TYPE value, int order) {           \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE,                                 \
                              [&](TYPE seen) { return static_cast<TYPE>(seen | value); });       \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_fetch_xor(volatile TYPE* address, TYPE value, int order) {          \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE,                                 \
                              [&](TYPE seen) { return static_cast<TYPE>(seen ^ value); });       \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_fetch_nand(volatile TYPE* address, TYPE value, int order) {         \
    return AtomicUpdate<TYPE>(address, order, KILL9_ATOMIC_CODE,                                 \
                              [&](TYPE seen) { return static_cast<TYPE>(~(seen & value)); });    \
  }                                                                                              \
  TYPE __tsan_atomic##BITS##_compare_exchange_val(volatile TYPE* address, TYPE expected,         \
                                                  TYPE desired, int success, int failure) {      \
    return AtomicCompareExchange<TYPE>(address, expected, desired, success, failure,             \
                                       KILL9_ATOMIC_CODE);                                       \
  }                                                                                              \
  int __tsan_atomic##BITS##_compare_exchange_strong(volatile TYPE* address, TYPE* expected,      \
                                                    TYPE desired, int success, int failure) {    \
    const TYPE seen = AtomicCompareExchange<TYPE>(address, *expected, desired, success, failure, \
                                                  KILL9_ATOMIC_CODE);                            \
    if (seen == *expected) return 1;                                                             \
    *expected = seen;                                                                            \
    return 0;                                                                                    \
  }

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}

KILL9_PLAIN(1)
KILL9_PLAIN(2)
KILL9_PLAIN(4)
KILL9_PLAIN(8)

// Two halves: no processor promises more.
void __tsan_read16(void* address) {
  if (!Explored(address)) return;
  Machine::Get().Read(address, 8, KILL9_CODE);
  Machine::Get().Read(static_cast<char*>(address) + 8, 8, KILL9_CODE);
  Machine::Get().Allow(address, 16);
}
void __tsan_write16(void* address) {
  if (Explored(address)) Machine::Get().Write(address, 16, KILL9_CODE);
}
void __tsan_unaligned_read16(void* address) { __tsan_read16(address); }
void __tsan_unaligned_write16(void* address) { __tsan_write16(address); }
void __tsan_read_write16(void* address) {
  __tsan_read16(address);
  __tsan_write16(address);
}
void __tsan_unaligned_read_write16(void* address) { __tsan_read_write16(address); }

KILL9_ATOMIC(8, uint8_t)
KILL9_ATOMIC(16, uint16_t)
KILL9_ATOMIC(32, uint32_t)
KILL9_ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order) {
  if (!Machine::exploring()) return;
  const uintptr_t code = KILL9_ATOMIC_CODE;
  const auto written = static_cast<Order>(order & 7);
  const bool matters = Machine::Get().models_orders();
  Machine::Get().Fence(
      matters ? Orderings::Get().Take(code, Ordering::Of::kFence, written) : TakenOrder(written),
      code);
}
void __tsan_atomic_signal_fence(int order) {
  Machine& machine = Machine::Get();
  if (!machine.models_compiler()) return;
  const uintptr_t code = KILL9_ATOMIC_CODE;
  const TakenOrder taken =
      Orderings::Get().Take(code, Ordering::Of::kSignalFence, static_cast<Order>(order & 7));
  if (taken.order != Order::kRelaxed) machine.SignalFence();
}

}  // extern "C"
