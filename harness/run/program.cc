#include "harness/run/program.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/base/text/shell_word.h"
#include "harness/run/attempt/attempt_pool.h"
#include "harness/run/command_line.h"
#include "harness/run/plan.h"
#include "harness/stepper/process/process_wait.h"
#include "harness/stepper/process/tracee.h"

namespace kill9::run {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMostTries = 3;    // to meet a point again
constexpr size_t kMostFindings = 20;  // that are kept; more are counted
constexpr size_t kMostDamagedFiles = 16;

std::string After(const char* separator, const std::string& text) {
  return text.empty() ? "" : absl::StrCat(separator, text);
}

// The parts of a run in their order. Each ends with nothing, or with the verdict.
class WholeRun {
 public:
  WholeRun(RunOptions options, AttemptSurroundings surroundings,
           const std::function<bool(const ProgramProgress&)>& progress)
      : options_(std::move(options)),
        surroundings_(std::move(surroundings)),
        progress_(progress),
        pool_(std::make_unique<AttemptPool>(options_, surroundings_)),
        told_{.state_bytes = surroundings_.state_bytes} {}

  absl::StatusOr<ProgramResult> Run();

 private:
  using Message = AttemptPool::Message;
  absl::Status Control();
  absl::Status Damage();
  absl::Status Trace();
  absl::Status KillAtAll();
  absl::Status StartNext();
  absl::Status OnMessage(const Message& message);
  std::string CallBefore(size_t index) const;
  void Judge(const TracedPoint& traced, const Message& message);
  void OnMissed(size_t index);
  void MeetElsewhere(size_t index);
  uint64_t Missed() const;
  bool EachPointIsWanted() const { return options_.full || options_.first_only; }
  void Conclude();
  void Decide(Verdict verdict, const std::string& reason);
  bool Decided() const { return verdict_.has_value(); }
  bool GoOn() { return !stopped_ && (stopped_ = !progress_(told_), !stopped_); }
  bool TimeIsUp() const {
    return options_.seconds > 0 && stepper::NowSeconds() - begin_ >= options_.seconds;
  }
  // Of what comes before the kills: one run that nobody kills, given up when the time is over.
  absl::StatusOr<Message> RunUnkilled(AttemptRequest request, bool check, const char* what);
  std::string RepeatLine(const Point& point) const;

  const RunOptions options_;
  const AttemptSurroundings surroundings_;
  const std::function<bool(const ProgramProgress&)>& progress_;
  std::unique_ptr<AttemptPool> pool_;
  const double begin_ = stepper::NowSeconds();
  double kills_begin_ = 0;
  ProgramProgress told_;
  bool stopped_ = false;
  std::optional<Verdict> verdict_;
  Json run_ = Json::object();

