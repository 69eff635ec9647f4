// A counter for kill9, right at every instruction: what is added is there, or is not.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_counter.so safe_counter.cc
//   kill9 try ./libsafe_counter.so
#include <kill9/object.h>

struct CounterSum {
  volatile uint64_t sum;
  volatile uint64_t to_add;  // what somebody was about to add
};

struct SafeCounter : kill9::SharedState<CounterSum> {  // which has Create and Change
  static constexpr const char* kName = "safe_counter";
  static constexpr const char* kModel = "counter";
  using SharedState::SharedState;

  void Add(uint64_t number) {
    Change([number](CounterSum& state) {
      // With the fault whoever comes after a death adds once more what was added already.
      state.sum = state.sum + state.to_add;
      state.to_add = number;
      state.sum = state.sum + number;
      state.to_add = 0;
      return 0;
    });
  }
  uint64_t Read() {
    return Change([](CounterSum& state) -> uint64_t { return state.sum; });
  }
};
KILL9_PLUGIN(SafeCounter)
