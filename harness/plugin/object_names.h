// What an object shares by names of its own in /dev/shm (shm_open, sem_open), not by files of its
// directory. Where /dev/shm is this process's own, those belong to its directory as well: they are
// put back, and go, with it. Else those do that are known (NamesThatStay).
#ifndef KILL9_HARNESS_PLUGIN_OBJECT_NAMES_H_
#define KILL9_HARNESS_PLUGIN_OBJECT_NAMES_H_

#include <set>
#include <string>
#include <vector>

#include "variants/object.h"

namespace kill9 {

class ObjectNames {
 public:
  // Before the object makes any.
  ObjectNames();
  // Those that have come since become the directory's. In the machine's /dev/shm, where another
  // program's may come at any time: those that are known, or that this process maps.
  void BelongTo(const std::string& directory) const;

 private:
  std::set<std::string> before_;
};

// The names that such an object makes where processes would have the machine's /dev/shm: there no
// sweep could put them back before each kill. Found in a child, once; from then on, in this process
// and its children, they belong to the directory of whoever makes them. Empty: none are known.
const std::vector<std::string>& NamesThatStay(const Design& design);

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_OBJECT_NAMES_H_
