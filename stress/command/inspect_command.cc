// kill9 inspect: who is attached to a segment, and holds what.
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "harness/base/text/write_text.h"
#include "harness/inspect/inspect.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"

namespace kill9 {
namespace {

struct InspectFlags {
  std::string segment;
  std::string json;
  std::string html;
  double timeout_s = 30;
};

constexpr std::string_view kInspectCommand = "kill9 inspect";

int RunInspect(const InspectFlags& flags) {
  if (flags.json == "-" && flags.html == "-") {
    throw UsageError("--json=- and --html=-: standard output takes one of them");
  }
  const absl::StatusOr<Json> run = inspect::Inspect(flags.segment, flags.timeout_s);
  if (!run.ok()) return Complain(kInspectCommand, run.status());
  int exit_code = inspect::IsDamaged(*run) ? kExitFailed : kExitPass;
  if (!flags.html.empty()) {
    const absl::Status written = WriteText(inspect::AsPage(*run), flags.html, "the page");
    exit_code = AfterWriting(kInspectCommand, written, exit_code);
  }
  if (flags.json != "-" && flags.html != "-") std::cout << inspect::AsText(*run);
  Json result = NewResult("inspect", 0);
  result["runs"].push_back(inspect::ForResultFile(*run));
  return WithResult(kInspectCommand, result, flags.json, exit_code);
}

}  // namespace

void AddInspectCommand(CommandLine& line) {
  Command command = line.Add("inspect", "who is attached to a segment, and holds what");
  auto flags = std::make_shared<InspectFlags>();
  command
      .Add("SEGMENT", flags->segment,
           "a name of shared memory, or a path, if it has a slash; of a segment without a name "
           "/proc/PID/fd/N")
      .Required();
  command.Add("--json", flags->json, "a result file; - for standard output");
  command.Add("--html", flags->html, "a page with the heap as a picture; - for standard output");
  command.Add("--timeout", flags->timeout_s, "how long a look at the contents may take, in seconds")
      .Between(0.1, 1e6)
      .ShowDefault();
  command.Example("my_heap --html=heap.html", "/dev/shm/my_heap, and the map of its blocks");
  command.Example("./cache.seg --json=-", "a segment's file, as JSON");
  command.OnCall([flags] { return RunInspect(*flags); });
}

}  // namespace kill9
