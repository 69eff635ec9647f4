// What the command knows of the terminal that it writes to.
#ifndef KILL9_STRESS_COMMAND_TERMINAL_TERMINAL_H_
#define KILL9_STRESS_COMMAND_TERMINAL_TERMINAL_H_

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>

#include "harness/result/verdict.h"

namespace kill9 {

// Where lines for people go beside a result that is written to `result`: never in its midst.
inline std::ostream& LinesBeside(const std::string& result) {
  return result == "-" ? std::cerr : std::cout;
}

class Terminal {
 public:
  // Of the open file `fd`: 1 or 2.
  explicit Terminal(int fd);

  bool is_live() const { return live_; }  // a terminal, where a line may be overwritten
  // Columns of a line; without limit where it is no terminal, unless COLUMNS says how many.
  size_t columns() const { return columns_; }
  // The columns of a page that is made for it: no fewer than 80, and 80 where it is no terminal.
  size_t page_columns() const;
  // The text, cut to the line's width.
  std::string Fit(std::string_view text) const;
  // The verdict's name: a pass in green, what was found in red, anything else in yellow. Without
  // colour where it is no terminal, where NO_COLOR is set (no-color.org), and where TERM is dumb.
  std::string Paint(Verdict verdict) const;
  // Text broken between words where it is wider than the terminal.
  std::string Broken(const std::string& text) const;
  // The same of a line with the verdict's name at or behind `from`, which is painted.
  std::string Broken(const std::string& line, Verdict verdict, size_t from = 0) const;

 private:
  bool live_;
  bool coloured_;
  size_t columns_;
};

// One line of a terminal that is overwritten, ten times a second at most; elsewhere nothing.
class LiveLine {
 public:
  LiveLine(std::ostream& out, const Terminal& terminal) : out_(out), terminal_(terminal) {}
  ~LiveLine() { Clear(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  void Show(std::string_view text);
  // Before any other line is written there.
  void Clear();

 private:
  std::ostream& out_;
  const Terminal& terminal_;
  bool is_shown_ = false;
  std::chrono::steady_clock::time_point next_{};  // no line is shown before that
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TERMINAL_TERMINAL_H_
