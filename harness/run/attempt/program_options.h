// What is asked of kill9 run.
#ifndef KILL9_HARNESS_RUN_ATTEMPT_PROGRAM_OPTIONS_H_
#define KILL9_HARNESS_RUN_ATTEMPT_PROGRAM_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kill9::run {

// How the check ends where it cannot tell, as git bisect has it.
inline constexpr int kCannotTell = 125;

struct RunOptions {
  std::vector<std::string> words;  // the program and its arguments
  std::string check;               // a line of the shell
  std::string state = ".";         // the directory that is copied for each run
  std::string scratch;             // an empty directory: what failing runs have left stays there
  bool first_only = false;         // kill the first process; who it has started survives
  bool instructions = false;       // points are instructions between markers, not system calls
  bool full = false;               // kill at every point, not once for each thing left
  bool blunt = false;              // damage what was left, and see whether the check notices
  bool namespaces = true;          // where the machine allows them
  std::string point;               // kill at this one only
  uint32_t sample = 8;             // points killed at besides
  uint32_t workers = 0;            // 0: one for each CPU
  uint64_t seed = 1;               // of the sample
  double seconds = 0;  // no point is begun later, and nothing before them lasts longer; 0: no limit
  double program_seconds = 60;  // after which the program counts as one that does not end
  double check_seconds = 60;    // the same of the check
};

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_ATTEMPT_PROGRAM_OPTIONS_H_
