#include "stress/command/try/weak_places.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/percent.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/stepper/process/process_wait.h"
#include "harness/stepper/trace/backtrace.h"
#include "harness/stepper/trace/symbols.h"
#include "harness/sweep/sweep.h"
#include "stress/command/replay/sweep_replay.h"

namespace kill9 {
namespace {

constexpr size_t kMostPlaces = 4;
// A survivor that waits for ever costs the watchdog's time at each instruction: what a few of them
// tell is enough. Others cost some milliseconds.
constexpr uint32_t kMostStuck = 8;
constexpr uint32_t kMostOthers = 400;
constexpr double kStuckSeconds = 1;

Verdict FirstVerdict(const Json& run) {
  return FindVerdict(TextField(run["counterexample"], "verdict")).value_or(Verdict::kViolation);
}

// Whether it takes a kill besides those that its starting state is made by.
bool TakesAKill(const Json& run) { return !run["counterexample"]["at"].empty(); }

// Those that take a kill tell where; of them the shorter one is read sooner.
bool TellsMore(const Json& one, const Json& other) {
  if (TakesAKill(one) != TakesAKill(other)) return TakesAKill(one);
  return one["instructions"].get<uint64_t>() < other["instructions"].get<uint64_t>();
}

// Of each operation that failed, by its place in the driver's list, the run that tells most.
std::map<uint32_t, Json> MostTellingOfEach(const sweep::SweepDriver& driver, const Json& runs) {
  std::map<uint32_t, Json> telling;
  for (const Json& run : runs) {
    if (!run.contains("counterexample")) continue;
    const auto operation = sweep::IndexOf(driver.operations(), TextField(run, "operation"));
    if (!operation.has_value()) continue;
    const auto known = telling.find(*operation);
    if (known == telling.end() || TellsMore(run, known->second)) {
      telling[*operation] = run;
    }
  }
  while (telling.size() > kMostPlaces) telling.erase(std::prev(telling.end()));
  return telling;
}

std::vector<sweep::CellRequest> CellsOf(const Design& design,
                                        const std::map<uint32_t, Json>& failed,
                                        const TryOptions& options) {
  std::vector<sweep::CellRequest> cells;
  for (const auto& [operation, run] : failed) {
    const bool stuck = FirstVerdict(run) == Verdict::kStuck;
    sweep::SweepOptions sweep;
    sweep.variants = {&design};
    sweep.operations = {TextField(run, "operation")};
    sweep.states = {TextField(run, "state")};
    sweep.sample = 0;
    sweep.seed = options.seed;
    sweep.most_failures = stuck ? kMostStuck : kMostOthers;
    sweep.watchdog_seconds = std::min(kStuckSeconds, options.watchdog_seconds);
    for (const sweep::CellRequest& cell : PlanCells(sweep)) cells.push_back(cell);
  }
  return cells;
}

// A line of a file, as far as the machine has it.
std::string SourceAt(const stepper::SourceLine& line) {
  std::ifstream file(line.file);
  std::string text;
  for (int n = 0; n < line.line; ++n) {
    if (!std::getline(file, text)) return "";
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

WeakPlace PlaceOf(Json run, double watchdog_seconds) {
  WeakPlace place;
  place.operation = TextField(run, "operation");
  place.state = TextField(run, "state");
  place.verdict = FirstVerdict(run);
  if (TakesAKill(run)) {
    place.not_survived = run["not_survived"]["instructions"].get<uint64_t>();
    place.judged = run["not_survived"]["of"].get<uint64_t>();
    place.instructions = run["instructions"].get<uint64_t>();
  }
  absl::StatusOr<sweep::CellRequest> request = sweep::RequestOf(run);
  if (request.ok() && request->place.at[0] != sweep::kNowhere) {
    // Once: it costs little, and kStuckSeconds may be too few on a busy machine.
    request->watchdog_seconds = watchdog_seconds;
    const std::vector<stepper::StackFrame> frames = FramesOfTheVictim(*request);
    const size_t first = stepper::FirstOfTheObject(frames);
    if (first < frames.size()) {
      const stepper::SourceLine& line = frames[first].line;
      place.line = absl::StrCat(stepper::ShortPath(line.file), ":", line.line);
      place.source = SourceAt(line);
    }
  }
  place.run = std::move(run);
  return place;
}

}  // namespace

std::string WeakPlace::Text() const {
  std::string text = absl::StrFormat("%s (%s): ", operation, state);
  if (instructions == 0) {
    absl::StrAppend(&text, std::string(VerdictName(verdict)),
                    " without another death than the state's");
    return text;
  }
  absl::StrAppendFormat(&text, "a death is not survived at %d of %s%s (%s)", not_survived,
                        judged < instructions ? "the first " : "", CountOf(judged, "instruction"),
                        Percent(static_cast<double>(not_survived) /
                                static_cast<double>(std::max<uint64_t>(1, judged))));
  if (judged < instructions) absl::StrAppendFormat(&text, ", out of %d", instructions);
  if (line.empty()) return text;
  absl::StrAppendFormat(&text, "\n    %s, first before %s%s%s", std::string(VerdictName(verdict)),
                        line, source.empty() ? "" : ": ", source);
  return text;
}

Json WeakPlace::Fields() const {
  return {{"operation", operation},
          {"state", state},
          {"verdict", VerdictName(verdict)},
          {"not_survived",
           {{"instructions", not_survived},
            {"of", judged},
            {"share",
             judged == 0 ? 1.0 : static_cast<double>(not_survived) / static_cast<double>(judged)}}},
          {"instructions", instructions},
          {"line", line},
          {"source", source},
          {"repeat", TextField(run, "repeat")}};
}

std::vector<WeakPlace> FindWeakPlaces(const Design& design, const Json& sweep_runs,
                                      const TryOptions& options, double seconds) {
  const sweep::SweepDriver* driver = FindSweepDriver(design.kind());
  if (driver == nullptr) return {};
  std::map<uint32_t, Json> failed = MostTellingOfEach(*driver, sweep_runs);
  const double end = stepper::NowSeconds() + std::ceil(seconds);
  // What is not done by then is as the sweep has left it: one death is known.
  const absl::Status status = RunCells(
      CellsOf(design, failed, options), 0,
      [&] { return *options.interrupted || (seconds > 0 && stepper::NowSeconds() > end); },
      [&](const sweep::CellRequest& request, sweep::CellArea& area, pid_t worker) {
        options.progress(absl::StrCat("where it breaks: ", request.operation));
        if (area.result.failures == 0) return;
        const auto operation = sweep::IndexOf(driver->operations(), request.operation);
        if (operation.has_value()) {
          failed[*operation] = sweep::RunWithPlaces(request, area.result, worker);
        }
      });
  if (!status.ok() && !absl::IsCancelled(status)) return {};
  std::vector<WeakPlace> places;
  for (auto& [operation, run] : failed) {
    if (*options.interrupted) break;
    places.push_back(PlaceOf(std::move(run), options.watchdog_seconds));
  }
  std::stable_partition(places.begin(), places.end(),
                        [](const WeakPlace& place) { return place.instructions > 0; });
  return places;
}

}  // namespace kill9
