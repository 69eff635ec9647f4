// kill9 torture --worker: torture of somebody's own programs.
#ifndef KILL9_STRESS_COMMAND_TORTURE_PROGRAMS_H_
#define KILL9_STRESS_COMMAND_TORTURE_PROGRAMS_H_

#include <cstdint>
#include <string>

#include "harness/plugin/worker/object_worker.h"
#include "harness/programs/options.h"
#include "harness/result/result.h"
#include "stress/command/torture/program_flags.h"

namespace kill9 {

// An object that is no store is asked as programs are.
void Ask(const ObjectWorker& worker, ProgramFlags* flags);

// Those that they share with runs of designs.
struct ProgramRun {
  double seconds = 0;  // 0: the default
  uint32_t processes = 4;
  uint64_t seed = 0;  // 0: drawn
  uint64_t kills = 0;
  uint32_t life_us = 0;
  double watchdog_seconds = 5;
  std::string json = {};
  std::string counterexamples = {};
  bool quiet = false;
};
// What both ask for. Throws UsageError on a command line that is none.
programs::ProgramOptions OptionsOf(const ProgramFlags& flags, const ProgramRun& run);
// Where the history lies, and what the programs said, for people.
void ShowWhatIsKept(const Json& run);
// Returns the exit code. `interrupted`: set by a signal.
int RunPrograms(const ProgramFlags& flags, const ProgramRun& run, const volatile int& interrupted);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_TORTURE_PROGRAMS_H_
