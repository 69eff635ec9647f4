#include "stress/command/campaign/gate_memory.h"

#ifdef KILL9_HAVE_SQLITE
#include <ctime>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "harness/campaign/campaign.h"
#include "harness/result/result.h"
#endif

namespace kill9 {

#ifdef KILL9_HAVE_SQLITE

namespace {

using campaign::Campaign;

// Of a result's time ("2026-11-29T18:01:36Z").
int64_t UnixTimeUsOf(const std::string& text) {
  std::tm parts{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return 0;
  return int64_t{timegm(&parts)} * 1'000'000;
}

}  // namespace

absl::StatusOr<gate::PassHistory> PassHistoryOf(const std::string& campaign_file) {
  absl::StatusOr<std::unique_ptr<Campaign>> all =
      Campaign::Open(campaign_file, Campaign::Mode::kCreate);
  if (!all.ok()) return all.status();
  const absl::StatusOr<std::vector<campaign::StoredRun>> runs = (*all)->Runs();
  if (!runs.ok()) return runs.status();
  // As a gate does: what passed is a step of which nothing failed.
  struct Ran {
    gate::GateStep step;
    bool passed = true;
  };
  std::map<std::pair<std::string, std::string>, Ran> of_time_and_step;
  for (const campaign::StoredRun& run : *runs) {
    gate::GateStep step = gate::StepOf(run.cell.kind, run.cell.object, run.cell.name);
    Ran& ran = of_time_and_step[{run.started_at, step.Id()}];
    ran.step = std::move(step);
    ran.passed = ran.passed && run.answer == campaign::Answer::kGood;
  }
  gate::PassHistory history;
  for (const auto& [key, ran] : of_time_and_step) {  // the oldest first
    if (ran.passed) history.Passed(ran.step, UnixTimeUsOf(key.first));
  }
  return history;
}

absl::Status AddToCampaign(const std::string& campaign_file, const Json& result) {
  absl::StatusOr<std::unique_ptr<Campaign>> all =
      Campaign::Open(campaign_file, Campaign::Mode::kCreate);
  if (!all.ok()) return all.status();
  return (*all)->Add(result).status();
}

#else

namespace {

absl::Status WithoutSqlite() {
  return absl::FailedPreconditionError(
      "--campaign: this kill9 was built without SQLite (package libsqlite3-dev)");
}

}  // namespace

absl::StatusOr<gate::PassHistory> PassHistoryOf(const std::string&) { return WithoutSqlite(); }
absl::Status AddToCampaign(const std::string&, const Json&) { return WithoutSqlite(); }

#endif

}  // namespace kill9