  std::vector<std::string> changed_;  // files, by the control
  std::vector<TracedPoint> trace_;
  std::deque<size_t> waiting_;
  std::map<size_t, uint32_t> tries_;
  std::map<size_t, Message> left_;  // by point: what was met there
  std::set<uint64_t> known_;        // all that was left, and judged
  std::set<uint64_t> met_;          // as the trace has it: a point of each was met again
  std::vector<size_t> missed_at_;   // points that no try met again
  std::set<size_t> met_elsewhere_;  // planned for what is left there, and not by the plan
  uint64_t kills_ = 0, drifted_ = 0, cannot_tell_ = 0, survivors_ = 0;
  uint64_t not_begun_ = 0;
};

void WholeRun::Decide(Verdict verdict, const std::string& reason) {
  verdict_ = verdict;
  run_["reason"] = reason;
}

std::string WholeRun::RepeatLine(const Point& point) const {
  std::vector<std::string> words = {"kill9 run", "--point=" + ShellWord(NameOf(point)),
                                    "--check=" + ShellWord(options_.check)};
  if (surroundings_.state != surroundings_.start) {
    words.push_back("--state=" + ShellWord(options_.state));
  }
  if (options_.first_only) words.emplace_back("--victim=root");
  if (!options_.namespaces) words.emplace_back("--no-namespaces");
  words.emplace_back("--");
  for (const std::string& word : options_.words) words.push_back(ShellWord(word));
  return absl::StrJoin(words, " ");
}

absl::StatusOr<AttemptPool::Message> WholeRun::RunUnkilled(AttemptRequest request, bool check,
                                                           const char* what) {
  told_.stage = request.kind == AttemptKind::kTrace    ? "followed to its end"
                : request.kind == AttemptKind::kDamage ? "the check on damaged files"
                                                       : "the control: nobody is killed";
  GoOn();  // tells what begins
  bool in_time = true;
  absl::StatusOr<Message> message = pool_->RunOne(request, check, [this, &in_time] {
    in_time = in_time && !TimeIsUp();
    return GoOn() && in_time;
  });
  if (message.ok() || in_time) return message;
  Decide(Verdict::kUndecided, absl::StrCat("the time (--seconds) was over before ", what));
  stopped_ = true;
  return message;
}

// Without a kill the program ends well and the check passes, or nothing else says anything.
absl::Status WholeRun::Control() {
  absl::StatusOr<Message> control =
      RunUnkilled({.kind = AttemptKind::kControl, .point = {}, .damaged = ""}, /*check=*/true,
                  "the program had ended by itself, and been checked");
  if (!control.ok()) return control.status();
  const Json& json = control->json;
  run_["control"] = Json::object();
  if (!json["ended"].get<bool>()) {
    Decide(Verdict::kUndecided, absl::StrCat("without a kill, the program does not end within ",
                                             options_.program_seconds, " s"));
    return absl::OkStatus();
  }
  const int status = json["status"].get<int>();
  const Json& check = json["check"];
  run_["control"] = check;
  if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) {
    const std::string how = WIFSIGNALED(status) ? absl::StrCat("signal ", WTERMSIG(status))
                                                : absl::StrCat("exit status ", WEXITSTATUS(status));
    Decide(Verdict::kUndecided,
           absl::StrCat("without a kill, the program ends with ", how,
                        After(": ", LastLine(ReadText(control->folder + "/stderr")))));
    return absl::OkStatus();
  }
  if (check["exit_status"] == 126 || check["exit_status"] == 127) {
    return absl::InvalidArgumentError(
        absl::StrCat("the check cannot be run: ", LastLine(TextField(check, "output"))));
  }
  if (AnswerOf(check) != CheckAnswer::kConsistent) {
    const bool cannot_tell = AnswerOf(check) == CheckAnswer::kUnknown;
    Decide(Verdict::kUndecided,
           absl::StrCat("without a kill, the check ",
                        cannot_tell ? "cannot tell" : "fails: " + HowItEnded(check),
                        After(": ", LastLine(TextField(check, "output")))));
    return absl::OkStatus();
  }
  known_.insert(json["left"].get<uint64_t>());
  changed_ = json["changed"].get<std::vector<std::string>>();
  return absl::OkStatus();
}

// A check that passes with every file emptied, and cut to its half, sees nothing.
absl::Status WholeRun::Damage() {
  Json not_seen = Json::array();
  uint64_t seen = 0;
  if (changed_.size() > kMostDamagedFiles) changed_.resize(kMostDamagedFiles);
  for (const std::string& file : changed_) {
    for (const bool emptied : {true, false}) {
      absl::StatusOr<Message> damaged = RunUnkilled(
          {.kind = AttemptKind::kDamage, .point = {}, .damaged = file, .emptied = emptied},
          /*check=*/true, "the check had been tried on damaged files");
      if (!damaged.ok()) return damaged.status();
      const bool consistent = !damaged->json.contains("check") ||
                              AnswerOf(damaged->json["check"]) != CheckAnswer::kViolation;
      if (consistent) not_seen.push_back({{"file", file}, {"how", emptied ? "emptied" : "cut"}});
      seen += !consistent;
    }
  }
  run_["blunt"] = {{"files", changed_.size()}, {"seen", seen}, {"not_seen", not_seen}};
  if (seen == 0) {
    Decide(Verdict::kVacuous,
           changed_.empty()
               ? "the program changes no file of its directory: there is nothing to damage"
               : "the check passes with each file emptied and cut: it sees nothing");
  }
  return absl::OkStatus();
}

