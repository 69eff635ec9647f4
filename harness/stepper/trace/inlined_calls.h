// Where the functions that the compiler has made part of others were called, by address.
#ifndef KILL9_HARNESS_STEPPER_TRACE_INLINED_CALLS_H_
#define KILL9_HARNESS_STEPPER_TRACE_INLINED_CALLS_H_

#include <elfutils/libdw.h>

#include <cstdint>
#include <map>
#include <vector>

#include "absl/functional/function_ref.h"

namespace kill9::stepper {

// Of one compilation unit. Its debugging information is read once, in one pass: dwarf_getscopes
// reads all of it for each address.
class InlinedCalls {
 public:
  // REQUIRES: what the unit is of outlives this.
  explicit InlinedCalls(Dwarf_Die& unit);

  // The calls around the address, the innermost first, until `visit` returns false. Addresses as in
  // the unit.
  void ForEachAround(uint64_t address,
                     absl::FunctionRef<bool(const char* file, int line)> visit) const;

 private:
  struct Call {
    uint64_t begin, end;
    const char* file;
    int line;
  };
  struct Function {
    uint64_t end;
    size_t calls;  // in calls_
  };

  void WalkChildren(Dwarf_Die& parent, Dwarf_Die& unit, std::vector<Call>* calls);
  void Walk(Dwarf_Die& die, Dwarf_Die& unit, std::vector<Call>* calls);

  std::map<uint64_t, Function> functions_;  // by where they begin; one in several parts each
  std::vector<std::vector<Call>> calls_;    // of each function, who calls before who is called
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_INLINED_CALLS_H_
