#include "harness/stepper/stepper.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "variants/segment/hash.h"

namespace kill9::stepper {
namespace {

constexpr size_t kStackBytes = size_t{1} << 20;
constexpr size_t kFreshBytes = 2048;  // of its top

// The flags that arithmetic leaves are not compared: a random number that is compared with another
// (an identity, freed memory under malloc's eyes) leaves flags that are equal in two traces by
// chance, and not in a third run. Where a flag matters, another instruction follows.
uint32_t HashRegisters(user_regs_struct registers) {
  constexpr unsigned long kStepAndResume = 0x100 | 0x10000;  // the flags TF and RF are the tracer's
  constexpr unsigned long kArithmetic = 0x8D5;               // CF, PF, AF, ZF, SF, OF
  registers.eflags &= ~(kStepAndResume | kArithmetic);
  registers.r11 &=
      ~(kStepAndResume | kArithmetic);  // a system call leaves a copy of the flags there
  registers.orig_rax = 0;
  return static_cast<uint32_t>(XXH3_64bits(&registers, sizeof registers));
}

bool BreakpointsWork() { return Tracee::breakpoints() != Breakpoints::kSingleSteps; }

}  // namespace

struct Stepper::Fresh {
  ucontext_t context;
  Stepper* stepper;
  TraceeStart start;
};

Stepper::Stepper(const Owner& owner) : owner_(owner) {
  size_t length = 0;
  void* head = nullptr;
  syscall(SYS_get_robust_list, 0, &head, &length);
  robust_head_ = reinterpret_cast<uint64_t>(head);
  tracee_stack_ = static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  static_assert(sizeof(Fresh) <= kFreshBytes);
  fresh_ = reinterpret_cast<Fresh*>(tracee_stack_ + kStackBytes - kFreshBytes);
}

Stepper::~Stepper() { munmap(tracee_stack_, kStackBytes); }

void Stepper::Error(const char* format, ...) {
  if (failed()) return;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(owner_.error.data(), owner_.error.size(), format, arguments);
  va_end(arguments);
}

void Stepper::Save(char* snapshot) {
  if (!shared_.Save(snapshot)) Error("%s", shared_.error());
}

void Stepper::Restore(const char* snapshot) {
  if (!shared_.Restore(snapshot)) Error("%s", shared_.error());
}

uint64_t Stepper::Standing::KillAll() {
  uint64_t faults = 0;
  for (Tracee& tracee : tracee_) faults += tracee.Kill();
  return faults;
}

StateId Stepper::Capture(const Tracee& victim, uint64_t system_calls, Changed may_differ) {
  constexpr uint64_t kPendingOffset = 2 * sizeof(void*);
  // Where thread ids do not repeat, a word that holds the victim's, or that of somebody who is
  // attached beside it, counts as the same in every run.
  const PidsByNumber pids = PidsOfNumbers();
  if (may_differ.segment) segment_hash_ = shared_.HashSegment(pids);
  if (may_differ.outside && shared_.outside_segment()) outside_hash_ = shared_.HashOutside(pids);
  return {segment_hash_ + outside_hash_, victim.Word(robust_head_),
          victim.Word(robust_head_ + kPendingOffset), system_calls};
}

// C1: a tracee's stack and registers do not depend on where in this program it was forked. What it
// is started with is copied to the top of its stack: a register may hold the address, and a page
// that it touches anyway is no page more.
Tracee Stepper::Start(const TraceeStart& start) {
  pid_t child = ForkAs(start.pid);
  if (child != 0) return Tracee(child);
  fresh_->stepper = this;
  fresh_->start = start;
  ucontext_t& context = fresh_->context;
  getcontext(&context);
  context.uc_stack.ss_sp = tracee_stack_;
  context.uc_stack.ss_size = kStackBytes - kFreshBytes;
  context.uc_link = nullptr;
  for (int r = REG_R8; r <= REG_RCX; ++r) context.uc_mcontext.gregs[r] = 0;
  makecontext(
      &context, [] { fresh_->stepper->owner_.body(fresh_->stepper->owner_.self, fresh_->start); },
      0);
  setcontext(&context);
  std::abort();
}

bool Stepper::Begin(const TraceeStart& start, Tracee* tracee) {
  *tracee = Start(start);
  if (tracee->WaitForBegin() == Tracee::Stop::kTrap) return true;
  Error("the victim could not begin: %s",
        owner_.why_not_ready[0] != '\0' ? owner_.why_not_ready : "it ended before its operation");
  return false;
}

bool Stepper::StartAll(const SteppedRun& run, Before before, Standing* standing) {
  Restore(run.base);
  before();
  standing->subject_ = run.subject;
  for (uint32_t n = 0; n < run.count; ++n) {
    const TraceeStart& start = run.tracee[n];
    if (!Begin(start, &(*standing)[n])) return false;
    if (start.trace != nullptr && !Reach((*standing)[n], *start.trace, start.at)) return false;
    if (start.died == nullptr) continue;
    (*standing)[n].Kill();
    if (!(*start.died)()) return false;
  }
  return true;
}

bool Stepper::TraceSubject(const SteppedRun& run, Before before, Trace& trace) {
  trace.Clear();
  Standing standing;
  // Beside one that stands in the middle of its operation.
  const bool may_wait =
      std::any_of(run.tracee, run.tracee + run.count,
                  [](const TraceeStart& start) { return start.trace != nullptr; });
  bool good =
      StartAll(run, before, &standing) && StepThrough(standing.subject(), may_wait, 0, trace);
  standing.KillAll();
  good = good && !failed();
  if (good) trace.PlanWays(WayCostsOf(Tracee::breakpoints()));
  return good;
}

bool Stepper::TraceOn(Standing& standing, const TraceStep& from, bool may_wait, Trace& rest) {
  rest.Clear();
  if (!StepThrough(standing.subject(), may_wait, from.flags & kUnrepeatable, rest)) return false;
  rest.PlanWays(WayCostsOf(Tracee::breakpoints()));
  return true;
}

bool Stepper::Ready(const SteppedRun& run, Before before, Standing* standing) {
  if (StartAll(run, before, standing)) return true;
  standing->KillAll();
  return false;
}

bool Stepper::Bring(const SteppedRun& run, Before before, const Trace& trace, uint32_t at,
                    Standing* standing) {
  if (StartAll(run, before, standing) && Reach(standing->subject(), trace, at)) return true;
  standing->KillAll();
  return false;
}

bool Stepper::TouchesSegment(const user_regs_struct& registers) {
  const uint64_t begin = reinterpret_cast<uint64_t>(shared_.segment());
  return decoder_.MayTouch(registers, begin, begin + shared_.segment_bytes());
}

// Files change by system calls, and where the victim maps them.
bool Stepper::TouchesOutside(const user_regs_struct& registers) {
  if (!shared_.outside_segment()) return false;
  if (!mappings_known_) return true;
  for (const AddressRange& range : mappings_.ranges()) {
    if (decoder_.MayTouch(registers, range.begin, range.end)) return true;
  }
  return decoder_.Classify(registers.rip) == Decoder::kSystemCallInstruction;
}

bool Stepper::TouchesRobustList(const user_regs_struct& registers) {
  return decoder_.MayTouch(registers, robust_head_, robust_head_ + sizeof(robust_list_head));
}

// False: it did not come to its end.
bool Stepper::StepThrough(Tracee& victim, bool may_wait, uint32_t lasting_flags, Trace& trace) {
  uint64_t system_calls = 0;
  bool inside_string = false;
  Changed may_differ = {true, true};  // from the state of the step before
  StateId id{};
  AddressRange sequence{};  // the restartable one that the victim is about to run
  uint64_t previous = 0;
  bool maps_memory = true;  // as the step before did
  while (true) {
    user_regs_struct registers = victim.Registers();
    if (maps_memory && shared_.outside_segment()) mappings_known_ = mappings_.Read(victim.pid());
    const uint64_t address = registers.rip;
    Decoder::Kind kind = decoder_.Classify(address);
    const bool in_vdso = vdso_.Has(address);
    uint32_t flags = lasting_flags | (kind == Decoder::kSystemCallInstruction ? kSystemCall : 0) |
                     (inside_string && address == previous ? kInsideString : 0) |
                     (in_vdso ? kVdso : 0) | (sequence.Has(address) ? kRestartable : 0) |
                     (TouchesSegment(registers) ? kTouches : 0);
    if (may_differ.segment || may_differ.outside) id = Capture(victim, system_calls, may_differ);
    // Hashing what is shared costs more than the step. It is left out where the instruction cannot
    // have changed anything; were that ever wrong, each kill would find drift (C2).
    may_differ = {(flags & kTouches) || TouchesRobustList(registers), TouchesOutside(registers)};
    maps_memory =
        kind == Decoder::kSystemCallInstruction && MapsMemory(static_cast<long>(registers.rax));
    if (!trace.Add(address, HashRegisters(registers), id, flags)) {
      Error("the operation has more than %u instructions or %u distinct states", Trace::kMaxSteps,
            Trace::kMaxStates);
      return false;
    }
    const uint32_t flags_before = trace.size() < 2 ? 0 : trace[trace.size() - 2].flags;
    if ((flags_before & kVdso) && (flags_before & kChanged)) {
      Error("the vDSO changed the segment: a death in the middle of that cannot be tried");
      return false;
    }
    if (address == EndAddress()) return true;
    const bool may_arm = restartable_at_.has_value() &&
                         decoder_.MayTouch(registers, *restartable_at_, *restartable_at_ + 8);
    inside_string = kind == Decoder::kRepeatedString;
    previous = address;
    if (kind == Decoder::kSystemCallInstruction) ++system_calls;
    if (in_vdso || kind == Decoder::kClockOrChance) lasting_flags |= kUnrepeatable;
    if (flags & kManyInstructions) {
      may_differ = {true, true};
      inside_string = false;
      // A call: its return is on the stack.
      if (Cross(victim, in_vdso ? victim.Word(registers.rsp) : sequence.end)) continue;
      Error("without any kill, the victim did not come behind instruction %u: %s", trace.size() - 1,
            in_vdso ? "a call into the vDSO" : "a restartable sequence needs breakpoints");
      return false;
    }
    Tracee::Stop stop = victim.Step(kind == Decoder::kSystemCallInstruction && may_wait);
    if (stop == Tracee::Stop::kBlocked && may_wait) {
      trace.set_ends_blocked();
      return true;
    }
    if (may_arm) sequence = RestartableSequence(victim.Word(*restartable_at_));
    if (stop != Tracee::Stop::kTrap) {
      Error("without any kill, the victim %s after %u instructions (signal %d)",
            stop == Tracee::Stop::kBlocked ? "blocked" : "ended", trace.size(), victim.signal());
      return false;
    }
  }
}

bool Stepper::AreTheSame(Trace& trace, const Trace& again) {
  uint32_t at = trace.FirstDifference(again);
  if (at != trace.size() || trace.size() != again.size()) {
    const uint32_t last = std::min({at, trace.size() - 1, again.size() - 1});
    const TraceStep &one = trace[last], &two = again[last];
    const StateId &left = trace.state(one.state).id, &right = again.state(two.state).id;
    Error(
        "the trace is not the same every time: it has %u, then %u instructions, and differs at %u "
        "(address %#llx, then %#llx; %s segment, robust list %#llx, then %#llx, %llu and %llu "
        "system calls)",
        trace.size(), again.size(), at, static_cast<unsigned long long>(one.address),
        static_cast<unsigned long long>(two.address),
        left.segment_hash == right.segment_hash ? "the same" : "another",
        static_cast<unsigned long long>(left.robust_next),
        static_cast<unsigned long long>(right.robust_next),
        static_cast<unsigned long long>(left.system_calls),
        static_cast<unsigned long long>(right.system_calls));
    return false;
  }
  for (uint32_t step = 0; step < trace.size(); ++step) {
    if (trace[step].registers != again[step].registers) trace[step].flags |= kUnrepeatable;
  }
  return true;
}

// Over a step of many instructions, to where it ends. How many they are depends on the moment.
bool Stepper::Cross(Tracee& victim, uint64_t behind) {
  if (BreakpointsWork()) {
    return victim.RunTo(behind, 1) == Tracee::Stop::kTrap && victim.InstructionPointer() == behind;
  }
  do {
    if (victim.Step() != Tracee::Stop::kTrap) return false;
  } while (vdso_.Has(victim.InstructionPointer()));
  return victim.InstructionPointer() == behind;
}

// Along the planned way. False: the victim ended.
bool Stepper::GoTo(Tracee& victim, const Trace& trace, uint32_t at) {
  if (at == 0) return true;
  const TraceStep& step = trace[at];
  if (!GoTo(victim, trace, step.from)) return false;
  if (step.hits == 0) {
    for (uint32_t n = step.from; n < at; ++n) {
      const bool there = trace[n].flags & kManyInstructions ? Cross(victim, trace[n + 1].address)
                                                            : victim.Step() == Tracee::Stop::kTrap;
      if (!there) return false;
    }
    return true;
  }
  const Tracee::Stop stop = step.flags & kInsideString
                                ? victim.RunInsideString(decoder_.BytesOf(step.address), step.hits)
                                : victim.RunTo(step.address, step.hits);
  return stop == Tracee::Stop::kTrap;
}

// A breakpoint that was hit once more, or once less, than it counted: seen now and then on loaded
// virtual machines. The victim stands at another step of the very same trace.
bool Stepper::IsElsewhere(const Trace& trace, const user_regs_struct& registers,
                          const StateId& found) {
  const uint32_t hash = HashRegisters(registers);
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const TraceStep& step = trace[at];
    if (step.address != registers.rip) continue;
    const StateId& id = trace.state(step.state).id;
    const bool same_state = id.segment_hash == found.segment_hash &&
                            id.robust_next == found.robust_next &&
                            id.robust_pending == found.robust_pending;
    if (same_state && ((step.flags & kUnrepeatable) || step.registers == hash)) return true;
  }
  return false;
}