absl::Status WholeRun::Trace() {
  std::vector<TracedPoint> traces[2];
  Json last;
  for (std::vector<TracedPoint>& trace : traces) {
    absl::StatusOr<Message> traced =
        RunUnkilled({.kind = AttemptKind::kTrace, .point = {}, .damaged = ""}, /*check=*/false,
                    "the program had been followed to its end twice");
    if (!traced.ok()) return traced.status();
    last = std::move(traced->json);
    if (!last["ended"].get<bool>()) {
      Decide(Verdict::kUndecided,
             last["instructions"] == 0
                 ? absl::StrCat("the program, followed, does not end within ",
                                options_.program_seconds, " s")
                 : "there are more than a million instructions behind a look at /kill9/begin, or "
                   "the program did not end");
      return absl::OkStatus();
    }
    trace = ReadTrace(last["points"]);
  }
  trace_ = std::move(traces[0]);
  run_["steady"] = NameByBoth(trace_, traces[1]);
  run_["outside"] = last["outside"];
  uint64_t points = 0;
  std::set<std::string> processes;
  for (const TracedPoint& traced : trace_) {
    points += traced.points;
    processes.insert(traced.point.process);
  }
  run_["points"] = points;
  run_["processes"] = processes.size();
  if (options_.instructions && trace_.empty()) {
    return absl::InvalidArgumentError(
        "the program never looked at /kill9/begin: --points=instructions tries what lies between "
        "that and a look at /kill9/end, by access(2), stat(2) or open(2)");
  }
  if (!surroundings_.namespaces && !last["outside"].empty()) {
    Decide(Verdict::kSkipped,
           absl::StrCat("the program writes to ", last["outside"][0].get<std::string>(),
                        ", and this machine allows no namespaces in which it were its own"));
  }
  return absl::OkStatus();
}

absl::Status WholeRun::StartNext() {
  if (TimeIsUp()) {
    not_begun_ += waiting_.size();
    waiting_.clear();
  }
  if (waiting_.empty()) return absl::OkStatus();
  const size_t index = waiting_.front();
  waiting_.pop_front();
  ++tries_[index];
  return pool_->Start(trace_[index].Request(), index);
}

// The call that the process made before; empty: there is none, or no trace.
std::string WholeRun::CallBefore(size_t index) const {
  for (size_t n = index; n-- > 0;) {
    const Point& before = trace_[n].point;
    if (before.process == trace_[index].point.process) return NameOf(before);
  }
  return "";
}

void WholeRun::Judge(const TracedPoint& traced, const Message& message) {
  const Json& check = message.json["check"];
  ++told_.judged;
  const CheckAnswer answer = AnswerOf(check);
  cannot_tell_ += answer == CheckAnswer::kUnknown;
  if (answer != CheckAnswer::kViolation) return;
  ++told_.violations;
  if (run_["findings"].size() >= kMostFindings) return;
  pool_->TakeFolder(message.folder);
  const Json& left = left_.at(message.tag).json;
  const bool exact = options_.instructions || traced.number < 0 || left["left"] == traced.left;
  run_["findings"].push_back(
      {{"point", NameOf(traced.point)},
       {"after", CallBefore(message.tag)},
       {"process", traced.point.process},
       {"program", left["program"]},
       {"call", traced.point.call},
       {"path", traced.point.path},
       {"occurrence", traced.point.occurrence},
       {"instruction", traced.point.instruction},
       {"survivors", left["survivors"]},
       {"check", HowItEnded(check)},
       {"exit_status", check["exit_status"]},
       {"signal", check["signal"]},
       {"output", check["output"]},
       {"left", message.folder},
       {"repeat", RepeatLine(traced.point)},
       {"repeat_kind", exact && run_.value("steady", true) ? "deterministic" : "best effort"}});
}

void WholeRun::OnMissed(size_t index) {
  if (tries_[index] < kMostTries) return waiting_.push_back(index);
  MeetElsewhere(index);
  missed_at_.push_back(index);
  ++told_.done;
}

