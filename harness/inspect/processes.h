// Which process is which participant, as /proc tells it: no word of a segment is believed.
#ifndef KILL9_HARNESS_INSPECT_PROCESSES_H_
#define KILL9_HARNESS_INSPECT_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kill9::inspect {

struct ProcessOfSlot {
  pid_t pid = 0;
  std::string name;
  std::string started_at;  // as result files write times
  bool stopped = false;    // by a signal, or by a debugger
};

struct SegmentUsers {
  std::map<uint32_t, ProcessOfSlot> by_slot;
  std::vector<pid_t> mapped_by;  // all that have mapped the file, participants or not
  bool some_unreadable = false;  // of some process this one may not read who it is
};

// Of the file that `fd` is open on.
SegmentUsers FindUsers(int fd);

}  // namespace kill9::inspect

#endif  // KILL9_HARNESS_INSPECT_PROCESSES_H_
