// What a system call is called, and which of its arguments says what file it is about.
#ifndef KILL9_HARNESS_RUN_FOLLOW_SYSTEM_CALLS_H_
#define KILL9_HARNESS_RUN_FOLLOW_SYSTEM_CALLS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace kill9::run {

std::string CallName(long number);                        // "openat"
std::optional<long> CallNumber(const std::string& name);  // of this machine

// Indices of arguments; -1: there is none.
struct FileArguments {
  int path = -1;        // a string
  int directory = -1;   // a descriptor that a relative path begins at; else the current directory
  int descriptor = -1;  // of the file itself, where there is no path
};
FileArguments FileArgumentsOf(long number);

}  // namespace kill9::run

#endif  // KILL9_HARNESS_RUN_FOLLOW_SYSTEM_CALLS_H_
