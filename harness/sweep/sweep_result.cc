// Runs of a sweep in a result file, and the lines that repeat their failures.
#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/copy_text.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/result/command_name.h"
#include "harness/result/waiting.h"
#include "harness/sweep/sweep.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9::sweep {
namespace {

template <typename T>
T Named(const char* what, const std::string& name, int count) {
  std::string known;
  for (int n = 0; n < count; ++n) {
    const auto value = static_cast<T>(n);
    if (Name(value) == name) return value;
    absl::StrAppend(&known, n == 0 ? "" : ", ", std::string(Name(value)));
  }
  throw std::invalid_argument(
      absl::StrCat("there is no ", what, " '", name, "'; known are: ", known));
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

Json StallOf(const CellResult& result) {
  const SweepDriver* driver = FindSweepDriver(result.kind);
  if (result.stalled_instructions == 0 || driver == nullptr) return nullptr;
  const auto share_at = [&result](const uint64_t(&blocked)[kNearnessCount]) {
    Json shares;
    for (uint32_t where = 0; where < kNearnessCount; ++where) {
      shares[std::string(Name(static_cast<Nearness>(where)))] =
          Share(blocked[where], result.stalled_instructions);
    }
    return shares;
  };
  Json stall = share_at(result.blocked);
  for (uint32_t probe = 0; probe < driver->probes().size(); ++probe) {
    if (!(result.probes & 1u << probe)) continue;
    const auto& [name, has_place] = driver->probes()[probe];
    const auto& blocked = result.blocked_probe[probe];
    stall["by_operation"][std::string(name)] =
        has_place ? share_at(blocked) : Json(Share(blocked[0], result.stalled_instructions));
  }
  stall["resumed"] = result.resumed;
  return stall;
}

Json CounterexampleOf(const CellRequest& request, const Failure& failure) {
  Json example = {{"kind", "sweep"},
                  {"mode", Name(failure.place.mode)},
                  {"plan", Name(failure.place.plan)},
                  {"verdict", VerdictName(failure.verdict)},
                  {"message", failure.message}};
  if (request.two_victims || failure.place.mode == Mode::kTwoVictims ||
      failure.place.mode == Mode::kReuse || failure.place.mode == Mode::kThreeMembers) {
    example["second"] = request.second;
  }
  example["at"] = Json::array();
  for (uint32_t at : failure.place.at) {
    if (at != kNowhere) example["at"].push_back(at);
  }
  if (failure.window[0] != '\0') example["history"] = failure.window;
  if (failure.address != 0) {
    example["instructions"] = failure.instructions;
    example["address"] = failure.address;
    example["segment_hash"] = failure.segment_hash;
  }
  example["repeat"] = RepeatLine(request, failure.place);
  return example;
}

bool HasUsualShape(const CellResult& result) {
  return result.shape[0] == '\0' || result.shape == shape_text::kUsual;
}

Json ShapeOf(const CellResult& result) {
  Json shape = {{"text", result.shape}, {"kind", SweptKind(result.kind)}};
  const uint32_t fields = FindSweepDriver(result.kind)->shape_fields();
  const absl::StatusOr<SweepShape> parsed = ParseSweepShape(result.shape, fields);
  if (parsed.ok()) shape["classes"] = ToJson(ClassesOf(*parsed, fields));
  return shape;
}

// What the modes besides killing once in each state have done.
void AddModes(const CellRequest& request, const CellResult& result, Json* run) {
  (*run)["recovery_kill_points"] = result.recovery_kill_points;
  (*run)["recovery_states"] = result.recovery_states;
  (*run)["recoverers_recoverer_kill_points"] = result.recoverers_recoverer_kill_points;
  (*run)["two_victim_kill_points"] = result.two_victim_kill_points;
  (*run)["two_victim_pairs"] = result.two_victim_pairs;
  (*run)["stall"] = StallOf(result);
  if (request.resume) {
    (*run)["resume"] = {{"accesses", result.resume_points}, {"stops_lapped", result.resume_stops}};
  }
  if (request.kill_after_resume) {
    (*run)["kill_after_resume"] = {{"stops", result.kill_after_resume_stops},
                                   {"kill_points", result.kill_after_resume_kill_points}};
  }
  if (request.reuse) {
    (*run)["reuse"] = {{"deaths", result.reuse_deaths}, {"stops", result.reuse_stops}};
  }
  if (request.three_members) {
    (*run)["three_members"] = {{"places", result.three_member_places},
                               {"ends", result.three_member_ends}};
  }
}

}  // namespace

std::string SweptKind(std::string_view kind) { return absl::StrCat("swept ", std::string(kind)); }

std::string RepeatLine(const CellRequest& request, const KillPoint& place) {
  std::string line = absl::StrCat(CommandName(), " sweep --variant=", request.variant,
                                  " --operation=", request.operation, " --state=", request.state);
  if (request.shape[0] != '\0') absl::StrAppend(&line, " --shape=", request.shape);
  if (place.at[0] == kNowhere) return line;  // it fails without any kill
  absl::StrAppend(&line, " --mode=", std::string(Name(place.mode)),
                  " --plan=", std::string(Name(place.plan)));
  const bool has_second = place.mode == Mode::kTwoVictims || place.mode == Mode::kReuse ||
                          place.mode == Mode::kThreeMembers;
  if (has_second && request.second[0] != '\0') {
    absl::StrAppend(&line, " --second=", request.second);
  }
  absl::StrAppend(&line, " --at=", place.at[0]);
  for (int n = 1; n < 3 && place.at[n] != kNowhere; ++n) absl::StrAppend(&line, ",", place.at[n]);
  return line;
}

Json RunOf(const CellRequest& asked, const CellResult& result) {
  // What the seed drew, as it repeats without the seed.
  CellRequest request = asked;
  CopyText(HasUsualShape(result) ? "" : result.shape, request.shape);
  Json run = {{"variant", request.variant},
              {"scenario", absl::StrCat("sweep:", request.operation, ":", request.state)},
              {"operation", request.operation},
              {"state", request.state},
              {"verdict", VerdictName(result.verdict)},
              {"seconds", result.seconds},
              {"instructions", result.instructions},
              {"kill_points", result.kill_points},
              {"distinct_segment_states", result.distinct_states},
              {"outcomes",
               {{"happened", result.happened},
                {"did_not_happen", result.did_not_happen},
                {"indistinguishable", result.indistinguishable}}}};
  if (request.shape[0] != '\0') run["shape"] = ShapeOf(result);
  AddModes(request, result, &run);
  // The last step, after the operation's return, is killed at but is no instruction of it.
  const uint64_t covered = result.instructions_killed + result.instructions_spoken_for;
  run["instructions_killed_at"] = result.instructions_killed;
  run["instructions_spoken_for"] = result.instructions_spoken_for;
  run["kill_coverage"] = Share(covered, uint64_t{result.instructions} + (result.instructions > 0));
  run["kill_coverage_direct"] =
      Share(result.instructions_killed, uint64_t{result.instructions} + (result.instructions > 0));
  run["not_survived"] = {
      {"instructions", result.instructions_not_survived},
      {"of", result.instructions_judged},
      {"share", Share(result.instructions_not_survived, result.instructions_judged)}};
  run["sampled"] = result.sampled;
  run["sampled_differently"] = result.sampled_differently;
  uint64_t kills = result.kill_points + result.recovery_kill_points +
                   result.two_victim_kill_points + result.recoverers_recoverer_kill_points +
                   result.kill_after_resume_kill_points;
  run["kill_points_per_second"] =
      result.kill_seconds > 0 ? static_cast<double>(kills) / result.kill_seconds : 0.0;
  auto a_kill = [&result](uint64_t faults) {
    return result.kill_points == 0
               ? 0.0
               : static_cast<double>(faults) / static_cast<double>(result.kill_points);
  };
  run["page_faults_per_kill"] = {{"victim", a_kill(result.page_faults.victims)},
                                 {"judge", a_kill(result.page_faults.judges)},
                                 {"tracer", a_kill(result.page_faults.tracer)}};
  run["system_calls"] = result.system_calls;
  run["string_iterations"] = result.string_iterations;
  run["vdso_instructions"] = result.vdso_instructions;
  run["restartable_sequences"] = result.restartable_sequences;
  run["unrepeatable_registers"] = result.unrepeatable;
  run["longest_way_stops"] = result.longest_way;
  run["stopped_by"] = Name(result.stopped_by);
  run["hardware_breakpoints"] = result.breakpoints != 0;
  run["strayed_victims"] = result.missed_breakpoints;
  run["hardware_watchpoints"] = false;  // the count register brings a victim inside a string
  run["recoveries"] = result.recovered_participants;
  run["kills"] = {{"total", kills},
                  {"in_operation", result.kill_points},
                  {"in_recovery", result.recovery_kill_points}};
  run["leaked_blocks"] = result.leaked_blocks;
  run["doubly_owned_blocks"] = result.doubly_owned_blocks;
  if (result.error[0] != '\0') run["reason"] = result.error;
  if (result.failures == 0) return run;
  run["failures"] = result.failures;
  run["counterexamples"] = Json::array();
  for (uint32_t n = 0; n < std::min(result.failures, kMostFailures); ++n) {
    run["counterexamples"].push_back(CounterexampleOf(request, result.failure[n]));
  }
  if (result.waiting_is_of_a_failure != 0) {
    run["waiting"] = WaitingField(result.waiting_for, result.waiting_stack);
  }
  run["counterexample"] = run["counterexamples"][0];
  run["repeat"] = run["counterexample"]["repeat"];
  run["repeat_is"] = "deterministic";
  return run;
}

// A file may come from anybody: whatever is not exactly what a sweep writes is an error.
absl::StatusOr<CellRequest> RequestOf(const Json& run) {
  const auto wrong = [](std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a failed run of a sweep: ", std::string(what)));
  };
  try {
    CellRequest request{};
    const Json& example = run.at("counterexample");
    const std::string variant = run.at("variant").get<std::string>();
    std::snprintf(request.variant, sizeof request.variant, "%s", variant.c_str());
    const auto copy = [](const char* what, const std::string& name,
                         const std::vector<std::string>& known, std::span<char> to) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw std::invalid_argument(absl::StrCat("there is no ", what, " '", name,
                                                 "'; known are: ", absl::StrJoin(known, ", ")));
      }
      CopyText(name, to);
    };
    const std::vector<std::string> operations = OperationNames();
    copy("operation", run.at("operation").get<std::string>(), operations, request.operation);
    copy("state", run.at("state").get<std::string>(), StateNames(), request.state);
    if (run.contains("shape")) {
      const std::string shape = run["shape"].at("text").get<std::string>();
      if (shape.size() >= kMostShapeBytes) return wrong("'shape' is too long");
      CopyText(shape, request.shape);
    }
    const std::string second = example.value("second", "");
    if (!second.empty()) copy("operation", second, operations, request.second);
    request.place.mode = Named<Mode>("mode", example.at("mode").get<std::string>(), kModeCount);
    request.place.plan = Named<Plan>("plan", example.at("plan").get<std::string>(), kPlanCount);
    const Json& at = example.at("at");
    if (!at.is_array()) return wrong("'at' is no list of instructions");
    const Count count = PlaceNumbers(request.place.mode);
    // None at all: it fails without any kill.
    if (!at.empty() && (at.size() < count.least || at.size() > count.most)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a place of mode ", std::string(Name(request.place.mode)), " has ", count.least,
          count.most > count.least ? absl::StrCat(" or ", count.most) : "", " numbers, not ",
          at.size()));
    }
    for (const Json& one : at) {
      if (!one.is_number_unsigned() || one.get<uint64_t>() >= kNowhere) {
        return wrong("'at' is no list of instructions");
      }
    }
    for (size_t n = 0; n < 3; ++n) {
      request.place.at[n] = n < at.size() ? at[n].get<uint32_t>() : kNowhere;
    }
    return request;
  } catch (const Json::exception& error) {
    return wrong(error.what());
  } catch (const std::invalid_argument& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace kill9::sweep
