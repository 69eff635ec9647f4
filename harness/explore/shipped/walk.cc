#include "harness/explore/shipped/walk.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "harness/stepper/process/process_wait.h"

namespace kill9::explore {
namespace {

using stepper::Tracee;

constexpr char kWritesTwice[] = "it writes twice";

bool WaitsOnFutex(uint64_t call, uint64_t operation) {
  const uint64_t command = operation & FUTEX_CMD_MASK;
  return call == SYS_futex && (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET);
}

// What other participants may notice, or what depends on them.
bool IsAboutOthers(const user_regs_struct& registers) {
  switch (registers.rax) {
    case SYS_fcntl:
    case SYS_close:
    case SYS_munmap:
    case SYS_kill:
    case SYS_membarrier:
    case SYS_ppoll:
    case SYS_poll:
    case SYS_read:
    case SYS_pwrite64:
    case SYS_inotify_add_watch:
    case SYS_inotify_rm_watch:
      return true;
    case SYS_madvise:
      return registers.rdx == MADV_REMOVE;
    default:
      return false;
  }
}

}  // namespace

Walk::Walk(const Steps& steps, Scene& scene, Processes& processes)
    : plan_(steps),
      scene_(scene),
      processes_(processes),
      base_(reinterpret_cast<uint64_t>(scene.memory().data())),
      watched_(scene.memory().size() / 8 + 1) {
  ChooseSteps();
}

// Words that two touch, one of them by a write; the kernel's writes to a mutex of the dead, too.
void Walk::ChooseSteps() {
  struct Touched {
    uint8_t readers = 0, writers = 0;
  };
  std::vector<Touched> touched(watched_.size());
  const auto for_each_word = [&](const PlannedStep& step, auto visit) {
    const uint64_t bytes = std::max<uint64_t>(step.bytes, 1);
    for (uint64_t word = step.offset / 8; word <= (step.offset + bytes - 1) / 8; ++word) {
      if (word < watched_.size()) visit(word);
    }
  };
  for (const PlannedStep& step : plan_.steps) {
    if (!IsAccess(step.kind) && step.kind != AccessKind::kEvent) continue;
    const auto mine = static_cast<uint8_t>(1u << step.participant);
    for_each_word(step, [&](uint64_t word) {
      // What the kernel does is done by yet another.
      if (step.kind == AccessKind::kEvent) touched[word].writers |= 1u << kMostParticipants;
      (step.kind == AccessKind::kRead ? touched[word].readers : touched[word].writers) |= mine;
    });
  }
  for (size_t word = 0; word < watched_.size(); ++word) {
    const uint32_t writers = touched[word].writers, all = writers | touched[word].readers;
    watched_[word] = writers != 0 && (all & (all - 1)) != 0;
  }
  matters_.resize(plan_.steps.size());
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const PlannedStep& step = plan_.steps[i];
    Process& process = of_[static_cast<size_t>(step.participant)];
    const bool access = IsAccess(step.kind) && IsWatched(step.offset, step.bytes);
    matters_[i] = access || step.kind == AccessKind::kCall || step.kind == AccessKind::kKernel ||
                  step.kind == AccessKind::kDeath || step.kind == AccessKind::kEvent;
    if (matters_[i] && step.kind != AccessKind::kEvent) process.steps.push_back(i);
  }
  for (Process& process : of_) process.made.resize(process.steps.size());
}

bool Walk::IsWatched(uint64_t offset, uint64_t bytes) const {
  for (const uint64_t mutex : plan_.mutexes) {
    if (offset >= mutex + kMutexWordBytes && offset < mutex + sizeof(pthread_mutex_t)) return false;
  }
  for (uint64_t word = offset / 8; word <= (offset + std::max<uint64_t>(bytes, 1) - 1) / 8;
       ++word) {
    if (word < watched_.size() && watched_[word]) return true;
  }
  return false;
}