// Whether a call that only waits is made is a matter of time (a thread that ends before somebody
// waits for it); what was left before it is met at the last call that has the same left. That one
// changes it, and is made each time.
void WholeRun::MeetElsewhere(size_t index) {
  if (trace_[index].number < 0 || EachPointIsWanted()) return;
  for (size_t last = trace_.size(); --last > index;) {
    if (trace_[last].left != trace_[index].left) continue;
    if (tries_.contains(last) || !met_elsewhere_.insert(last).second) return;
    ++told_.points;
    return waiting_.push_back(last);
  }
}

// Points at which what is left was met at another one are not missed.
uint64_t WholeRun::Missed() const {
  return static_cast<uint64_t>(std::ranges::count_if(missed_at_, [this](size_t index) {
    return EachPointIsWanted() || !met_.contains(trace_[index].left);
  }));
}

absl::Status WholeRun::OnMessage(const Message& message) {
  const TracedPoint& traced = trace_[message.tag];
  if (!message.json.contains("done")) {
    if (!message.json.contains("left")) return absl::OkStatus();
    const uint64_t left = message.json["left"].get<uint64_t>();
    ++kills_;
    survivors_ += message.json["survivors"].get<uint64_t>();
    // What is left before an instruction, a trace knows by another hash.
    const bool drifted = traced.number >= 0 && !options_.instructions && left != traced.left;
    drifted_ += drifted;
    if (drifted && traced.repeats) MeetElsewhere(message.tag);
    met_.insert(traced.left);
    left_.insert_or_assign(message.tag, message);
    // What survivors do with what was left is another thing each time.
    const bool is_new = known_.insert(left).second || EachPointIsWanted();
    pool_->Answer(message.tag, is_new);
    return absl::OkStatus();
  }
  if (message.json.contains("met") && !message.json["met"].get<bool>()) {
    OnMissed(message.tag);
    return absl::OkStatus();
  }
  ++told_.done;
  if (message.json.contains("check")) Judge(traced, message);
  left_.erase(message.tag);
  return absl::OkStatus();
}

absl::Status WholeRun::KillAtAll() {
  if (options_.point.empty()) {
    const std::vector<size_t> planned = PlanKills(trace_, options_);
    waiting_.assign(planned.begin(), planned.end());
  } else {
    waiting_ = {0};
  }
  told_.points = waiting_.size();
  kills_begin_ = stepper::NowSeconds();
  const size_t workers = surroundings_.namespaces ? WorkersOf(options_.workers) : 1;
  while (true) {
    while (pool_->running() < workers && !waiting_.empty()) {
      if (absl::Status status = StartNext(); !status.ok()) return status;
    }
    if (pool_->running() == 0) return absl::OkStatus();
    absl::StatusOr<Message> message = pool_->Next([this] { return GoOn(); });
    if (!message.ok()) return message.status();
    if (absl::Status status = OnMessage(*message); !status.ok()) return status;
  }
}

void WholeRun::Conclude() {
  uint64_t covered = 0, points = 0;
  for (const TracedPoint& traced : trace_) {
    points += traced.points;
    if (met_.contains(traced.left)) covered += traced.points;
  }
  const double seconds = stepper::NowSeconds() - kills_begin_;
  run_["kills"] = {{"total", kills_}};
  run_["judged"] = told_.judged;
  run_["distinct_states"] = known_.size();
  run_["point_coverage"] =
      points == 0 ? 0.0 : static_cast<double>(covered) / static_cast<double>(points);
  run_["drifted"] = drifted_;
  const uint64_t missed = Missed();
  run_["missed"] = missed;
  run_["cannot_tell"] = cannot_tell_;
  run_["survivors"] = survivors_;
  run_["violations"] = told_.violations;
  run_["states_per_second"] = seconds > 0 ? static_cast<double>(told_.judged) / seconds : 0.0;
  if (told_.violations > 0) {
    const Json& first = run_["findings"][0];
    run_["counterexample"] = absl::StrCat("killed before ", TextField(first, "point"),
                                          ", the check ended with ", TextField(first, "check"));
    run_["repeat"] = first["repeat"];
    verdict_ = Verdict::kViolation;
  } else if (cannot_tell_ > 0) {
    Decide(Verdict::kUndecided, absl::StrCat("of ", cannot_tell_, " states the check cannot tell"));
  } else if (missed > 0) {
    Decide(Verdict::kUndecided,
           options_.point.empty()
               ? absl::StrCat(missed,
                              " points were not met again: the program does not make the same "
                              "calls each time")
               : absl::StrCat("in ", kMostTries, " runs the program did not come to ",
                              options_.point));
  } else if (not_begun_ > 0 || stopped_) {
    Decide(Verdict::kUndecided,
           told_.points == 0
               ? "it was ended before anybody was killed"
               : absl::StrCat("it was ended with ", told_.points - told_.done, " points left"));
  } else if (options_.point.empty() && known_.size() < 2) {
    Decide(Verdict::kVacuous,
           "wherever the program is killed, it has left the same: nothing was proved");
  } else {
    verdict_ = Verdict::kPass;
  }
}

