// The runner's part that kills participants, notes their deaths, and watches whether the others go
// on.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "harness/base/children_of.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "harness/programs/runner.h"
#include "harness/result/waiting.h"
#include "harness/stepper/trace/waiting.h"

namespace kill9::programs {
namespace {

constexpr uint64_t kLookNs = 20'000'000;
constexpr size_t kLastWordsMost = 600;    // bytes
constexpr int64_t kStderrMost = 1 << 22;  // bytes of all that a participant has said
constexpr int kGoneLooks = 1000;

double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// Waits for the end of who is no child of this process.
bool IsGone(int pidfd) {
  siginfo_t info;
  return syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) != 0 ||
         waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(pidfd), &info,
                WEXITED | WNOWAIT | WNOHANG) == 0;
}

// The number that a process has in its own PID namespace.
pid_t OwnNumberOf(pid_t pid) {
  char status[4096];
  if (!ReadProcFile(pid, "status", status, sizeof status)) return pid;
  const char* line = std::strstr(status, "\nNSpid:");
  if (line == nullptr) return pid;
  const std::string_view numbers(line + 1, std::strcspn(line + 1, "\n"));
  return static_cast<pid_t>(
      std::strtol(numbers.data() + numbers.find_last_of("\t ") + 1, nullptr, 10));
}

std::string HowItEnded(int status) {
  if (WIFEXITED(status)) return absl::StrCat("ended with status ", WEXITSTATUS(status));
  const char* name = sigabbrev_np(WTERMSIG(status));
  return absl::StrCat("died of SIG", name != nullptr ? name : std::to_string(WTERMSIG(status)));
}

}  // namespace

// From here on its stops at system calls are counted, and it dies at one of them. As many as there
// are in such a call are learnt first. False: it cannot be followed.
bool Runner::Follow(Participant& one, Function function) {
  if (one.calls == nullptr) {
    absl::StatusOr<std::unique_ptr<SystemCalls>> calls = SystemCalls::Follow(one.connection.pid);
    if (!calls.ok()) {
      Find(Verdict::kSkipped, std::string(calls.status().message()));
      return false;
    }
    one.calls = *std::move(calls);
  }
  const uint64_t usual = usual_stops_[static_cast<size_t>(function)];
  one.calls->Count(usual == 0 ? 0 : 1 + random_.Below(usual));
  return true;
}

void Runner::KillDue() {
  const uint64_t now = NowNs();
  for (Participant& one : participants_) {
    if (one.calls != nullptr && one.calls->Advance() && one.kill_sent_ns == 0) {
      ++kills_at_system_calls_;
      Kill(one);
      KillOthersToo(one);
    }
    if (one.kill_ns == 0 || one.kill_sent_ns != 0 || one.kill_ns > now) continue;
    if (one.connection.pidfd < 0) continue;
    Kill(one);
    KillOthersToo(one);
  }
}

// Seldom others die at the same moment: another one, or all that there are.
void Runner::KillOthersToo(const Participant& one) {
  const uint64_t draw = random_.Below(64);
  if (!killing_ || draw >= 6) return;
  ++kills_together_;
  const Participant* other = draw == 0 ? nullptr : Anybody();
  for (Participant& each : participants_) {
    const bool wanted = other == nullptr || &each == other;
    if (!wanted || &each == &one || each.kill_sent_ns != 0 || each.connection.pidfd < 0) continue;
    if (each.stage == Stage::kIdle || each.stage == Stage::kCalling) Kill(each);
  }
}

void Runner::Kill(Participant& one) {
  if (one.kill_sent_ns == 0) one.kill_sent_ns = NowNs();
  syscall(SYS_pidfd_send_signal, one.connection.pidfd, SIGKILL, nullptr, 0);
  // A process has not ended before each thread that is followed was waited for.
  if (one.calls != nullptr) one.calls->ReapThreads();
}