bool Walk::Diverge(int participant, const std::string& how) {
  if (diverged_.empty()) {
    const Process& process = of_[static_cast<size_t>(participant)];
    diverged_ = absl::StrCat(
        how, " (participant ", std::string(1, static_cast<char>('a' + participant)),
        ", before its step ", process.next + 1, " of ", process.steps.size(), " that matter)");
  }
  return false;
}

bool Walk::Divide(int participant, const std::string& how) {
  divided_ = diverged_.empty();
  return Diverge(participant, how);
}

Walk::Next Walk::Look(int participant) {
  Next next;
  next.registers = processes_.tracee(participant).Registers();
  if (decoder_.Classify(next.registers.rip) == stepper::Decoder::kSystemCallInstruction) {
    const uint64_t number = next.registers.rax;
    next.call =
        SystemCall(number, number == SYS_fcntl ? static_cast<uint32_t>(next.registers.rsi) : 0);
    next.about_others = IsAboutOthers(next.registers);
    next.kind = number == SYS_exit_group ? Next::kEnds : Next::kCallsKernel;
    if (WaitsOnFutex(number, next.registers.rsi)) {
      const uint64_t offset = next.registers.rdi - base_;
      if (offset < scene_.memory().size()) next.piece[next.pieces++] = {offset, 4};
    }
    return next;
  }
  stepper::Decoder::Touched touched[2];
  const int count = decoder_.Touches(next.registers, touched);
  const uint64_t marker = processes_.MarkerOf(participant);
  for (int n = 0; n < count; ++n) {
    if (touched[n].begin == marker) next.kind = Next::kMarks;
    const uint64_t offset = touched[n].begin - base_;
    if (offset >= scene_.memory().size() || touched[n].bytes == 0) continue;
    if (!IsWatched(offset, touched[n].bytes)) continue;
    next.piece[next.pieces++] = {offset, touched[n].bytes, touched[n].writes};
    next.kind = Next::kTouches;
  }
  return next;
}

bool Walk::Go(int participant, const Next& next) {
  if (++instructions_ > kMostInstructions) return Diverge(participant, "it goes on and on");
  if (next.kind == Next::kCallsKernel) return GoThroughCall(participant, next);
  if (processes_.tracee(participant).Step() == Tracee::Stop::kTrap) return true;
  return Diverge(participant, "it ends by a signal");
}

// A call that does not return is one that waits for others.
bool Walk::GoThroughCall(int participant, const Next& next) {
  const bool pauses =
      next.call == SystemCall(SYS_nanosleep) || next.call == SystemCall(SYS_clock_nanosleep);
  const pid_t pid = processes_.pid(participant);
  if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) {
    return Diverge(participant, "it cannot be stepped");
  }
  int status = 0, asleep = 0;
  for (;;) {
    const pid_t stopped = waitpid(pid, &status, pauses ? 0 : WNOHANG);
    if (stopped == pid) break;
    if (stopped < 0 && errno != EINTR) return Diverge(participant, "it is gone");
    const stepper::Waiting waiting = stepper::HowItWaits(pid);
    const bool sleeps =
        waiting == stepper::Waiting::kForOthers || waiting == stepper::Waiting::kForATime;
    asleep = sleeps ? asleep + 1 : 0;
    if (asleep == 3 && !pauses) {
      of_[static_cast<size_t>(participant)].asleep = true;
      return true;
    }
    if (!pauses) sched_yield();
  }
  if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) return true;
  return Diverge(participant, "it ends in a system call");
}

// Who was woken runs until it stops; who sleeps on was not woken.
bool Walk::AwaitWake(int participant) {
  Process& process = of_[static_cast<size_t>(participant)];
  const pid_t pid = processes_.pid(participant);
  int status = 0;
  for (int asleep = 0; asleep < 100;) {
    const pid_t stopped = waitpid(pid, &status, WNOHANG);
    if (stopped == pid) {
      process.asleep = false;
      timed_out_ |=
          processes_.tracee(participant).Registers().rax == static_cast<uint64_t>(-ETIMEDOUT);
      return (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) ||
             Diverge(participant, "it ends while it sleeps");
    }
    const stepper::Waiting waiting = stepper::HowItWaits(pid);
    asleep = waiting == stepper::Waiting::kNo ? 0 : asleep + 1;
    sched_yield();
  }
  return Diverge(participant, "it sleeps, and the schedule wants it to go on");
}

