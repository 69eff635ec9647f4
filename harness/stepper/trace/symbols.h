// From addresses to source lines, by libdw, for a worker's memory image.
#ifndef KILL9_HARNESS_STEPPER_TRACE_SYMBOLS_H_
#define KILL9_HARNESS_STEPPER_TRACE_SYMBOLS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

extern "C" typedef struct Dwfl_Frame Dwfl_Frame;

namespace kill9::stepper {

struct SourceLine {
  std::string file;  // as the compiler was given it; empty: not known
  int line = 0;
};

class Symbols {
 public:
  // REQUIRES: the process lives, and is this program.
  explicit Symbols(pid_t pid);
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  SourceLine Line(uint64_t address) const;
  // The line of ours: where code of a library was made part of it, the place where it was called.
  SourceLine LineOfOurs(uint64_t address) const;
  // Whether the code is this program's, or of a library that is none of the distribution's. Of
  // others nothing is read, however much of it debug packages would tell.
  bool IsOurs(uint64_t address) const;
  std::string Function(uint64_t address) const;  // demangled; "?" where there is no symbol
  // The calls of the process's first thread, the innermost first, as dwfl_thread_getframes tells
  // them; it is stopped by ptrace meanwhile.
  void Unwind(int (*take)(Dwfl_Frame*, void*), void* argument) const;
  // One line for people: instruction, function, file and line.
  std::string Describe(uint64_t address) const;
  // Every line that has code of ours, for files that `wanted` accepts.
  void ForEachLineWithCode(
      const std::function<bool(std::string_view file)>& wanted,
      const std::function<void(const std::string& file, int line)>& visit) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether the file is one that neither the project nor who brings an object wrote: of the
// distribution, or a header of kill9's for objects.
bool IsOfLibrary(std::string_view file);

// Whether the file is an object's: of a design of ours, or written by who brings one.
bool IsOfTheObject(std::string_view file);

// The path from the project's own directory on: "variants/store.cc"; as given, if it is none of
// ours.
std::string ShortPath(std::string_view file);

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_SYMBOLS_H_
