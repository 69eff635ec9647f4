// A zygote: this program started anew, with a memory image that does not depend on who asked for
// what. All processes that are stepped descend from one.
//
// Address-space randomisation is off, the arguments and the environment are always the same, and
// all that is asked comes through shared memory, the area: so an operation gives the same trace
// whoever asks for it. Where the machine allows, a zygote is the first process of a PID namespace
// of its own (thread ids repeat, and nothing can outlive it) with a private /dev/shm.
#ifndef KILL9_HARNESS_STEPPER_ZYGOTE_H_
#define KILL9_HARNESS_STEPPER_ZYGOTE_H_

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kill9::stepper {

// What a zygote does each time it is asked, in a child of its own: always with the same memory.
struct ZygoteWork {
  void (*run)(void* area);
  // The child has ended; `how` tells it, for people.
  void (*ended)(void* area, const char* how);
};

// To be called first in main: if this process was started as a zygote, it works, and the exit code
// is returned.
std::optional<int> RunIfZygote(int argc, char** argv, const ZygoteWork& work);

class Zygote {
 public:
  static absl::StatusOr<std::unique_ptr<Zygote>> Start(size_t area_bytes);
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  // Fill in the area first. One work at a time; readable(fd()) tells that it is done.
  void Send();
  // Takes the answer. False: the zygote itself died.
  bool Receive();
  int fd() const { return socket_; }
  pid_t pid() const { return pid_; }
  void* area() { return area_; }

 private:
  explicit Zygote(size_t area_bytes) : area_bytes_(area_bytes) {}
  absl::Status Launch(int clone_flags);

  size_t area_bytes_;
  pid_t pid_ = 0;
  int socket_ = -1;
  int area_fd_ = -1;
  void* area_ = nullptr;
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_ZYGOTE_H_
