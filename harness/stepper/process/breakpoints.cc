#include "harness/stepper/process/breakpoints.h"

#include <unistd.h>

#include <array>

#include "harness/stepper/process/tracee.h"

namespace kill9::stepper {
namespace {

constexpr std::array<std::string_view, kBreakpointsCount> kNames = {"debug_registers", "int3",
                                                                    "single_steps"};

constexpr uint32_t kTried = 3;  // hits

[[gnu::noinline]] void BreakHere(uint64_t visit) { asm volatile("" : : "D"(visit) : "memory"); }

// A child that comes by a function often enough stands there at the third visit, and goes on
// unharmed.
bool Works(Breakpoints breakpoints) {
  Tracee::UseBreakpoints(breakpoints);
  Tracee child(ForkAs(0));
  if (child.pid() == 0) {
    TraceMe();
    MarkBegin();
    for (uint64_t visit = 1; visit <= kTried + 1; ++visit) BreakHere(visit);
    MarkEnd();
    _exit(0);
  }
  const uint64_t there = reinterpret_cast<uint64_t>(&BreakHere);
  bool works = child.WaitForBegin() == Tracee::Stop::kTrap &&
               child.RunTo(there, kTried) == Tracee::Stop::kTrap;
  if (works) {
    const user_regs_struct registers = child.Registers();
    works = registers.rip == there && registers.rdi == kTried &&
            child.Continue() == Tracee::Stop::kTrap &&
            child.InstructionPointer() == EndAddress() + 1;
  }
  child.Kill();
  return works;
}

}  // namespace

std::string_view Name(Breakpoints breakpoints) { return kNames[static_cast<size_t>(breakpoints)]; }

std::string_view Name(BreakpointChoice choice) {
  if (choice == BreakpointChoice::kFirstThatWorks) return "first_that_works";
  return kNames[static_cast<size_t>(choice) - 1];
}

std::optional<Breakpoints> FindBreakpoints(BreakpointChoice choice) {
  for (const Breakpoints breakpoints : {Breakpoints::kDebugRegisters, Breakpoints::kInt3}) {
    const bool wanted =
        choice == BreakpointChoice::kFirstThatWorks || Name(choice) == Name(breakpoints);
    if (wanted && Works(breakpoints)) return breakpoints;
  }
  if (choice == BreakpointChoice::kFirstThatWorks || choice == BreakpointChoice::kSingleSteps) {
    return Breakpoints::kSingleSteps;
  }
  return std::nullopt;
}

// Setting a debug register is two short system calls. An int3 is two that write to the victim's
// code, and the copy of a page; a further hit stops once to step over it.
WayCosts WayCostsOf(Breakpoints breakpoints) {
  switch (breakpoints) {
    case Breakpoints::kDebugRegisters:
      return {.breakpoints = true, .first_hit = 5, .further_hit = 4};
    case Breakpoints::kInt3:
      return {.breakpoints = true, .first_hit = 6, .further_hit = 9, .steps_over = true};
    case Breakpoints::kSingleSteps:
      break;
  }
  return {};
}

}  // namespace kill9::stepper