bool Walk::Overlaps(const Next& next, const PlannedStep& step) {
  return std::any_of(next.piece, next.piece + next.pieces,
                     [&](const Piece& piece) { return Overlaps(piece, step); });
}

// To what the schedule has next for the participant, and through it.
bool Walk::Advance(int participant) {
  Process& process = of_[static_cast<size_t>(participant)];
  if (process.ended) return Diverge(participant, "it has ended");
  if (process.asleep && !AwaitWake(participant)) return false;
  const AccessKind wanted = StepOf(process).kind;
  if (wanted == AccessKind::kRead || wanted == AccessKind::kWrite) return Stretch(participant);
  // What a call does after its first step it has done with that.
  if (wanted == AccessKind::kKernel && StepOf(process).written == 0) {
    ++process.next;
    return true;
  }
  for (;;) {
    const Next next = Look(participant);
    const bool passed =
        next.kind == Next::kEnds || next.kind == Next::kMarks || next.kind == Next::kTouches;
    // The shipped program does without this call.
    const bool lacks = wanted == AccessKind::kKernel && !IsCall(next, StepOf(process)) &&
                       (passed || IsPlannedCall(process, next, process.next + 1));
    if (lacks) {
      ++process.next;
      return true;
    }
    const bool reached = (wanted == AccessKind::kCall && next.kind == Next::kMarks) ||
                         (wanted == AccessKind::kUpdate && next.kind == Next::kTouches &&
                          next.piece[0].writes && Overlaps(next, StepOf(process))) ||
                         IsCall(next, StepOf(process));
    if (passed && !reached) {
      const bool only_looks = wanted == AccessKind::kUpdate && next.pieces == 1 &&
                              !next.piece[0].writes && Overlaps(next, StepOf(process));
      const bool again = next.pieces == 1 && process.last.Has(next.piece[0]);
      if (!only_looks && !again && !KnowsAlready(participant, next, process.next)) {
        return Diverge(participant, absl::StrCat("it does something else: ", NameOf(next)));
      }
      if (!RepeatAccess(participant, next)) return Diverge(participant, kWritesTwice);
      continue;
    }
    if (reached) {
      ++process.next;
      if (wanted == AccessKind::kCall) ++process.marks;
      if (next.pieces > 0) process.last = next.piece[0];
    }
    if (!Go(participant, next)) return false;
    if (reached) return true;
    if (process.asleep) return Diverge(participant, "it waits");
  }
}

// Whether it is one of the calls that the schedule has next for the process, from there on.
bool Walk::IsPlannedCall(const Process& process, const Next& next, size_t from) const {
  for (size_t n = from; n < process.steps.size(); ++n) {
    const PlannedStep& step = plan_.steps[process.steps[n]];
    if (step.kind != AccessKind::kKernel) return false;
    if (IsCall(next, step)) return true;
  }
  return false;
}

std::string Walk::NameOf(const Next& next) {
  switch (next.kind) {
    case Next::kEnds:
      return "it ends";
    case Next::kMarks:
      return "a call or a return";
    case Next::kCallsKernel:
      return "a system call";
    default:
      return "an access";
  }
}

// Once more what it has touched before: whether it does not change it.
bool Walk::RepeatAccess(int participant, const Next& next) {
  const Piece piece = next.piece[0];
  const auto copy = [&] { return std::string(scene_.memory().data() + piece.begin, piece.bytes); };
  const std::string before = copy();
  if (!Go(participant, next)) return false;
  return copy() == before;
}

