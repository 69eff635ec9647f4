// Commands run from outside, as a person's shell runs them.
#ifndef KILL9_STRESS_COMMAND_FOR_TESTS_H_
#define KILL9_STRESS_COMMAND_FOR_TESTS_H_

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace kill9 {

struct Ended {
  int exit_code = -1;  // -1: of a signal, or never begun
  std::string output;
};

// Runs a line of the shell. `output` is its standard output: the line says where standard error
// goes.
inline Ended RunLine(const std::string& line) {
  Ended ended;
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> buffer;
  for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    ended.output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_FOR_TESTS_H_
