// What explore says on a terminal: a line for each scene, within its width, and below them which
// one is explored now.
#ifndef KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_LINES_H_
#define KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_LINES_H_

#include <ostream>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/result/verdict.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {

class ExploreLines {
 public:
  // `json`: where the result goes.
  explicit ExploreLines(const std::string& json)
      : out_(LinesBeside(json)), terminal_(json == "-" ? 2 : 1) {}

  const Terminal& terminal() const { return terminal_; }
  // Before anything else is written there.
  std::ostream& Out() {
    live_.Clear();
    return out_;
  }
  void Progress(std::string_view text) { live_.Show(text); }
  // "cas_slots put+get   pass  1622 schedules, 4055 states"; `word` is the verdict's, or another.
  void Scene(const std::string& name, const std::string& model, Verdict verdict,
             std::string_view word, const std::string& what) {
    const std::string whole = model == "sc" ? name : absl::StrCat(name, " ", model);
    const std::string line = absl::StrFormat("%-34s %s  %s", whole, std::string(word), what);
    Out() << terminal_.Broken(line, verdict, whole.size()) << "\n" << std::flush;
  }

 private:
  std::ostream& out_;
  Terminal terminal_;
  LiveLine live_{out_, terminal_};
};

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_LINES_H_
