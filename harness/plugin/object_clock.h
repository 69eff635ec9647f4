// The time that an object is told. In the sweep it is a counter of the cell's own: the same in
// every run, it stands still where nobody reads it, and survivors let a term pass in no time. The
// process's own readings, and torture's objects, have the machine's.
//
// clock_gettime, gettimeofday and time are defined here, in the place of the C library's, so that
// an object in any language that calls them is told.
#ifndef KILL9_HARNESS_PLUGIN_OBJECT_CLOCK_H_
#define KILL9_HARNESS_PLUGIN_OBJECT_CLOCK_H_

#include <atomic>
#include <cstdint>

namespace kill9 {

class ObjectClock {
 public:
  // From now on objects of this process are told this counter's nanoseconds. Null: the machine's
  // time. REQUIRES: it outlives the calls of objects, or another one is set.
  static void Set(std::atomic<uint64_t>* nanoseconds);

  // While it lives, the process runs an object's code.
  class InObject {
   public:
    InObject();
    ~InObject();
    InObject(const InObject&) = delete;
    InObject& operator=(const InObject&) = delete;
  };
};

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_OBJECT_CLOCK_H_
