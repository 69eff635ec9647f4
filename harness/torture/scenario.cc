#include "harness/torture/scenario.h"

#include <algorithm>
#include <vector>

#include "harness/torture/driver.h"

namespace kill9 {
namespace {

Scenario Steady() {
  return {.name = "steady",
          .summary = "workers die at random instructions, one soon after another, and are replaced",
          .timer = {.life_us = 1200, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario KillOneAtATime() {
  return {
      .name = "kill_one_at_a_time",
      .summary = "one dies; the others go on and recover; an audit follows; then it is replaced",
      .outside = OutsideKills::kOne,
      .outside_interval_us = 2000};
}

Scenario KillStorm() {
  return {.name = "kill_storm",
          .summary = "several die at the same time, again and again",
          .outside = OutsideKills::kStorm,
          .outside_interval_us = 2500};
}

Scenario KillRecoverer() {
  return {.name = "kill_recoverer",
          .summary = "whoever recovers after a death dies while recovering, again and again",
          .timer = {.life_us = 1500, .in_attach = 20, .in_detach = 0, .in_recovery = 800},
          .needs = {.kills_in_recovery = true}};
}

Scenario KillAll() {
  return {.name = "kill_all",
          .summary = "every process dies; a new generation opens the named segment",
          .outside = OutsideKills::kAll,
          .outside_interval_us = 8000,
          .named_segment = true,
          .needs = {.generations = true}};
}

Scenario StopAndResume() {
  return {.name = "stop_and_resume",
          .summary = "processes are stopped for a while and resumed: they are slow, not dead",
          .timer = {.life_us = 6000},
          .stop_interval_us = 3000,
          .stop_us = 8000,
          .needs = {.stops = true}};
}

Scenario Churn() {
  return {.name = "churn",
          .summary = "participants come and go, and die while they come or go",
          .timer = {.life_us = 1500, .in_attach = 250, .in_detach = 250, .in_recovery = 20},
          .stays_operations = 40,
          .needs = {.kills_in_attach = true}};
}

Scenario FullSegment() {
  return {
      .name = "full_segment",
      .summary = "the segment is full nearly all the time: writes are refused, and lose nothing",
      .segment_bytes = 1u << 20,
      .timer = {.life_us = 2000, .in_attach = 20, .in_detach = 0, .in_recovery = 50},
      .needs = {.refusals = true}};
}

Scenario PidReuse() {
  return {.name = "pid_reuse",
          .summary = "a new process gets the PID of the one that has just died",
          .timer = {.life_us = 2000, .in_attach = 30, .in_detach = 0, .in_recovery = 30},
          .reuse_pids = true,
          .needs = {.reused_pids = true}};
}

Scenario ForkInherit() {
  return {.name = "fork_inherit",
          .summary = "forked children try their parent's handle; parents die while children live",
          .timer = {.life_us = 3000, .in_attach = 30, .in_detach = 0, .in_recovery = 30},
          .inherit_handle = true,
          .needs = {.inherited = true}};
}

Scenario FullTable() {
  return {.name = "full_table",
          .summary = "no participant to spare: whoever attaches finds the table full of the dead",
          .timer = {.life_us = 1500, .in_attach = 150, .in_detach = 50, .in_recovery = 0},
          .stays_operations = 200,
          .full_table = true,
          .needs = {.kills_in_attach = true}};
}

Scenario NobodyDies() {
  return {.name = "nobody_dies",
          .summary = "nobody dies, and where one can wait all but one do: no wake-up is spare",
          .segment_bytes = 512u << 10,
          .audit_interval_us = 25'000,
          .nobody_dies = true,
          .needs = {.kills_in_operation = false, .recoveries = false}};
}

}  // namespace

std::span<const Scenario> CommonScenarios() {
  static const auto* scenarios = new std::vector<Scenario>{
      Steady(), KillOneAtATime(), KillStorm(), KillRecoverer(), KillAll(),   StopAndResume(),
      Churn(),  FullSegment(),    PidReuse(),  ForkInherit(),   FullTable(), NobodyDies(),
  };
  return *scenarios;
}

Scenario WaitForRoomScenario() {
  return {.name = "wait_for_room",
          .summary = "who finds no room waits, some for ever, and those who have it die",
          .segment_bytes = 512u << 10,
          .timer = {.life_us = 3000, .in_attach = 10, .in_detach = 0, .in_recovery = 30},
          .needs = {.refusals = true}};
}

Scenario LastRoomScenario() {
  return {.name = "last_room",
          .summary = "room for one goes round, and all wait for it for ever",
          .segment_bytes = 512u << 10,
          .timer = {.life_us = 20'000, .in_attach = 10, .in_detach = 0, .in_recovery = 60},
          .outside = OutsideKills::kOne,
          .outside_interval_us = 4000};
}

std::vector<Scenario> CommonScenariosWith(std::initializer_list<Scenario> own) {
  std::vector<Scenario> all;
  for (const Scenario& scenario : CommonScenarios()) {
    all.push_back(scenario);
    if (scenario.name == "full_segment") all.insert(all.end(), own);
  }
  return all;
}

std::span<const Scenario> AllScenarios() {
  static const auto* scenarios = [] {
    auto* all = new std::vector<Scenario>;
    for (const TortureDriver* driver : AllTortureDrivers()) {
      for (const Scenario& scenario : driver->scenarios()) {
        const auto same = [&scenario](const Scenario& one) { return one.name == scenario.name; };
        if (std::none_of(all->begin(), all->end(), same)) all->push_back(scenario);
      }
    }
    return all;
  }();
  return *scenarios;
}

const Scenario* FindScenario(std::string_view name) {
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace kill9
