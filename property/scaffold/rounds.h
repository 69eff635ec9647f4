// What the victims of ConformanceDeath write: each its own keys, each value known from its number.
#ifndef KILL9_PROPERTY_SCAFFOLD_ROUNDS_H_
#define KILL9_PROPERTY_SCAFFOLD_ROUNDS_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "property/conformance/conformance.h"

namespace kill9 {

class Rounds {
 public:
  static constexpr int kKeys = 6;
  static constexpr int kVictims = 3;
  // Each victim writes its own keys, so what may be found under them is known exactly.
  struct Progress {
    struct Key {
      std::atomic<uint64_t> started;       // the last operation on the key that began
      std::atomic<uint64_t> acknowledged;  // the last that returned
    };
    Key keys[kKeys];
    std::atomic<uint64_t> operations;
  };
  // What operation number `n` on a key leaves there: nothing, or these bytes.
  static bool Erases(uint64_t n) { return n % 5 == 4; }
  static std::string Value(int victim, int key, uint64_t n) {
    static constexpr size_t kSizes[] = {0, 20, 300, 5000, 70'000};
    std::string value = absl::StrCat("v", victim, " k", key, " n", n, ".");
    return value + Bytes(kSizes[(n * 7 + static_cast<uint64_t>(key)) % 5],
                         n * 1000 + static_cast<uint64_t>(victim * 10 + key));
  }
  static std::string Key(int victim, int key) { return absl::StrCat("victim-", victim, "-", key); }
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_ROUNDS_H_
