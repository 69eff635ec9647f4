#include "harness/torture/machine_check.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "variants/segment.h"

namespace kill9 {
namespace {

// As `ulimit` says it; empty where there is no limit.
std::string Limit(__rlimit_resource resource, const char* flag) {
  struct rlimit limit {};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "";
  return absl::StrCat(" (ulimit ", flag, " is ", limit.rlim_cur, ")");
}

std::string RefusedTimer() {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
    return absl::StrCat("a timer: ", std::strerror(errno), Limit(RLIMIT_SIGPENDING, "-i"));
  }
  timer_delete(timer);
  return "";
}

std::string RefusedMapping(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::StrCat("a mapping of ", bytes, " bytes: ", std::strerror(errno),
                        Limit(RLIMIT_AS, "-v"));
  }
  munmap(memory, bytes);
  return "";
}

// Of the smallest kind, with nothing but a table of participants.
std::string RefusedSegment() {
  SegmentOptions options;
  options.size_bytes = 64u << 10;
  options.max_participants = 1;
  const absl::StatusOr<std::shared_ptr<Segment>> segment =
      Segment::Create(options, {.design = "machine_check"},
                      [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
  if (!segment.ok()) {
    return absl::StrCat("a segment: ", std::string(segment.status().message()),
                        Limit(RLIMIT_NOFILE, "-n"));
  }
  const absl::StatusOr<Participant> participant = (*segment)->participants().Claim();
  if (participant.ok()) return "";
  return absl::StrCat("a participant: ", std::string(participant.status().message()),
                      Limit(RLIMIT_NOFILE, "-n"));
}

}  // namespace

std::string WhatTheMachineRefuses(uint64_t segment_bytes) {
  for (const std::string& refused :
       {RefusedTimer(), RefusedMapping(segment_bytes), RefusedSegment()}) {
    if (!refused.empty()) return absl::StrCat("this machine refuses ", refused);
  }
  return "";
}

}  // namespace kill9
