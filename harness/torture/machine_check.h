// Whether the machine allows what every design needs: asked before a run, and when a process cannot
// attach, so that nobody blames a design for a full table of files or a missing /proc.
#ifndef KILL9_HARNESS_TORTURE_MACHINE_CHECK_H_
#define KILL9_HARNESS_TORTURE_MACHINE_CHECK_H_

#include <cstdint>
#include <string>

namespace kill9 {

// Empty if a process can make a segment of `segment_bytes`, map it, take part in it, and set a
// timer; else what the machine refuses, and why. It tries each, and leaves nothing.
std::string WhatTheMachineRefuses(uint64_t segment_bytes);

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_MACHINE_CHECK_H_
