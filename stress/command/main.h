// The kill9 command as a library: a program's main() that calls it is the command.
#ifndef KILL9_STRESS_COMMAND_MAIN_H_
#define KILL9_STRESS_COMMAND_MAIN_H_

namespace kill9 {

// Everything that kill9 does, before the program has started a thread or opened a file. Returns the
// exit code.
int Main(int argc, char** argv);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_MAIN_H_
