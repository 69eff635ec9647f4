#include "harness/programs/runner.h"

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/clock.h"

namespace kill9::programs {
namespace {

constexpr uint64_t kStepNs = 10'000'000;   // the longest sleep
constexpr uint64_t kMostLateNs = 100'000;  // that is allowed for
constexpr uint64_t kFeedNs = 2'000'000;
constexpr size_t kFeedOperations = 256;
constexpr uint64_t kMeanCalls = 40;    // of a life
constexpr size_t kLineMost = 1 << 20;  // bytes without an end of line
constexpr uint64_t kMostRefusals = 1000;

}  // namespace

uint64_t NowNs() {
  static const Clock clock = Clock::Of(Clock::Source::kMonotonic);
  return clock.Now();
}

Runner::Runner(const RunnerOptions& options, Exchange& exchange, HistorySink& sink)
    : options_(options),
      exchange_(exchange),
      sink_(sink),
      workload_(options.run.workload),
      random_(options.run.seed, options.control ? 1 : 0) {}

void Runner::Find(Verdict verdict, std::string reason) {
  if (verdict_.has_value()) return;
  verdict_ = verdict;
  reason_ = std::move(reason);
  exchange_.found.store(1, std::memory_order_relaxed);
}

// What no object can be blamed for.
void Runner::Blame(const Participant& one, const std::string& what) {
  if (verdict_.has_value()) return;
  environment_ = true;
  Find(Verdict::kUndecided, absl::StrCat("participant ", one.number, " (",
                                         one.program->words.front(), "): ", what, LastWords(one)));
}

bool Runner::Prepare() {
  prctl(PR_SET_TIMERSLACK, 1000);
  WakeByChildren(&unblocked_);
  absl::StatusOr<std::unique_ptr<Sandbox>> sandbox = Sandbox::Make(options_.sandbox);
  const auto refuse = [this](const absl::Status& status) {
    environment_ = true;
    Find(Verdict::kUndecided, std::string(status.message()));
    return false;
  };
  if (!sandbox.ok()) return refuse(sandbox.status());
  sandbox_ = *std::move(sandbox);
  programs_.resize(options_.run.programs.size());
  for (size_t i = 0; i < programs_.size(); ++i) {
    Program& program = programs_[i];
    const absl::StatusOr<std::vector<std::string>> words =
        SplitCommand(options_.run.programs[i].line);
    if (!words.ok()) return refuse(words.status());
    program.words = *words;
    program.is_fork_server = options_.run.programs[i].is_fork_server;
  }
  participants_.resize(options_.run.processes);
  for (uint32_t n = 0; n < participants_.size(); ++n) {
    participants_[n].number = n;
    participants_[n].program = &programs_[n % programs_.size()];
  }
  return true;
}

void Runner::Run() {
  started_ns_ = fed_ns_ = watched_ns_ = NowNs();
  if (Prepare()) {
    // The first one is alone until it has answered: it may make what they share.
    Start(participants_[0]);
    StepUntilIdle(participants_[0]);
    for (Participant& one : participants_) {
      if (!over() && one.stage == Stage::kVacant) Start(one);
    }
    for (Participant& one : participants_) StepUntilIdle(one);
    WorkUntilDone();
    Close();
  }
  EndEverybody();
  Feed(/*all=*/true);
  Report();
}

void Runner::Start(Participant& one) {
  Program& program = *one.program;
  const size_t server_index =
      options_.run.processes + static_cast<size_t>(&program - programs_.data());
  LaunchOptions launch{.words = program.words,
                       .environment = {absl::StrCat("KILL9_STATE=", sandbox_->state()),
                                       absl::StrCat("KILL9_MODEL=", options_.run.workload.model)},
                       .stderr_fd = options_.stderr_fds[one.number]};
  absl::StatusOr<Connection> connection = absl::UnknownError("");
  if (program.is_fork_server) {
    launch.stderr_fd = options_.stderr_fds[server_index];
    if (program.server == nullptr) {
      absl::StatusOr<std::unique_ptr<ForkServer>> server = ForkServer::Start(launch, *sandbox_);
      if (!server.ok()) return Blame(one, std::string(server.status().message()));
      program.server = *std::move(server);
    }
    connection = program.server->Connect();
  } else {
    one.stderr_begin = lseek(launch.stderr_fd, 0, SEEK_END);
    connection = Launch(launch, *sandbox_);
  }
  if (!connection.ok()) return Blame(one, std::string(connection.status().message()));
  one.connection = *std::move(connection);
  ++starts_;
  AskToBegin(one);
}

void Runner::AskToBegin(Participant& one) {
  const uint64_t now = NowNs();
  one.inbox.clear();
  one.stage = Stage::kStarting;
  one.process = processes_++;
  one.held.reset();
  one.refusals = 0;
  one.kill_ns = one.kill_sent_ns = 0;
  one.charged_ns = one.looked_ns = 0;
  one.chance.Begin(one.connection.pid, now);
  NoteNumber(one);
  sandbox_->ClearMark(one.number);
  Doom(one);
  one.request = ++requests_;
  const Json request = {{"id", one.request},
                        {"f", "init"},
                        {"version", kProtocolVersion},
                        {"participant", one.number},
                        {"participants", options_.run.processes},
                        {"process", one.process},
                        {"first", starts_ == 1},
                        {"state", sandbox_->state()},
                        {"seed", Random(options_.run.seed, one.process).Next() >> 11},
                        {"model", options_.run.workload.model},
                        {"keys", workload_.keys()},
                        {"page", sandbox_->pages()},
                        {"offset", one.number * Sandbox::kPageBytes}};
  one.asked_ns = now;
  SendLine(one.connection, Dump(request));
}

// How long it lives is drawn when it begins.
void Runner::Doom(Participant& one) {
  one.calls_left = 1 + random_.Below(2 * kMeanCalls);
  one.dies_idle = random_.Below(8) == 0;
  one.doomed_ns = 0;
  if (options_.run.life_us != 0) {
    one.doomed_ns = NowNs() + random_.Below(2000ull * options_.run.life_us + 1);
  }
  // Who is about to open what they share dies, too; not the first one, who makes it.
  if (killing_ && one.connection.pid != 0 && random_.Below(16) == 0) {
    const uint64_t usual = latency_ns_[static_cast<size_t>(Function::kAttach)].Quantile(0.9);
    one.kill_ns = NowNs() + random_.Below(usual + 1);
  }
}

bool Runner::IsDoomed(const Participant& one, uint64_t now_ns) const {
  return killing_ && (one.doomed_ns != 0 ? now_ns >= one.doomed_ns : one.calls_left == 0);
}

// Asks an idle participant its next call, and decides whether it dies in it.
void Runner::Issue(Participant& one) {
  const uint64_t now = NowNs();
  const bool doomed = IsDoomed(one, now);
  if (doomed && one.dies_idle && one.kill_ns == 0) {
    one.kill_ns = now + random_.Below(100'000);
    return;
  }
  if (one.kill_ns != 0) return;
  const std::optional<Call> call = DrawCall(one);
  if (!call.has_value()) return;
  if (one.calls_left > 0) --one.calls_left;
  if (doomed && options_.run.kill_at == KillAt::kSystemCalls) {
    if (!Follow(one, call->function)) return;
  } else if (doomed) {
    const Histogram& usual = latency_ns_[static_cast<size_t>(call->function)];
    // Within what such a call takes: of those that found a CPU at once, and of those that waited.
    constexpr double kShares[] = {0.1, 0.5, 0.75, 0.99};
    const uint64_t most =
        std::max<uint64_t>(usual.Quantile(kShares[random_.Below(std::size(kShares))]), 20'000);
    one.kill_ns = now + random_.Below(most);
  }
  Ask(one, *call);
}

void Runner::Ask(Participant& one, const Call& call) {
  ++calls_;
  one.stage = Stage::kCalling;
  one.request = ++requests_;
  one.charged_ns = one.looked_ns = 0;
  const std::string line = workload_.Request(one.request, call);
  one.operation = {};
  one.operation.process = one.process;
  one.operation.function = call.function;
  one.operation.outcome = Outcome::kOpen;
  one.operation.key = call.key;
  one.operation.argument =
      RowOf(call.function).argument == Field::kCaller ? uint64_t{one.process} + 1 : call.argument;
  one.operation.expected = call.expected;
  one.operation.invoke = one.asked_ns = NowNs();
  if (ReadsClock(call.function)) {
    one.operation.expected = one.operation.invoke;
    one.held.reset();  // until it is told so
  }
  SendLine(one.connection, line);  // who has died is found dead
}

void Runner::Step() {
  if (exchange_.stop.load(std::memory_order_relaxed) != 0) interrupted_ = true;
  if (over()) return;
  if (issuing_ && sink_.ready()) {
    for (Participant& one : participants_) {
      if (one.stage == Stage::kIdle && one.kill_sent_ns == 0) Issue(one);
    }
  }
  Wait();
  KillDue();
  WatchServers();
  const uint64_t now = NowNs();
  Watch(now);
  Feed(/*all=*/false);
  // Relaxed: news.
  exchange_.heartbeat.fetch_add(1, std::memory_order_relaxed);
  exchange_.elapsed_ms.store((now - started_ns_) / 1'000'000, std::memory_order_relaxed);
  exchange_.operations.store(operations_, std::memory_order_relaxed);
}

// Sleeps until somebody answers or dies, or a kill is due.
void Runner::Wait() {
  uint64_t wake = NowNs() + kStepNs;
  std::vector<pollfd> waits;
  std::vector<Participant*> whose;
  for (Participant& one : participants_) {
    if (one.stage == Stage::kVacant) continue;
    if (one.kill_ns != 0 && one.kill_sent_ns == 0) wake = std::min(wake, one.kill_ns);
    waits.push_back({one.connection.from, POLLIN, 0});
    waits.push_back({one.connection.pidfd, POLLIN, 0});
    whose.push_back(&one);
  }
  const uint64_t now = NowNs();
  const uint64_t left = wake > now ? wake - now : 0;
  // Asleep, not awake: the victim may need this very CPU to get anywhere.
  const uint64_t sleep = left > lateness_ns_ ? left - lateness_ns_ : 0;
  const timespec timeout{static_cast<time_t>(sleep / 1'000'000'000),
                         static_cast<long>(sleep % 1'000'000'000)};
  const int ready = ppoll(waits.data(), waits.size(), &timeout, &unblocked_);
  if (ready == 0 && sleep > 0) {
    const uint64_t late = NowNs() - (now + sleep);
    lateness_ns_ = (7 * lateness_ns_ + std::min(late, kMostLateNs)) / 8;
  }
  if (ready <= 0) return;  // a signal, too
  for (size_t i = 0; i < whose.size() && !over(); ++i) {
    if (waits[2 * i].revents != 0) Read(*whose[i]);
    if (waits[2 * i + 1].revents != 0 && whose[i]->stage != Stage::kVacant) Bury(*whose[i]);
  }
}

void Runner::Read(Participant& one) {
  const bool knew = one.connection.pid != 0;
  const bool open = ReadAvailable(one.connection, &one.inbox);
  if (!knew && one.connection.pid != 0) {
    one.chance.Begin(one.connection.pid, NowNs());
    NoteNumber(one);
  }
  size_t begin = 0;
  for (size_t end; (end = one.inbox.find('\n', begin)) != std::string::npos; begin = end + 1) {
    TakeLine(one, one.inbox.substr(begin, end - begin));
    if (over()) return;
  }
  one.inbox.erase(0, begin);
  if (one.inbox.size() > kLineMost) {
    return Blame(one, absl::StrCat("a line without an end: ", Quoted(one.inbox)));
  }
  if (open) return;
  if (one.connection.pidfd < 0) {
    const std::string what = "its fork server's child ended before its first answer";
    if (!one.program->is_known) {
      return Blame(one, what +
                            "; a fork server takes connections on its descriptor 3 for ever, and "
                            "forks a child for each, which answers each line");
    }
    return Find(Verdict::kSurvivorCrashed, absl::StrCat("participant ", one.number, ": ", what,
                                                        "; ", last_death_, LastWords(one)));
  }
  one.connection.CloseReading();  // its end is awaited
}

void Runner::TakeLine(Participant& one, const std::string& line) {
  if (one.stage == Stage::kIdle || one.stage == Stage::kEnding) {
    return Blame(one, absl::StrCat("a line that nobody asked for: ", Quoted(line)));
  }
  const absl::StatusOr<Answer> answer = ReadAnswer(line, one.request);
  if (!answer.ok()) return Blame(one, std::string(answer.status().message()));
  switch (one.stage) {
    case Stage::kStarting:
      return TakeOffer(one, *answer);
    case Stage::kAuditing:
      one.stage = Stage::kIdle;
      if (answer->type == Answer::Type::kFail) {
        Find(Verdict::kAuditFailed,
             absl::StrCat("participant ", one.number, " says of the quiet state: ",
                          TextField(answer->fields, "reason", Dump(answer->fields))));
      }
      return;
    default:
      return TakeResult(one, *answer);
  }
}

void Runner::TakeOffer(Participant& one, const Answer& answer) {
  Program& program = *one.program;
  if (!program.is_known) {
    absl::StatusOr<Offer> offer = ReadOffer(answer);
    if (!offer.ok()) return Blame(one, std::string(offer.status().message()));
    absl::StatusOr<std::vector<WeighedFunction>> functions =
        workload_.FunctionsOf(offer->functions);
    if (!functions.ok()) return Blame(one, std::string(functions.status().message()));
    program.offer = *std::move(offer);
    program.functions = *std::move(functions);
    program.is_known = true;
  } else if (answer.type != Answer::Type::kOk) {
    // It could begin before, and now cannot.
    return Find(Verdict::kSurvivorCrashed,
                absl::StrCat("participant ", one.number, " cannot begin any more: ",
                             Quoted(Dump(answer.fields)), "; ", last_death_, LastWords(one)));
  }
  one.stage = Stage::kIdle;
  latency_ns_[static_cast<size_t>(Function::kAttach)].Add(NowNs() - one.asked_ns);
}

void Runner::TakeResult(Participant& one, const Answer& answer) {
  Operation& done = one.operation;
  done.finish = NowNs();
  const absl::Status status = workload_.Decode(answer, &done);
  if (!status.ok()) return Blame(one, std::string(status.message()));
  one.stage = Stage::kIdle;
  if (one.calls != nullptr && one.kill_sent_ns == 0) {
    uint64_t& usual = usual_stops_[static_cast<size_t>(done.function)];
    usual = std::max(usual, one.calls->stops());
    one.calls->Count(0);
  }
  const uint64_t took = done.finish - done.invoke;
  latency_ns_[static_cast<size_t>(done.function)].Add(took);
  if (took > longest_wait_ns_) {
    longest_wait_ns_ = took;
    longest_wait_function_ = done.function;
  }
  if (last_kill_ns_ != 0 && one.number != last_dead_) {
    recovery_us_.Add((done.finish - last_kill_ns_) / 1000);
    last_kill_ns_ = 0;
  }
  const bool ok = done.outcome == Outcome::kOk;
  const bool asked_to_hold = RowOf(done.function).result == Field::kAcquired;
  if (asked_to_hold && ok && done.result != kHeldByOther) one.held = done.key;
  NoteGivingBack(one);
  if (over()) return;
  // What may still happen is this process's no more: it goes on as another one.
  if (done.outcome == Outcome::kUnknown) {
    done.finish = kNever;
    one.process = processes_++;
  }
  Record(done);
  NoteWakeUps(done);
  // A kill whose call was over first comes in a later one.
  if (one.kill_ns != 0 && one.kill_sent_ns == 0 && one.kill_ns > NowNs()) one.kill_ns = 0;
}

// Who is refused still has it, but for a lease, which may have ended; it is asked again.
void Runner::NoteGivingBack(Participant& one) {
  const Operation& done = one.operation;
  const bool is_release = done.function == Function::kRelease;
  const bool is_done = done.outcome != Outcome::kRefused;
  if (is_release && (is_done || workload_.IsLent())) one.held.reset();
  const bool is_last = ending_ && done.function == Function::kBroadcast;
  if (!is_release && !is_last) return;
  // A run ends only once they are done.
  one.refusals = (is_release ? is_done : done.outcome == Outcome::kOk) ? 0 : one.refusals + 1;
  if (one.refusals < kMostRefusals) return;
  Blame(one, absl::StrCat("its \"", std::string(RowOf(done.function).name), "\" failed ",
                          one.refusals, " times in turn"));
}

void Runner::Record(const Operation& operation) {
  ++operations_;
  batch_.push_back(operation);
  const uint64_t recorded = exchange_.recorded.load(std::memory_order_relaxed);
  if (recorded == Exchange::kHistoryMost) return;
  exchange_.history[recorded] = operation;
  // release: pairs with the command's acquire.
  exchange_.recorded.store(recorded + 1, std::memory_order_release);
}

// Hands on what is complete. Nothing that comes later was asked before the oldest open request.
void Runner::Feed(bool all) {
  const uint64_t now = NowNs();
  if (!all && batch_.size() < kFeedOperations && now - fed_ns_ < kFeedNs) return;
  if (!all && !sink_.ready()) return;
  uint64_t settled = now;
  for (const Participant& one : participants_) {
    // Who holds a lock may have ended since it asked for it: RecordEnd.
    if (one.stage == Stage::kCalling || one.held.has_value()) {
      settled = std::min(settled, one.operation.invoke);
    }
    if (one.kill_sent_ns != 0) settled = std::min(settled, one.kill_sent_ns);
  }
  sink_.Feed(batch_, settled);
  batch_.clear();
  fed_ns_ = now;
  if (sink_.found_violation()) Find(Verdict::kViolation, "the history is not consistent");
}

void Runner::Report() {
  const auto kills_at = [this](Stage stage) { return kills_[static_cast<size_t>(stage)]; };
  const uint64_t total = kills_total();
  const double seconds = static_cast<double>(NowNs() - started_ns_) / 1e9;
  bool marks = false;
  for (const Program& program : programs_) marks |= program.offer.marks;
  Json foreign = Json::array();
  for (const std::string& value : workload_.foreign()) foreign.push_back(Quoted(value));
  Json report = {{"reason", reason_},
                 {"environment", environment_},
                 {"interrupted", interrupted_},
                 {"last_death", last_death_},
                 {"marks", marks},
                 {"seconds", seconds},
                 {"operations", operations_},
                 {"kills",
                  {{"total", total},
                   {"in_operation", kills_marked_},
                   {"in_call", kills_at(Stage::kCalling)},
                   {"in_recovery", 0},
                   {"holding", kills_holding_},
                   {"at_system_calls", kills_at_system_calls_},
                   {"together", kills_together_},
                   {"places",
                    {{"starting", kills_at(Stage::kStarting)},
                     {"in_call", kills_at(Stage::kCalling)},
                     {"between_calls", kills_at(Stage::kIdle)}}}}},
                 {"kills_per_second", seconds > 0 ? static_cast<double>(total) / seconds : 0},
                 {"forks", starts_},
                 {"recoveries", recovery_us_.count()},
                 {"recovery_us",
                  {{"p50", recovery_us_.Quantile(0.5)},
                   {"p99", recovery_us_.Quantile(0.99)},
                   {"max", recovery_us_.largest()},
                   {"samples", recovery_us_.count()}}},
                 {"death_noted_us",
                  {{"p50", death_noted_us_.Quantile(0.5)},
                   {"p99", death_noted_us_.Quantile(0.99)},
                   {"max", death_noted_us_.largest()},
                   {"samples", death_noted_us_.count()}}},
                 {"longest_wait_us", longest_wait_ns_ / 1000},
                 {"longest_wait_function", RowOf(longest_wait_function_).name},
                 {"audits", audits_},
                 {"foreign_values", foreign}};
  if (verdict_.has_value()) report["verdict"] = VerdictName(*verdict_);
  if (!waiting_.is_null()) report["waiting"] = waiting_;
  const std::string text = Dump(report);
  text.copy(exchange_.report, Exchange::kReportBytes - 1);
  // release: pairs with the command's acquire.
  exchange_.ended.store(1, std::memory_order_release);
}

}  // namespace kill9::programs
