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
  std::string Key(uint64_t id) const;
  // What is spoken of: "key 7", or "the object" where a history has no keys.
  std::string Subject(uint64_t key) const;
  std::string Value(uint64_t id) const;
  uint64_t Nanoseconds(uint64_t ticks) const;
  // A model's description of a state, in which values are written as {id}.
  std::string State(const std::string& description) const;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_NAMING_H_
