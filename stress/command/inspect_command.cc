// kill9 inspect: who is attached to a segment, and holds what.
#include <iostream>
#include <memory>
#include <string>

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

int ComplainOfInspect(const absl::Status& status) { return Complain("kill9 inspect", status); }

int RunInspect(const InspectFlags& flags) {
  if (flags.json == "-" && flags.html == "-") {
    throw UsageError("--json=- and --html=-: standard output takes one of them");
  }
  const absl::StatusOr<Json> run = inspect::Inspect(flags.segment, flags.timeout_s);
  if (!run.ok()) return ComplainOfInspect(run.status());
  if (!flags.html.empty()) {
    if (absl::Status status = WriteText(inspect::AsPage(*run), flags.html, "the page");
        !status.ok()) {
      return ComplainOfInspect(status);
    }
  }
  if (!flags.json.empty()) {
    Json result = NewResult("inspect", 0);
    result["runs"].push_back(inspect::ForResultFile(*run));
    if (absl::Status status = WriteResult(result, flags.json); !status.ok()) {
      return ComplainOfInspect(status);
    }
  }
  if (flags.json != "-" && flags.html != "-") std::cout << inspect::AsText(*run);
  return inspect::IsDamaged(*run) ? kExitFailed : kExitPass;
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
