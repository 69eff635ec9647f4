// What the command line says. Short options are memcached's own, as far as they mean something
// here.
#ifndef KILL9_APPS_MEMCACHED_OPTIONS_OPTIONS_H_
#define KILL9_APPS_MEMCACHED_OPTIONS_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kill9::memcached {

struct Options {
  std::string design = "seqlock_ring";
  std::vector<std::string> files;  // none: memory, which ends with the server
  uint64_t memory_bytes = 64 << 20;
  uint64_t value_bytes_most = 1 << 20;
  uint64_t expected_entries = 0;
  int workers = 2;

  std::vector<std::string> addresses = {"127.0.0.1"};  // HOST or HOST:PORT
  int port = 11211;
  std::string unix_path;
  int unix_mode = 0700;
  int backlog = 1024;
  uint64_t connections_most = 1024;

  int disk_seconds = 0;                    // how old the disk's copy may be; 0: as the kernel likes
  int idle_seconds = 0;                    // 0: who is silent may stay
  int stall_seconds = 60;                  // who has begun something, or does not read its answers
  uint64_t buffer_bytes_most = 256 << 20;  // of each worker, for what is begun and not answered
  uint64_t requests_per_turn = 1000;

  std::string user;
  std::string pid_file;
  bool daemon = false;
  bool uses_cas = true;
  bool may_flush = true;
  bool may_shut_down = false;
  bool may_move_clock = false;  // tests only
  int verbosity = 0;

  bool shows_help = false;
  bool shows_version = false;
};

// kInvalidArgument says what is wrong, and what to do.
absl::StatusOr<Options> ParseOptions(int argc, char** argv);
std::string HelpText();

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_OPTIONS_OPTIONS_H_
