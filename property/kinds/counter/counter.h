// A second kind of object, to prove that a kind joins the testbed by its contract, its driver, its
// model and one line: a counter that processes share.
//
// Errors are those of variants/object.h. Each operation of a sound design is strictly linearizable:
// an Add cut off by its process's death is counted before the death, or never.
#ifndef KILL9_PROPERTY_KINDS_COUNTER_COUNTER_H_
#define KILL9_PROPERTY_KINDS_COUNTER_COUNTER_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/object.h"

namespace kill9 {

class Counter : public SharedObject {
 public:
  // Adds 1.
  absl::Status Add() {
    if (absl::Status status = CheckHandle(); !status.ok()) return status;
    return DoAdd();
  }
  // How many have been added.
  absl::StatusOr<uint64_t> Read() {
    if (absl::Status status = CheckHandle(); !status.ok()) return status;
    return DoRead();
  }

 protected:
  using SharedObject::SharedObject;

 private:
  virtual absl::Status DoAdd() = 0;
  virtual absl::StatusOr<uint64_t> DoRead() = 0;
};

class CounterDesign : public Design {
 public:
  static constexpr std::string_view kKind = "counter";
  std::string_view kind() const final { return kKind; }
  std::string_view model() const final { return "tally"; }
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_KINDS_COUNTER_COUNTER_H_
