// Processes that want the CPU all the time, for tests of what happens to others then.
#ifndef KILL9_PROPERTY_SCAFFOLD_BUSY_CHILDREN_H_
#define KILL9_PROPERTY_SCAFFOLD_BUSY_CHILDREN_H_

#include <vector>

#include "property/scaffold/children.h"

namespace kill9 {

// They run as long as what is returned lives.
inline std::vector<Child> BusyChildren(int count) {
  std::vector<Child> busy;
  for (int i = 0; i < count; ++i) {
    busy.emplace_back([](Line&) {
      for (volatile bool spinning = true; spinning;) {
      }
      return 0;
    });
  }
  return busy;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_BUSY_CHILDREN_H_
