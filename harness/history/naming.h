// How the keys, values and times of a history are shown.
#ifndef KILL9_HARNESS_HISTORY_NAMING_H_
#define KILL9_HARNESS_HISTORY_NAMING_H_

#include <cstdint>
#include <functional>
#include <string>

namespace kill9 {

struct Naming {
  std::function<std::string(uint64_t)> key;       // null: the number
  std::function<std::string(uint64_t)> value;     // null: the number; of kNothing: nil
  std::function<uint64_t(uint64_t)> nanoseconds;  // null: a tick is a nanosecond
  std::function<std::string(uint32_t)> process;   // null: P and the number
  std::string Key(uint64_t id) const;
  // What is spoken of: "key 7", or "the object" where a history has no keys.
  std::string Subject(uint64_t key) const;
  std::string Value(uint64_t id) const;
  uint64_t Nanoseconds(uint64_t ticks) const;
  std::string Process(uint32_t number) const;
  // A model's description of a state, in which values are written as {id}.
  std::string State(const std::string& description) const;
};

// A value as the harness numbers them, for people: "P2#420", the 420th of process 2; "an empty
// one", "one of 7 B", where it had no room for a number. Smaller numbers are themselves.
std::string ShownValue(uint64_t id);
// The same names, and such values where the naming has no names for values.
Naming WithShownValues(Naming naming);

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_NAMING_H_
