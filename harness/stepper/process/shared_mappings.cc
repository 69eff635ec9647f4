#include "harness/stepper/process/shared_mappings.h"

#include <sys/syscall.h>

#include "harness/base/mappings/mappings.h"

namespace kill9::stepper {

bool SharedMappings::Read(pid_t pid) {
  count_ = 0;
  bool are_too_many = false;
  const int error = VisitMappings(pid, [&](const Mapping& one) {
    if (!one.IsSharedToWrite()) return true;
    if (count_ > 0 && ranges_[count_ - 1].end == one.begin) {
      ranges_[count_ - 1].end = one.end;
      return true;
    }
    are_too_many = count_ == kMost;
    if (!are_too_many) ranges_[count_++] = {one.begin, one.end};
    return !are_too_many;
  });
  return error == 0 && !are_too_many;
}

bool MapsMemory(long number) {
  switch (number) {
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_pkey_mprotect:
    case SYS_munmap:
    case SYS_mremap:
    case SYS_remap_file_pages:
    case SYS_shmat:
    case SYS_shmdt:
      return true;
    default:
      return false;
  }
}

}  // namespace kill9::stepper