// A participant has ended. What it had answered is read first.
void Runner::Bury(Participant& one) {
  int status = 0;
  // Of who is followed the end is told here, too; its parent hears of it afterwards.
  if (one.calls != nullptr) one.calls->ReapThreads();
  if (one.connection.is_child || one.calls != nullptr) {
    while (waitpid(one.connection.pid, &status, __WALL) < 0 && errno == EINTR) {
    }
  }
  one.calls.reset();
  const uint64_t noted = NowNs();
  one.connection.CloseSending();
  Read(one);
  const bool was_asked_to_end =
      one.stage == Stage::kEnding && status == 0 && one.kill_sent_ns == 0 && !over();
  if (!was_asked_to_end) RecordEnd(one, status, noted);
  if (!over() && one.kill_sent_ns != 0) {
    NoteDeath(one, noted);
  } else if (!over() && !was_asked_to_end) {
    NoteOwnEnd(one, status);
  }
  one.connection.Close();
  one.stage = Stage::kVacant;
  if (!over() && !was_asked_to_end) Start(one);
}

// What an end leaves in the history, whoever brought it about: a call that may have had its effect,
// which others may have seen, or a lock that is free by it. Without it their answers are wrong.
void Runner::RecordEnd(Participant& one, int status, uint64_t noted_ns) {
  if (one.stage == Stage::kCalling) {
    one.operation.outcome = Outcome::kCrashed;
    one.operation.finish = noted_ns;
    one.operation.result = kNothing;
    one.operation.result_version = 0;
    if (ReadsClock(one.operation.function)) workload_.EndReadings(&one.operation);
    Record(one.operation);
  }
  // Who dies in a release that was not done yet has had it until then: others find it free.
  if (one.held.has_value()) {
    // Who ended by itself may have done so right after its answer, and was that read late, then the
    // next one's may have been read before.
    const bool was_killed =
        one.kill_sent_ns != 0 &&
        (!one.connection.is_child || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    const bool in_call = one.stage == Stage::kCalling;
    Operation death{};
    death.process = in_call ? CompanionOf(one.process, 1) : one.process;
    death.function = Function::kDie;
    death.outcome = Outcome::kOk;
    death.key = *one.held;
    death.argument = uint64_t{one.process} + 1;
    death.invoke = was_killed ? one.kill_sent_ns : one.operation.invoke;
    death.finish = noted_ns;
    Record(death);
  }
}

void Runner::NoteDeath(const Participant& one, uint64_t noted_ns) {
  ++kills_[static_cast<size_t>(one.stage)];
  death_noted_us_.Add((noted_ns - one.kill_sent_ns) / 1000);
  const bool in_call = one.stage == Stage::kCalling;
  kills_marked_ += in_call && one.program->offer.marks && sandbox_->Mark(one.number) != 0;
  kills_holding_ += one.held.has_value();
  exchange_.kills.fetch_add(1, std::memory_order_relaxed);
  last_kill_ns_ = one.kill_sent_ns;
  last_dead_ = one.number;
  last_death_ = absl::StrCat("the last to be killed was P", one.process, ", ", Describe(one));
  NoteChange();
}

// It ended, and nobody had killed it.
void Runner::NoteOwnEnd(const Participant& one, int status) {
  const std::string how = one.connection.is_child || status != 0
                              ? HowItEnded(status)
                              : "ended, how is known to its fork server only";
  if (!one.program->is_known)
    return Blame(one, absl::StrCat("it ", how,
                                   " before its first answer; a worker answers each line "
                                   "of its input, and ends only with that"));
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    return Blame(one, "it was killed by somebody else (the out-of-memory killer?)");
  }
  Find(Verdict::kSurvivorCrashed,
       absl::StrCat("participant ", one.number, " (P", one.process, ") ", how, " ", Describe(one),
                    last_death_.empty() ? "" : "; ", last_death_, LastWords(one)));
}

// What it was doing.
std::string Runner::Describe(const Participant& one) const {
  std::string text;
  switch (one.stage) {
    case Stage::kVacant:
    case Stage::kIdle:
      text = "between two calls";
      break;
    case Stage::kStarting:
      text = "while it began";
      break;
    case Stage::kAuditing:
      text = "in its audit";
      break;
    case Stage::kEnding:
      text = "at its end";
      break;
    case Stage::kCalling:
      text = absl::StrCat("in \"", std::string(RowOf(one.operation.function).name), "\" of ",
                          Workload::KeyText(one.operation.key));
      break;
  }
  if (one.held.has_value()) absl::StrAppend(&text, ", holding ", Workload::KeyText(*one.held));
  return text;
}