// What comes after its last access is of its own, up to what others may see.
bool Walk::GoToEndOfTurn(int participant) {
  Process& process = of_[static_cast<size_t>(participant)];
  while (!process.asleep && !process.ended) {
    const Next next = Look(participant);
    switch (next.kind) {
      case Next::kEnds:
        process.ended = true;
        return true;
      case Next::kMarks:
        return true;
      case Next::kCallsKernel:
        if (next.call != SystemCall(SYS_futex) || next.pieces > 0) return true;
        break;
      case Next::kTouches: {
        const bool again = next.pieces == 1 && process.last.Has(next.piece[0]);
        const bool planned = process.next < process.steps.size() && Overlaps(next, StepOf(process));
        if (!again || planned) return true;
        if (!RepeatAccess(participant, next)) return Diverge(participant, kWritesTwice);
        continue;
      }
      case Next::kOrdinary:
        break;
    }
    if (!Go(participant, next)) return false;
  }
  return true;
}

uint64_t Walk::AsHere(uint64_t value) const {
  uint64_t here = 0;
  for (const int shift : {0, 32}) {
    const auto half = static_cast<uint32_t>(value >> shift);
    const auto number = static_cast<int64_t>(half & FUTEX_TID_MASK) - kFirstThreadId;
    uint64_t now = half;
    if (number >= 0 && number <= kAuditor) {
      const pid_t pid = number == kAuditor ? getpid() : processes_.pid(static_cast<int>(number));
      now = (half & ~FUTEX_TID_MASK) | static_cast<uint32_t>(pid);
    }
    here |= now << shift;
  }
  return here;
}

uint64_t Walk::ValueAt(uint64_t offset, uint64_t bytes) const {
  uint64_t value = 0;
  std::memcpy(&value, scene_.memory().data() + offset, bytes);
  return value;
}

// All that is left of them, up to their ends.
bool Walk::Finish() {
  for (int i = 0; i < scene_.participants(); ++i) {
    Process& process = of_[static_cast<size_t>(i)];
    if (process.dead || process.ended) continue;
    if (process.next < process.steps.size()) {
      return Diverge(i, "the schedule has more of it");
    }
    if (process.asleep && plan_.cut_off) continue;
    if (process.asleep && !AwaitWake(i)) return false;
    while (!process.ended) {
      const Next next = Look(i);
      process.ended = next.kind == Next::kEnds;
      if (process.ended) break;
      if (plan_.cut_off && next.kind != Next::kOrdinary && next.kind != Next::kCallsKernel) break;
      if (next.kind == Next::kMarks) return Diverge(i, "it does more than in the schedule");
      if (!Go(i, next)) return false;
      if (process.asleep) break;
    }
  }
  return true;
}

std::string Walk::Run() {
  size_t deaths = 0;
  for (const PlannedStep& step : plan_.steps) {
    if (step.kind != AccessKind::kDeath || deaths == plan_.at_deaths.size()) continue;
    ChooseWordsAtDeath(step.participant, plan_.at_deaths[deaths++]);
  }
  for (size_t i = 0; i < plan_.steps.size() && diverged_.empty(); ++i) {
    if (!matters_[i]) continue;
    const PlannedStep& step = plan_.steps[i];
    const int who = step.participant;
    Process& process = of_[static_cast<size_t>(who)];
    if (step.kind == AccessKind::kEvent) {
      EndDead(i);
      continue;
    }
    const bool done = process.next > 0 && process.steps[process.next - 1] >= i;
    if (!done) {
      if (step.kind == AccessKind::kDeath) {
        GoToDeath(who);
        continue;
      }
      if (!Advance(who)) break;
    }
    size_t following = i + 1;
    while (following < plan_.steps.size() && !matters_[following]) ++following;
    const bool others_follow =
        following == plan_.steps.size() || plan_.steps[following].participant != who;
    const bool dies_next =
        process.next < process.steps.size() && StepOf(process).kind == AccessKind::kDeath;
    if (others_follow && !dies_next) GoToEndOfTurn(who);
  }
  if (diverged_.empty()) Finish();
  return diverged_;
}

}  // namespace kill9::explore
