// kill9 torture: many real processes, killed at random; the main job.
#include <csignal>
#include <memory>
#include <optional>
#include <vector>

#include "harness/plugin/worker/object_worker.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/torture/programs.h"
#include "stress/command/torture/torture_options.h"
#include "stress/command/torture/torture_run.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

struct Flags : TortureFlags {
  ProgramFlags programs;
};

int RunOwnPrograms(const Flags& flags) {
  NoteInterrupts();
  std::signal(SIGPIPE, SIG_IGN);
  return RunPrograms(flags.programs,
                     {.seconds = flags.seconds,
                      .processes = flags.processes,
                      .seed = flags.seed,
                      .kills = flags.kills,
                      .life_us = flags.life_us,
                      .watchdog_seconds = flags.watchdog_seconds,
                      .json = flags.json,
                      .counterexamples = flags.counterexamples,
                      .quiet = flags.quiet},
                     is_interrupted);
}

// Of an object that is no store: by whom it is asked. False: it is another one, or several.
bool AskAsWorker(Flags& flags) {
  const Design* design = FindDesign(flags.variant);
  const std::optional<ObjectWorker> worker = design == nullptr ? std::nullopt : WorkerOf(*design);
  if (worker.has_value()) Ask(*worker, &flags.programs);
  return worker.has_value();
}

}  // namespace

void AddTortureCommand(CommandLine& line) {
  auto flags = std::make_shared<Flags>();
  TortureCommandLine torture = AddTorture(line, *flags, flags->programs);
  torture.command.OnCall([flags, of_designs = torture.of_designs,
                          of_programs = torture.of_programs] {
    if (!flags->programs.given() && AskAsWorker(*flags)) {
      for (const Option& one : of_designs) {
        if (!one.IsGiven()) continue;
        throw UsageError(one.name() + " is of stores, channels and heaps; what is tested is none");
      }
    }
    if (flags->programs.given()) return RunOwnPrograms(*flags);
    RefuseWithoutPrograms(of_programs);
    return TortureDesigns(*flags);
  });
}

}  // namespace kill9
