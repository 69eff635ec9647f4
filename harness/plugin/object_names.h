// What an object shares by names of its own in /dev/shm (shm_open, sem_open), not by files of its
// directory. Where /dev/shm is this process's own, those belong to its directory as well: they are
// put back, and go, with it.
#ifndef KILL9_HARNESS_PLUGIN_OBJECT_NAMES_H_
#define KILL9_HARNESS_PLUGIN_OBJECT_NAMES_H_

#include <set>
#include <string>

namespace kill9 {

class ObjectNames {
 public:
  // Before the object makes any.
  ObjectNames() : before_(Names()) {}
  // Those that have come since become the directory's.
  void BelongTo(const std::string& directory) const;

 private:
  static std::set<std::string> Names();

  std::set<std::string> before_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_OBJECT_NAMES_H_
