// Commands run from outside, as a person's shell runs them.
#ifndef KILL9_PROPERTY_COMMAND_COMMAND_FOR_TESTS_H_
#define KILL9_PROPERTY_COMMAND_COMMAND_FOR_TESTS_H_

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <string>

#include "gmock/gmock.h"
#include "property/scaffold/places.h"
#include "variants/registry.h"

namespace kill9 {

struct Ended {
  int exit_code = -1;  // -1: of a signal, or never begun
  std::string output;
};

// Runs a line of the shell. `output` is its standard output: the line says where standard error
// goes.
inline Ended RunLine(const std::string& line) {
  Ended ended;
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> buffer;
  for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    ended.output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

// Runs a line of the shell, without single quotes, in `folder`, which is a full disk for it alone.
// Exit code 77: this machine allows no mounts.
inline Ended RunOnFullDisk(const std::string& folder, const std::string& line) {
  return RunLine("cd " + folder +
                 " && { unshare --map-root-user --mount mount -t tmpfs none . 2>/dev/null || "
                 "exit 77; } && unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size=64k "
                 "none . && cd " +
                 folder + " && { cat /dev/zero >full 2>/dev/null; test -s full; } && " + line +
                 "' 2>&1");
}

// What a wrong --variant is answered, by what is built in.
inline const char* KnownVariants() {
  for (const auto& [peer, package] : PeerPackages()) {
    if (FindDesign(peer) != nullptr) return "known are: all, baselines, peers, global_mutex";
  }
  return "known are: all, baselines, global_mutex";
}

// What a command must refuse, and a part of what it must say then.
struct Refused {
  const char* arguments;
  const char* message;
};
// `run` takes a command's arguments.
inline void ExpectUsageErrors(const std::function<Ended(const char*)>& run,
                              std::initializer_list<Refused> all) {
  for (const auto& [arguments, message] : all) {
    const Ended ended = run(arguments);
    EXPECT_EQ(ended.exit_code, 2) << arguments;
    EXPECT_THAT(ended.output, ::testing::HasSubstr(message)) << arguments;
  }
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_COMMAND_COMMAND_FOR_TESTS_H_
