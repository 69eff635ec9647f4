#include "harness/sweep/runner.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "variants/segment/hash.h"

namespace kill9::sweep {
namespace {

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

constexpr size_t kStackBytes = size_t{1} << 20;

}  // namespace

Runner::Runner(CellArea& area, VariantFinder find)
    : area_(area), variant_(find(area.request.variant)) {
  stage_ =
      static_cast<CellSharedMemory*>(mmap(nullptr, sizeof(CellSharedMemory), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  size_t length = 0;
  void* head = nullptr;
  syscall(SYS_get_robust_list, 0, &head, &length);
  robust_head_ = reinterpret_cast<uint64_t>(head);
  mail_ = static_cast<PartnerMail*>(mmap(nullptr, sizeof(PartnerMail), PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  victim_stack_ = static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

Runner::~Runner() {
  DismissJudge();
  if (holder_ > 0) KillAndReap(holder_);
  if (creating()) unlink(created_path_.c_str());
  if (shared_.has_files()) Segment::Unlink(scene_->options.location).IgnoreError();
}

void Runner::Error(const char* format, ...) {
  if (failed()) return;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(area_.result.error, sizeof area_.result.error, format, arguments);
  va_end(arguments);
}

void Runner::Save(char* snapshot) {
  if (!shared_.Save(snapshot)) Error("%s", shared_.error());
}

void Runner::Restore(const char* snapshot) {
  if (creating()) unlink(created_path_.c_str());
  if (!shared_.Restore(snapshot)) Error("%s", shared_.error());
}

// While a segment is being created, all that others can see of it is its name and what is behind
// that.
uint64_t Runner::HashCreated() {
  int fd = open(created_path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, scratch_, bytes_);
  close(fd);
  return got < 0 ? 1 : XXH3_64bits(scratch_, static_cast<size_t>(got));
}

StateId Runner::Capture(const Tracee& victim, uint64_t system_calls, bool segment_may_differ) {
  constexpr uint64_t kPendingOffset = 2 * sizeof(void*);
  // Where thread ids do not repeat, a word that holds the victim's own counts as the same in every
  // run.
  const pid_t own = PidsRepeat() ? 0 : victim.pid();
  if (segment_may_differ) {
    segment_hash_ = creating() ? HashCreated() : shared_.HashSegment(own, kVictimPid);
  }
  const uint64_t of_files = shared_.has_files() ? shared_.HashFiles(own, kVictimPid) : 0;
  return {segment_hash_ + of_files, victim.Word(robust_head_),
          victim.Word(robust_head_ + kPendingOffset), system_calls};
}

// C1: a victim's stack and registers do not depend on where in this program it was forked.
[[noreturn]] void Runner::OnFreshStack(char* stack, void (*run)()) {
  static ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = kStackBytes;
  context.uc_link = nullptr;
  for (int r = REG_R8; r <= REG_RCX; ++r) context.uc_mcontext.gregs[r] = 0;
  makecontext(&context, run, 0);
  setcontext(&context);
  std::abort();
}

Tracee Runner::StartVictim(const Job& job) {
  stage_->victim_done = 0;
  stage_->victim_message[0] = '\0';
  pid_t child = ForkAs(job.pid == 0 ? kVictimPid : job.pid);
  if (child != 0) return Tracee(child);
  // Copied: a register may hold the job's address, which must not depend on the caller (C1).
  static Runner* runner;
  static Job job_of_child;
  runner = this;
  job_of_child = job;
  OnFreshStack(victim_stack_, [] { runner->BeVictim(job_of_child); });
}

void Runner::BeVictim(const Job& job) {
  VictimOperation operation(*scene_, job.operation, job.id,
                            job.reports ? &stage_->victim : nullptr);
  absl::Status status = operation.Prepare();
  if (!status.ok()) {
    std::snprintf(stage_->victim_message, sizeof stage_->victim_message, "%s",
                  status.ToString().c_str());
    _exit(1);
  }
  TraceMe();
  MarkBegin();
  status = operation.Run();
  MarkEnd();
  if (job.reports) operation.Report(status);
  stage_->victim_status = status.code();
  stage_->victim_done = 1;
  _exit(0);
}

// Everything before the victim's first instruction: the segment, the judge, the other victim.
bool Runner::StartJob(const Job& job, const JudgeRequest* orders, Tracee* victim, Tracee* other) {
  Restore(job.base);
  if (job.judged) CallJudge(orders != nullptr ? *orders : orders_);
  if (job.waiting != nullptr && !Begin(*job.waiting, other)) return false;
  if (!Begin(job, victim)) return false;
  return job.other == nullptr || Bring(*job.other, *job.other_trace, job.other_at, other);
}

bool Runner::Begin(const Job& job, Tracee* victim) {
  *victim = StartVictim(job);
  if (victim->WaitForBegin() == Tracee::Stop::kTrap) return true;
  Error("the victim could not begin: %s", stage_->victim_message[0] != '\0'
                                              ? stage_->victim_message
                                              : "it ended before its operation");
  return false;
}

void Runner::EndJob(Tracee& victim, Tracee& other) {
  victim.Kill();
  other.Kill();
  DismissJudge();
}

bool Runner::TouchesSegment(const user_regs_struct& registers) {
  const uint64_t begin = reinterpret_cast<uint64_t>(scene_->segment->base());
  return decoder_->MayTouch(registers, begin, begin + bytes_);
}

bool Runner::TouchesRobustList(const user_regs_struct& registers) {
  return decoder_->MayTouch(registers, robust_head_, robust_head_ + sizeof(robust_list_head));
}

bool Runner::TraceJob(const Job& job, Trace& trace) {
  trace.Clear();
  Tracee victim(0), other(0);
  bool good = StartJob(job, nullptr, &victim, &other);
  uint64_t system_calls = 0;
  uint32_t lasting_flags = 0;
  bool inside_string = false;
  bool may_differ = true;  // the state, from that of the step before
  StateId id{};
  AddressRange sequence{};  // the restartable one that the victim is about to run
  uint64_t previous = 0;
  while (good) {
    user_regs_struct registers = victim.Registers();
    const uint64_t address = registers.rip;
    Decoder::Kind kind = decoder_->Classify(address);
    const bool in_vdso = vdso_.Has(address);
    uint32_t flags = lasting_flags | (kind == Decoder::kSystemCallInstruction ? kSystemCall : 0) |
                     (inside_string && address == previous ? kInsideString : 0) |
                     (in_vdso ? kVdso : 0) | (sequence.Has(address) ? kRestartable : 0) |
                     (TouchesSegment(registers) ? kTouches : 0);
    if (may_differ || shared_.has_files()) id = Capture(victim, system_calls, may_differ);
    // Hashing the segment costs more than the step. It is left out where the instruction cannot
    // have changed anything; were that ever wrong, each kill would find drift (C2). Where a victim
    // maps its files is not known: they are hashed at each step.
    may_differ = creating() || (flags & kTouches) || TouchesRobustList(registers);
    if (!trace.Add(address, HashRegisters(registers), id, flags)) {
      Error("the operation has more than %u instructions or %u distinct states", Trace::kMaxSteps,
            Trace::kMaxStates);
      good = false;
      break;
    }
    const uint32_t before = trace.size() < 2 ? 0 : trace[trace.size() - 2].flags;
    if ((before & kVdso) && (before & kChanged)) {
      Error("the vDSO changed the segment: a death in the middle of that cannot be tried");
      break;
    }
    if (address == EndAddress()) break;
    const bool may_arm = restartable_at_.has_value() &&
                         decoder_->MayTouch(registers, *restartable_at_, *restartable_at_ + 8);
    inside_string = kind == Decoder::kRepeatedString;
    previous = address;
    if (kind == Decoder::kSystemCallInstruction) ++system_calls;
    if (in_vdso || kind == Decoder::kClockOrChance) lasting_flags |= kUnrepeatable;
    if (flags & kManyInstructions) {
      may_differ = true;
      inside_string = false;
      // A call: its return is on the stack.
      if (Cross(victim, in_vdso ? victim.Word(registers.rsp) : sequence.end)) continue;
      Error("without any kill, the victim did not come behind instruction %u: %s", trace.size() - 1,
            in_vdso ? "a call into the vDSO" : "a restartable sequence needs breakpoints");
      break;
    }
    Tracee::Stop stop =
        victim.Step(kind == Decoder::kSystemCallInstruction && job.other != nullptr);
    if (stop == Tracee::Stop::kBlocked && job.other != nullptr) {
      trace.set_ends_blocked();
      break;
    }
    if (may_arm) sequence = RestartableSequence(victim.Word(*restartable_at_));
    if (stop != Tracee::Stop::kTrap) {
      Error("without any kill, the victim %s after %u instructions (signal %d)",
            stop == Tracee::Stop::kBlocked ? "blocked" : "ended", trace.size(), victim.signal());
      good = false;
    }
  }
  EndJob(victim, other);
  good = good && !failed();
  if (good) trace.PlanWays(WayCostsOf(Tracee::breakpoints()));
  return good;
}

bool Runner::TraceRepeatably(const Job& job, Trace& trace) {
  Trace again;
  if (!TraceJob(job, trace) || !TraceJob(job, again)) return false;
  uint32_t at = trace.FirstDifference(again);
  if (at != trace.size() || trace.size() != again.size()) {
    const uint32_t last = std::min({at, trace.size() - 1, again.size() - 1});
    const Step &one = trace[last], &two = again[last];
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
bool Runner::Cross(Tracee& victim, uint64_t behind) {
  if (BreakpointsWork()) {
    return victim.RunTo(behind, 1) == Tracee::Stop::kTrap && victim.InstructionPointer() == behind;
  }
  do {
    if (victim.Step() != Tracee::Stop::kTrap) return false;
  } while (vdso_.Has(victim.InstructionPointer()));
  return victim.InstructionPointer() == behind;
}

// Along the planned way. False: the victim ended.
bool Runner::GoTo(Tracee& victim, const Trace& trace, uint32_t at) {
  if (at == 0) return true;
  const Step& step = trace[at];
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
                                ? victim.RunInsideString(decoder_->BytesOf(step.address), step.hits)
                                : victim.RunTo(step.address, step.hits);
  return stop == Tracee::Stop::kTrap;
}

// A breakpoint that was hit once more, or once less, than it counted: seen now and then on loaded
// virtual machines. The victim stands at another step of the very same trace.
bool Runner::IsElsewhere(const Trace& trace, const user_regs_struct& registers,
                         const StateId& found) {
  const uint32_t hash = HashRegisters(registers);
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const Step& step = trace[at];
    if (step.address != registers.rip) continue;
    const StateId& id = trace.state(step.state).id;
    const bool same_state = id.segment_hash == found.segment_hash &&
                            id.robust_next == found.robust_next &&
                            id.robust_pending == found.robust_pending;
    if (same_state && ((step.flags & kUnrepeatable) || step.registers == hash)) return true;
  }
  return false;
}

// C2. A victim that strayed to another step is never judged: another takes its place, and it is
// counted.
bool Runner::Reach(Tracee& victim, const Trace& trace, uint32_t at) {
  const uint32_t last = at < trace.size() ? at : trace.size() - 1;
  const Step& step = trace[last];
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
    // flags): the next victim most likely has it again.
    const bool by_chance = registers.rip == step.address && found == expected;
    if (by_chance || IsElsewhere(trace, registers, found)) {
      strayed_ = true;
      if (++area_.result.strayed <= kMostStrays) return false;
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

bool Runner::Bring(const Job& job, const Trace& trace, uint32_t at, Tracee* victim) {
  return Begin(job, victim) && Reach(*victim, trace, at);
}

bool Runner::KillOnce(const Job& job, Trace& trace, uint32_t at, const JudgeRequest& orders,
                      Answer* answer) {
  Tracee victim(0), other(0);
  while (!StartJob(job, &orders, &victim, &other) || !Reach(victim, trace, at)) {
    EndJob(victim, other);
    if (!HasStrayed()) return false;
  }
  faults_.victims += victim.Kill() + other.Kill();
  CountKill();
  if (at < trace.size()) trace[at].flags |= kKilled;
  *answer = AskJudge();
  return true;
}

bool Runner::KillAt(const Job& job, Trace& trace, uint32_t at, JudgeRequest orders,
                    Answer* answer) {
  const bool was_new = judgements_ == 0;
  if (!KillOnce(job, trace, at, orders, answer)) return false;
  if (answer->verdict == Verdict::kPass || was_new) return true;
  // That judge has judged others before: a new one must find the same.
  const Verdict found = answer->verdict;
  DismissJudge();
  if (!KillOnce(job, trace, at, orders, answer)) return false;
  if (answer->verdict == found) return true;
  Error("a judge found %s at instruction %u, and a new judge found %s",
        std::string(VerdictName(found)).c_str(), at,
        std::string(VerdictName(answer->verdict)).c_str());
  return false;
}

bool Runner::KillAndLeave(const Job& job, Trace& trace, uint32_t at, char* left) {
  bool good = false;
  do {
    Tracee victim(0), other(0);
    good = StartJob(job, nullptr, &victim, &other) && Reach(victim, trace, at);
    EndJob(victim, other);
  } while (!good && HasStrayed());
  if (good) Save(left);
  return good && !failed();
}

void Runner::Fail(const Place& place, const Trace* trace, uint32_t at, const Answer& answer) {
  CellResult& all = area_.result;
  if (all.failures == 0) {
    all.verdict = answer.verdict;
    all.leaked_blocks = stage_->report.leaked_blocks;
    all.doubly_owned_blocks = stage_->report.doubly_owned_blocks;
  }
  if (all.failures < kMostFailures) {
    Failure& failure = all.failure[all.failures];
    failure.place = place;
    failure.verdict = answer.verdict;
    failure.instructions = trace != nullptr ? trace->size() : 0;
    if (trace != nullptr && at < trace->size()) {
      failure.address = (*trace)[at].address;
      failure.segment_hash = trace->state((*trace)[at].state).id.segment_hash;
    }
    std::snprintf(failure.message, sizeof failure.message, "%s", answer.message);
  }
  ++all.failures;
}

}  // namespace kill9::sweep
