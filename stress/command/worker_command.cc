// kill9 worker: an object that is no store, as torture asks it.
#include "harness/plugin/worker/object_worker.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

int ServeTheObject() {
  for (const Design* design : AllDesigns()) {
    if (!WorkerOf(*design).has_value()) continue;
    return Complain("kill9 worker", ServeObject(*design));
  }
  throw UsageError("it needs an object that is no store (--plugin=./libmine.so)");
}

}  // namespace

void AddWorkerCommand(CommandLine& line) {
  Command command = line.Add(
      "worker",
      "what torture starts for an object of --plugin that is no store: it answers lines of JSON");
  command.Example("--plugin=./libmy_queue.so", "what torture starts for a queue");
  command.OnCall([] { return ServeTheObject(); });
}

}  // namespace kill9
