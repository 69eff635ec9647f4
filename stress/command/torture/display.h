// What torture shows while it runs, and at its end.
#ifndef KILL9_STRESS_COMMAND_TORTURE_DISPLAY_H_
#define KILL9_STRESS_COMMAND_TORTURE_DISPLAY_H_

#include <cstddef>
#include <iosfwd>
#include <string>

#include "harness/result/result.h"
#include "harness/torture/torture.h"
#include "stress/command/terminal/closing_summary.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {

// What is told of a run that did not pass: what a survivor waits for, the counterexample, where it
// was written, the line that repeats it. Each part ends its line.
std::string FindingText(const Terminal& terminal, const Json& run);
// How to go on from the folder of what was found.
std::string HowToReplay(const std::string& kept);

class Display {
 public:
  struct Options {
    bool to_errors = false;  // JSON on standard output keeps it for itself
    bool quiet = false;      // only what failed, and the summary
    size_t runs = 1;         // in all
    // Scenarios of other kinds of objects, which nobody has asked for, are told in one line.
    bool of_all_scenarios = false;
  };
  explicit Display(const Options& options);

  // On a terminal one line that changes, ten times a second at most; elsewhere a plain line now
  // and then.
  void Progress(const std::string& name, const TortureProgress& state);
  void Done(const std::string& name, const TortureResult& result);
  // All runs of the result: a table, as wide as the terminal allows.
  void Table(const Json& runs);
  void Shapes(const Json& result);
  // What did not pass once more, what can be typed next, and how many runs ended how: the last
  // lines. `kept`: the folder of what was found; empty: none.
  void Summary(const std::string& kept);
  void Line(const std::string& text);

 private:
  static constexpr double kPlainLineSeconds = 10;

  bool IsLeftOut(const Json& run) const;
  // So many seconds are left, as the runs so far tell.
  std::string TimeLeft(double seconds_of_this) const;

  std::ostream& out_;
  Terminal terminal_;
  LiveLine live_{out_, terminal_};
  Options options_;
  size_t done_ = 0;
  size_t of_other_kinds_ = 0;
  double seconds_ = 0;                       // of the runs that are done
  double seconds_before_ = 0;                // of this one, as it was last shown
  double next_line_at_ = kPlainLineSeconds;  // where it is no terminal
  ClosingSummary summary_;
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_DISPLAY_H_
