#include "stress/command/torture/program_flags.h"

#include "harness/programs/models/drawn_models.h"

namespace kill9 {

std::vector<Option> AddProgramOptions(Command& command, ProgramFlags& flags,
                                      const std::vector<Option>& of_designs) {
  command.Group("Your own programs (docs/bring_your_own.md)");
  Option worker =
      command
          .Add("--worker", flags.workers,
               "instead of a design: a command line that speaks the worker protocol, lines of JSON "
               "on standard input and output; given several times, participants have them by turns")
          .Each();
  Option fork_server =
      command
          .Add("--fork-server", flags.fork_servers,
               "the same, where what is shared is inherited by fork: the program serves the socket "
               "that is its descriptor 3, and forks a child for each connection")
          .Each();
  for (const Option& one : of_designs) {
    worker.Excludes(one);
    fork_server.Excludes(one);
  }
  return {
      command.Add("--model", flags.model, "what the programs share")
          .OneOf(programs::ModelsOfPrograms())
          .ShowDefault(),
      command.Add("--values", flags.values, "texts of all sizes, or numbers")
          .OneOf({"texts", "numbers"})
          .ShowDefault(),
      command.Add("--keys", flags.keys, "so many; default: the model's").Between(1u, 100'000u),
      command.AddFlag("--shared", flags.shared,
                      "programs see this machine's /dev/shm, /tmp and PIDs, and no private ones")};
}

void RefuseWithoutPrograms(const std::vector<Option>& of_programs) {
  for (const Option& option : of_programs) {
    if (!option.IsGiven()) continue;
    throw UsageError(option.name() + " is of programs of your own: --worker or --fork-server " +
                     "says which");
  }
}

Option AddKillAt(Command& command, ProgramFlags& flags) {
  return command
      .Add("--kill-at", flags.kill_at,
           "where in a call victims die: at a random moment of it, or at one of its system calls "
           "(by ptrace)")
      .OneOf({"random", "syscalls"})
      .ShowDefault();
}

}  // namespace kill9