// The end of what it said on standard error, as a part of a message.
std::string Runner::LastWords(const Participant& one) const {
  const bool alone = !one.program->is_fork_server;
  const size_t server =
      options_.run.processes + static_cast<size_t>(one.program - programs_.data());
  const int fd = options_.stderr_fds[alone ? one.number : server];
  const int64_t end = lseek(fd, 0, SEEK_END);
  const int64_t begin =
      std::max<int64_t>(alone ? one.stderr_begin : 0, end - static_cast<int64_t>(kLastWordsMost));
  if (end <= begin) return "";
  std::string words(static_cast<size_t>(end - begin), '\0');
  const ssize_t size = pread(fd, words.data(), words.size(), begin);
  words.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return absl::StrCat("; its last words:\n", std::string(absl::StripAsciiWhitespace(words)));
}

void Runner::WatchServers() {
  for (Program& program : programs_) {
    if (program.server == nullptr || over()) continue;
    int status = 0;
    const pid_t pid = program.server->process().pid;
    if (waitpid(pid, &status, WNOHANG) != pid) continue;
    program.server->Forget();
    const std::string what = absl::StrCat("the fork server ", HowItEnded(status));
    for (const Participant& one : participants_) {
      if (one.program != &program) continue;
      if (!program.is_known) return Blame(one, what);
      return Find(Verdict::kSurvivorCrashed, absl::StrCat(what, "; ", last_death_, LastWords(one)));
    }
  }
}

// As torture's supervisor does: a process is charged only with time in which it could have done
// something, and in which whoever else has not answered could have, too.
void Runner::Watch(uint64_t now_ns) {
  if (now_ns - watched_ns_ < kLookNs) return;
  const uint64_t looked = std::min(now_ns - watched_ns_, kMostChargedNs);
  watched_ns_ = now_ns;
  uint64_t longest = 0;
  for (Participant& one : participants_) {
    const bool rests = one.stage == Stage::kIdle || (Sleeps(one) && !is_due_);
    if (one.stage == Stage::kVacant || (rests && one.kill_sent_ns == 0)) {
      one.charged_ns = one.looked_ns = 0;  // it waits for the others
      continue;
    }
    one.looked_ns += looked;
    longest = std::max(longest, one.looked_ns);
    const int fd = options_.stderr_fds[one.number];
    if (lseek(fd, 0, SEEK_END) > kStderrMost && ftruncate(fd, 0) == 0) one.stderr_begin = 0;
  }
  const uint64_t bound_ns = options_.run.watchdog_us * 1000;
  if (longest < bound_ns / 16) return;
  uint64_t charge = looked;
  for (Participant& one : participants_) {
    if (one.looked_ns == 0) continue;
    one.chance_ns = one.connection.pid != 0 ? one.chance.Look(now_ns, looked)
                                            : ChargeOfServer(*one.program, now_ns, looked);
    charge = std::min(charge, one.kill_sent_ns != 0 ? LookedBefore(one.kill_sent_ns, now_ns, looked)
                                                    : one.chance_ns);
  }
  for (Participant& one : participants_) {
    if (one.looked_ns == 0) continue;
    const bool is_dying = one.kill_sent_ns != 0;
    one.charged_ns += is_dying ? one.chance_ns : charge;
    if (one.charged_ns > (is_dying ? std::max(bound_ns, kDyingNs) : bound_ns)) {
      return ReportStuck(one);
    }
    if (!is_dying && one.looked_ns > bound_ns * kStarved) {
      return Blame(one, absl::StrFormat("it has not answered for %.1f s, and could work for %.1f "
                                        "of these only: the machine is too busy",
                                        Seconds(one.looked_ns), Seconds(one.charged_ns)));
    }
  }
}

