// The children of a process, by /proc. None where it cannot be read, as where there are none.
#ifndef KILL9_HARNESS_BASE_CHILDREN_OF_H_
#define KILL9_HARNESS_BASE_CHILDREN_OF_H_

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace kill9 {

// Those of its first thread, the dead that nobody has reaped among them.
inline std::vector<pid_t> ChildrenOf(pid_t pid) {
  const std::string number = std::to_string(pid);
  // By its own name it is found only in the /proc of its own PID namespace: elsewhere the children
  // would be somebody else's.
  const std::string process = pid == getpid() ? "self" : number;
  std::ifstream file("/proc/" + process + "/task/" + number + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

// Those of this process that are not among `before`.
inline std::vector<pid_t> NewChildren(const std::vector<pid_t>& before) {
  std::vector<pid_t> children = ChildrenOf(getpid());
  std::erase_if(children, [&](pid_t child) {
    return std::find(before.begin(), before.end(), child) != before.end();
  });
  return children;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_CHILDREN_OF_H_
