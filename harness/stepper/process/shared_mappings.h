// Where a process maps what it shares with others, and may write there.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_SHARED_MAPPINGS_H_
#define KILL9_HARNESS_STEPPER_PROCESS_SHARED_MAPPINGS_H_

#include <sys/types.h>

#include <cstddef>
#include <span>

#include "harness/stepper/process/uninterruptible.h"

namespace kill9::stepper {

class SharedMappings {
 public:
  // Of that process as it is now. Does not allocate. False: it cannot be told.
  bool Read(pid_t pid);
  std::span<const AddressRange> ranges() const { return {ranges_, count_}; }

 private:
  static constexpr size_t kMost = 64;

  AddressRange ranges_[kMost] = {};
  size_t count_ = 0;
};

// Whether the system call of this number may change them.
bool MapsMemory(long number);

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_SHARED_MAPPINGS_H_