absl::StatusOr<ProgramResult> WholeRun::Run() {
  run_ = {{"program", absl::StrJoin(options_.words, " ")},
          {"check", options_.check},
          {"state", surroundings_.state},
          {"state_bytes", surroundings_.state_bytes},
          {"verdict", ""},
          {"fault", "a process's death, not a loss of power"},
          {"victim", options_.first_only ? "root" : "tree"},
          {"point_kind", options_.instructions ? "instructions" : "calls"},
          {"namespaces", surroundings_.namespaces},
          {"points", 0},
          {"findings", Json::array()}};
  const bool one = !options_.point.empty();
  absl::Status status = Control();
  if (status.ok() && !Decided() && options_.blunt && !one) status = Damage();
  if (status.ok() && !Decided() && !one) status = Trace();
  if (status.ok() && !Decided() && one) {
    const absl::StatusOr<Point> point = ParsePoint(options_.point);
    if (!point.ok()) return point.status();
    trace_ = {{.point = *point}};
  }
  if (status.ok() && !Decided()) status = KillAtAll();
  if (!status.ok() && !stopped_) return status;
  pool_.reset();
  if (!Decided()) Conclude();
  run_["verdict"] = VerdictName(*verdict_);
  run_["seconds"] = stepper::NowSeconds() - begin_;
  return ProgramResult{std::move(run_), *verdict_};
}

}  // namespace

absl::StatusOr<ProgramResult> RunProgram(
    const RunOptions& given, const std::function<bool(const ProgramProgress&)>& progress) {
  RunOptions options = given;
  if (!options.point.empty()) {
    absl::StatusOr<Point> point = ParsePoint(options.point);
    if (!point.ok()) return point.status();
  }
  absl::StatusOr<AttemptSurroundings> surroundings = Surround(options);
  if (!surroundings.ok()) return surroundings.status();
  options.check = FoundFrom(surroundings->start, options.check);
  auto skipped = [&](const std::string& reason) {
    Json run = {{"program", absl::StrJoin(options.words, " ")},
                {"check", options.check},
                {"state", surroundings->state},
                {"verdict", VerdictName(Verdict::kSkipped)},
                {"reason", reason}};
    return ProgramResult{std::move(run), Verdict::kSkipped};
  };
  if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) return skipped(why);
  std::string why_no_namespaces = "--no-namespaces";
  if (surroundings->namespaces) {
    AttemptPool pool(options, *surroundings);
    absl::StatusOr<AttemptPool::Message> probe = pool.RunOne({}, false, [] { return true; });
    const absl::StatusCode code = probe.status().code();
    if (!probe.ok() && code != absl::StatusCode::kFailedPrecondition) return probe.status();
    surroundings->namespaces = probe.ok();
    if (!probe.ok()) why_no_namespaces = std::string(probe.status().message());
  }
  if (!surroundings->namespaces && surroundings->state != surroundings->start) {
    return skipped(
        "this machine allows no namespaces, in which a copy can stand in the place of --state: "
        "start kill9 in that directory, and leave --state out");
  }
  absl::StatusOr<ProgramResult> result = WholeRun(options, *surroundings, progress).Run();
  if (result.ok() && !surroundings->namespaces) {
    result->run["why_no_namespaces"] = why_no_namespaces;
  }
  return result;
}

}  // namespace kill9::run
