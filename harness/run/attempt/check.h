// Runs the check on what a program has left.
#ifndef KILL9_HARNESS_RUN_ATTEMPT_CHECK_H_
#define KILL9_HARNESS_RUN_ATTEMPT_CHECK_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "harness/result/result.h"
#include "harness/run/follow/follower.h"
#include "harness/run/follow/point.h"

namespace kill9::run {

struct CheckRequest {
  std::string line;              // of the shell
  std::string state;             // its current directory
  std::string start;             // where kill9 was started
  std::string folder;            // with "stdout" and "stderr", the program's
  const Point* point = nullptr;  // null: nobody was killed
  std::string program;           // which one the killed process ran
  std::vector<pid_t> survivors;
  double seconds = 60;
};

// The "check" of a result: how it ended, and the end of what it wrote. The survivors go on
// meanwhile.
Json RunCheck(Follower& follower, const CheckRequest& request);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_ATTEMPT_CHECK_H_