// Of a fork server's child that has not said anything: which one it is, is not known. It waits for
// the server, or is any of those that the server has.
uint64_t Runner::ChargeOfServer(Program& program, uint64_t now_ns, uint64_t looked_ns) {
  if (program.server == nullptr) return looked_ns;
  const pid_t server = program.server->process().pid;
  std::vector<pid_t> processes = {server};
  for (const pid_t child : ChildrenOf(server)) processes.push_back(child);
  uint64_t charge = looked_ns;
  std::map<pid_t, CpuChance> chances;
  for (const pid_t process : processes) {
    CpuChance& chance = chances[process];
    if (const auto known = program.chances.find(process); known != program.chances.end()) {
      chance = known->second;
    } else {
      chance.Begin(process, now_ns - looked_ns);
    }
    charge = std::min(charge, chance.Look(now_ns, looked_ns));
  }
  program.chances = std::move(chances);
  return charge;
}

void Runner::NoteNumber(const Participant& one) {
  const pid_t pid = one.connection.pid;
  if (pid != 0) numbers_[OwnNumberOf(pid)] = {pid, one.process};
}

std::string Runner::WhoIs(pid_t thread) const {
  const auto known = numbers_.find(thread);
  if (known == numbers_.end()) return absl::StrCat("thread ", thread, ", which is nobody's here");
  for (const Participant& one : participants_) {
    if (one.stage != Stage::kVacant && one.connection.pid == known->second.pid) {
      return absl::StrCat("P", one.process, ", ", Describe(one));
    }
  }
  return absl::StrCat("P", known->second.process, ", which is dead");
}

void Runner::ReportStuck(const Participant& one) {
  if (one.kill_sent_ns != 0) {
    return Blame(one, "it was sent SIGKILL and does not end: the kernel, or a debugger, holds it");
  }
  if (one.connection.from < 0) return Blame(one, "it closed its standard output and goes on");
  char where[128] = "";
  if (one.connection.pid != 0) ReadProcFile(one.connection.pid, "wchan", where, sizeof where);
  const bool asleep = where[0] != '\0' && std::strcmp(where, "0") != 0;
  if (!one.program->is_known) {
    return Blame(one, absl::StrFormat("it has not answered \"init\" for %.1f s: a worker answers "
                                      "each line that it reads with a line, and flushes that",
                                      Seconds(one.charged_ns)));
  }
  // Nothing else is done in this run: what it takes to read the symbols delays nobody.
  if (one.connection.pid != 0 && !verdict_.has_value()) {
    const stepper::WaitingFor waiting =
        stepper::LookAtWaiting(one.connection.pid, [this](pid_t thread) { return WhoIs(thread); });
    waiting_ = WaitingField(waiting.what, waiting.stack);
  }
  Find(Verdict::kStuck,
       absl::StrFormat("participant %d (P%d) has not answered for %.1f s%s, %s%s; %s", one.number,
                       one.process, Seconds(one.charged_ns),
                       Sleeps(one) ? " in which a wake-up was there for it" : "", Describe(one),
                       asleep ? absl::StrCat(" (asleep in ", where, ")") : "",
                       last_death_.empty() ? "nobody was killed" : last_death_));
}

// Nothing is asked any more, and nobody is left when it returns.
void Runner::EndEverybody() {
  for (Participant& one : participants_) {
    if (one.stage == Stage::kVacant) continue;
    if (one.connection.pidfd >= 0) Kill(one);
    int status = 0;
    if (one.connection.is_child || one.calls != nullptr) {
      KillAndReap(one.connection.pid, &status);
    } else {
      for (int look = 0; look < kGoneLooks && one.connection.pidfd >= 0; ++look) {
        if (IsGone(one.connection.pidfd)) break;
        usleep(1000);
      }
    }
    // No answer is read after this: also who does not die cannot contradict it.
    RecordEnd(one, status, NowNs());
    one.connection.Close();
    one.stage = Stage::kVacant;
  }
  for (Program& program : programs_) program.server.reset();
}

}  // namespace kill9::programs
