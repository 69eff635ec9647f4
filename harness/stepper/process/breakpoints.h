// How a victim is stopped at an instruction that it runs to, and which of these ways a machine has.
//
// A machine may take an address for a debug register and never stop there, or refuse it; so a
// mechanism is believed once it has stopped a process where it should, as often as it should.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_BREAKPOINTS_H_
#define KILL9_HARNESS_STEPPER_PROCESS_BREAKPOINTS_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace kill9::stepper {

enum class Breakpoints : uint8_t {
  kDebugRegisters,  // the CPU compares addresses: one stop a hit
  kInt3,            // planted in the victim's own copy of the page: one stop at the first hit, two
                    // for each further one, which is stepped over
  kSingleSteps,     // not at all: each instruction on the way is a stop
};
inline constexpr int kBreakpointsCount = 3;
std::string_view Name(Breakpoints breakpoints);  // "debug_registers"

// Which of them are used: the first that works, or this one and no other.
enum class BreakpointChoice : uint8_t { kFirstThatWorks, kDebugRegisters, kInt3, kSingleSteps };
inline constexpr int kBreakpointChoiceCount = 4;
std::string_view Name(BreakpointChoice choice);

// By trying. Nothing: the one that was asked for does not work here.
std::optional<Breakpoints> FindBreakpoints(BreakpointChoice choice);

// What the parts of a way cost, in quarters of a stop.
struct WayCosts {
  bool breakpoints = false;  // else only single steps
  uint32_t step = 4;
  uint32_t first_hit = 0, further_hit = 0;  // what setting the breakpoint costs is in the first
  bool steps_over = false;  // a further hit steps over the instruction: not a repeated string one
};

WayCosts WayCostsOf(Breakpoints breakpoints);

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_BREAKPOINTS_H_
