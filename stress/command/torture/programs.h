// kill9 torture --worker: torture of somebody's own programs.
#ifndef KILL9_STRESS_COMMAND_TORTURE_PROGRAMS_H_
#define KILL9_STRESS_COMMAND_TORTURE_PROGRAMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "harness/plugin/worker/object_worker.h"
#include "harness/programs/options.h"
#include "harness/result/result.h"
#include "stress/command/arguments/options.h"

namespace kill9 {

// The options that only programs have.
struct ProgramFlags {
  std::string name;  // of an object that is asked so; empty: the command lines
  std::vector<std::string> workers;
  std::vector<std::string> fork_servers;
  std::string model = "map";
  std::string kill_at = "random";
  std::string values = "texts";
  uint32_t keys = 0;
  bool shared = false;

  bool given() const { return !workers.empty() || !fork_servers.empty(); }
  void Ask(const ObjectWorker& worker) {
    name = worker.name;
    fork_servers = {worker.fork_server};
    model = worker.workload.model;
    if (worker.workload.numbers) values = "numbers";
  }
};
// `of_designs`: the options that programs exclude. Returns those that need a program. Where they
// die is asked for by AddKillAt.
std::vector<Option> AddProgramOptions(Command& command, ProgramFlags& flags,
                                      const std::vector<Option>& of_designs);
Option AddKillAt(Command& command, ProgramFlags& flags);
// Throws UsageError where one of them is given. REQUIRES: no program is.
void RefuseWithoutPrograms(const std::vector<Option>& of_programs);

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
