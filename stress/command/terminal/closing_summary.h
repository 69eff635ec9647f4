// The last lines of a command that runs many things: what did not pass once more, and how many
// ended how.
#ifndef KILL9_STRESS_COMMAND_TERMINAL_CLOSING_SUMMARY_H_
#define KILL9_STRESS_COMMAND_TERMINAL_CLOSING_SUMMARY_H_

#include <cstddef>
#include <string>
#include <vector>

#include "harness/result/verdict.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {

class ClosingSummary {
 public:
  // Of `reason` the first line is shown.
  void Add(const std::string& name, Verdict verdict, const std::string& reason);
  // "NAME: violation: WHY", one below the other; whole lines.
  std::string Failures(const Terminal& terminal) const;
  // "3 runs: 2 pass, 1 violation"; `what` is one of them. REQUIRES: there is one.
  std::string Counts(const Terminal& terminal, const char* what) const;

 private:
  struct Failure {
    std::string name;
    Verdict verdict;
    std::string reason;
  };

  size_t all_ = 0;
  std::vector<Failure> failures_;
  std::vector<size_t> verdicts_;  // how many ended with each
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TERMINAL_CLOSING_SUMMARY_H_
