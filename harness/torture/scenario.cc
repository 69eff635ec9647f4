#include "harness/torture/scenario.h"

#include <vector>

namespace kill9 {
namespace {

Workload Mixed(KeyDistribution distribution, uint64_t keys, ValueSizes sizes) {
  Workload workload = *FindWorkload("mixed");
  workload.distribution = distribution;
  workload.keys = keys;
  workload.sizes = sizes;
  return workload;
}

constexpr ValueSizes kSmall = {24, 160, false};
constexpr ValueSizes kSpread = {0, 64 << 10, true};

Scenario Steady() {
  return {.name = "steady",
          .summary = "workers die at random instructions, one soon after another, and are replaced",
          .workload = Mixed(KeyDistribution::kUniform, 256, kSmall),
          .timer = {.life_us = 1200, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario KillOneAtATime() {
  return {
      .name = "kill_one_at_a_time",
      .summary = "one dies; the others go on and recover; an audit follows; then it is replaced",
      .workload = Mixed(KeyDistribution::kZipfian, 256, {0, 4096, true}),
      .outside = OutsideKills::kOne,
      .outside_interval_us = 2000};
}

Scenario KillStorm() {
  return {.name = "kill_storm",
          .summary = "several die at the same time, again and again",
          .workload = Mixed(KeyDistribution::kUniform, 256, kSmall),
          .outside = OutsideKills::kStorm,
          .outside_interval_us = 2500};
}

Scenario KillRecoverer() {
  return {.name = "kill_recoverer",
          .summary = "whoever recovers after a death dies while recovering, again and again",
          .workload = Mixed(KeyDistribution::kUniform, 256, kSmall),
          .timer = {.life_us = 1500, .in_attach = 20, .in_detach = 0, .in_recovery = 800},
          .needs = {.kills_in_recovery = true}};
}

Scenario KillAll() {
  return {.name = "kill_all",
          .summary = "every process dies; a new generation opens the named segment",
          .workload = Mixed(KeyDistribution::kUniform, 256, {0, 4096, true}),
          .outside = OutsideKills::kAll,
          .outside_interval_us = 8000,
          .named_segment = true,
          .needs = {.generations = true}};
}

Scenario StopAndResume() {
  return {.name = "stop_and_resume",
          .summary = "processes are stopped for a while and resumed: they are slow, not dead",
          .workload = Mixed(KeyDistribution::kUniform, 256, kSmall),
          .timer = {.life_us = 6000},
          .stop_interval_us = 3000,
          .stop_us = 8000,
          .needs = {.stops = true}};
}

Scenario Churn() {
  return {.name = "churn",
          .summary = "participants come and go, and die while they come or go",
          .workload = Mixed(KeyDistribution::kUniform, 64, kSmall),
          .timer = {.life_us = 1500, .in_attach = 250, .in_detach = 250, .in_recovery = 20},
          .stays_operations = 40,
          .needs = {.kills_in_attach = true}};
}

Scenario FullSegment() {
  Workload workload = Mixed(KeyDistribution::kUniform, 1024, {0, 8192, false});
  return {
      .name = "full_segment",
      .summary = "the segment is full nearly all the time: writes are refused, and lose nothing",
      .workload = workload,
      .segment_bytes = 1u << 20,
      .timer = {.life_us = 2000, .in_attach = 20, .in_detach = 0, .in_recovery = 50},
      .needs = {.refusals = true}};
}

Scenario HotKey() {
  return {.name = "hot_key",
          .summary = "nearly all operations meet on one key",
          .workload = Mixed(KeyDistribution::kHotspot, 100, {8, 512, true}),
          .timer = {.life_us = 1500, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario LargeValues() {
  return {.name = "large_values",
          .summary = "values from nothing to 64 KiB, so that deaths fall into copies",
          .workload = Mixed(KeyDistribution::kUniform, 128, kSpread),
          .segment_bytes = 16u << 20,
          .timer = {.life_us = 3000, .in_attach = 10, .in_detach = 0, .in_recovery = 30}};
}

Scenario PidReuse() {
  return {.name = "pid_reuse",
          .summary = "a new process gets the PID of the one that has just died",
          .workload = Mixed(KeyDistribution::kUniform, 256, kSmall),
          .timer = {.life_us = 2000, .in_attach = 30, .in_detach = 0, .in_recovery = 30},
          .reuse_pids = true,
          .needs = {.reused_pids = true}};
}

Scenario ForkInherit() {
  return {.name = "fork_inherit",
          .summary = "forked children try their parent's handle; parents die while children live",
          .workload = Mixed(KeyDistribution::kUniform, 256, kSmall),
          .timer = {.life_us = 3000, .in_attach = 30, .in_detach = 0, .in_recovery = 30},
          .inherit_handle = true,
          .needs = {.inherited = true}};
}

Scenario FullTable() {
  return {.name = "full_table",
          .summary = "no participant to spare: whoever attaches finds the table full of the dead",
          .workload = Mixed(KeyDistribution::kUniform, 64, kSmall),
          .timer = {.life_us = 1500, .in_attach = 150, .in_detach = 50, .in_recovery = 0},
          .stays_operations = 200,
          .full_table = true,
          .needs = {.kills_in_attach = true}};
}

}  // namespace

std::span<const Scenario> AllScenarios() {
  static const std::vector<Scenario>* scenarios = new std::vector<Scenario>{
      Steady(),        KillOneAtATime(), KillStorm(),   KillRecoverer(), KillAll(),
      StopAndResume(), Churn(),          FullSegment(), HotKey(),        LargeValues(),
      PidReuse(),      ForkInherit(),    FullTable(),
  };
  return *scenarios;
}

const Scenario* FindScenario(std::string_view name) {
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace kill9