// C2. A tracee that stands at another step is never used: another takes its place, and it is
// counted.
bool Stepper::Reach(Tracee& victim, const Trace& trace, uint32_t at) {
  const uint32_t last = at < trace.size() ? at : trace.size() - 1;
  const TraceStep& step = trace[last];
  if (!GoTo(victim, trace, last)) {
    Error("drift: a victim ended on its way to instruction %u of %u", at, trace.size());
    return false;
  }
  user_regs_struct registers = victim.Registers();
  const StateId& expected = trace.state(step.state).id;
  StateId found = Capture(victim, expected.system_calls);
  bool registers_differ =
      !(step.flags & kUnrepeatable) && HashRegisters(registers) != step.registers;
  if (registers.rip != step.address || registers_differ || !(found == expected)) {
    // Or chance left something in a register that was the same in both traces (as above, of the
    // flags), or what is shared has a word that is one of the PIDs by chance, where these do not
    // repeat: the next victim most likely has it again.
    const bool by_chance = registers.rip == step.address &&
                           (found == expected || (!PidsRepeat() && !registers_differ));
    if (by_chance || IsElsewhere(trace, registers, found)) {
      missed_breakpoint_ = true;
      if (++*owner_.missed_breakpoints <= kMostMissed) return false;
    }
    Error("drift: before instruction %u of %u the victim is at %#llx instead of %#llx, %s, %s", at,
          trace.size(), static_cast<unsigned long long>(registers.rip),
          static_cast<unsigned long long>(step.address),
          registers_differ ? "with other registers" : "with the same registers",
          found == expected ? "the segment is the same" : "the segment is another");
    return false;
  }
  if (at < trace.size()) return true;
  if (victim.Step(true) == Tracee::Stop::kBlocked) return true;
  Error("drift: a victim that had to wait did not");
  return false;
}

}  // namespace kill9::stepper
