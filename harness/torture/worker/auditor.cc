#include "harness/torture/worker/auditor.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/count_of.h"

namespace kill9 {
namespace {

std::string Describe(const AuditReport& report) {
  auto account = [](const AuditReport::Account& one) {
    return absl::StrCat(CountOf(one.blocks, "block"), " (", one.bytes, " bytes)");
  };
  return absl::StrCat("capacity ", account(report.capacity), " = free ", account(report.free),
                      " + live ", account(report.live), " + held ", account(report.held),
                      " + leaked ", account(report.leaked), "; doubly owned ", report.doubly_owned,
                      "; entries ", report.entries, "; participants ", report.participants);
}

uint32_t HoldsOfWorkers(const Control& control) {
  uint32_t held = 0;
  for (const WorkerBoard& board : control.boards) {
    if (board.attached.load(std::memory_order_relaxed) != 0) {
      held += board.held.load(std::memory_order_relaxed);
    }
  }
  return held;
}

void CheckRecovered(Client& client) {
  client.Recover();
  const RecoveryReport again = client.Recover();
  if (again.participants + again.blocks + again.rolled_back + again.rolled_forward == 0) return;
  client.Fail(
      Verdict::kAuditFailed,
      absl::StrCat("a second Recover of a quiet segment still found ",
                   CountOf(again.participants, "dead participant"), ", ",
                   CountOf(again.blocks, "block"), " and ",
                   CountOf(again.rolled_back + again.rolled_forward, "half-done operation")));
}

// What the dead held may be the room that was asked for.
void CheckRefusal(Client& client) {
  const bool is_refused = client.Fill();
  const uint64_t left = client.Recover().participants;
  client.RemoveFilling();
  if (!is_refused || left == 0) return;
  client.Fail(Verdict::kViolation, absl::StrCat("room was refused before ", left,
                                                " dead participants had been recovered"));
}

absl::StatusOr<AuditReport> AuditOf(Client& client) {
  client.Enter(Activity::kAuditing);
  absl::StatusOr<AuditReport> report = client.object().Audit();
  client.Enter(Activity::kBetween);
  client.Progress();
  return report;
}

// Of a participant too many: whether it stays. Its proof may go a moment after its death was told,
// or a design may never let go of it; the verdict is the same, and the reader wants to know.
std::string CountedLater(Client& client) {
  constexpr int kMilliseconds = 100;
  usleep(kMilliseconds * 1000);
  (void)client.object().Recover();
  const absl::StatusOr<AuditReport> again = AuditOf(client);
  return again.ok() ? absl::StrCat("; after ", kMilliseconds, " ms and a further Recover, ",
                                   again->participants)
                    : "";
}

AuditReport CheckAccount(Client& client, const char* when) {
  absl::StatusOr<AuditReport> report = AuditOf(client);
  Control& control = client.context().control();
  if (!report.ok()) {
    client.Fail(Verdict::kAuditFailed,
                absl::StrCat("Audit failed ", when, ": ", report.status().ToString()));
  }
  control.leaked_blocks.store(report->leaked.blocks, std::memory_order_relaxed);
  control.doubly_owned_blocks.store(report->doubly_owned, std::memory_order_relaxed);
  if (!report->violations.empty()) {
    if (report->violations.size() > 8) report->violations.resize(8);
    client.Fail(Verdict::kAuditFailed, absl::StrCat("the audit ", when, " found: ",
                                                    absl::StrJoin(report->violations, "; "), " [",
                                                    Describe(*report), "]"));
  }
  if (report->doubly_owned != 0) {
    client.Fail(Verdict::kAuditFailed,
                absl::StrCat("blocks are owned twice ", when, ": ", Describe(*report)));
  }
  const auto sum = [&report](auto field) {
    return report->free.*field + report->live.*field + report->held.*field;
  };
  if (report->leaked.blocks != 0 || report->leaked.bytes != 0 ||
      sum(&AuditReport::Account::blocks) != report->capacity.blocks ||
      sum(&AuditReport::Account::bytes) != report->capacity.bytes) {
    client.Fail(Verdict::kLeak,
                absl::StrCat("the account does not add up ", when, ": ", Describe(*report)));
  }
  if (report->held.blocks != 0 && HoldsOfWorkers(control) == 0) {
    client.Fail(Verdict::kLeak,
                absl::StrCat("blocks are held ", when, " though no living participant ",
                             "holds any: ", Describe(*report)));
  }
  const uint32_t expected = control.expected_participants.load(std::memory_order_acquire);
  // Who does not tell whom it recovered does not count who is attached either.
  const bool counts = client.context().design.object_traits().tells_recovered;
  if (counts && report->participants != expected) {
    client.Fail(Verdict::kLeak,
                absl::StrCat(CountOf(report->participants, "participant"), " counted ", when,
                             ", though ", expected, " attached", CountedLater(client)));
  }
  return *std::move(report);
}

void CheckFilling(Client& client) {
  if (client.Fill()) {
    client.context().control().fills.fetch_add(1, std::memory_order_relaxed);
  }
  CheckAccount(client, "of the full segment");
  client.RemoveFilling();
  CheckAccount(client, "after filling the segment");
}

void CheckEmptying(Client& client) {
  client.Empty();
  const AuditReport report = CheckAccount(client, "of the emptied segment");
  if (!client.Empties()) return;
  const uint64_t stay = client.HoldsStay() ? HoldsOfWorkers(client.context().control()) : 0;
  if (report.entries > stay) {
    client.Fail(Verdict::kAuditFailed,
                absl::StrCat("entries left after all were removed: ", report.entries));
  }
  const RunContext& context = client.context();
  if (!context.design.object_traits().lossless || HoldsOfWorkers(context.control()) != 0) return;
  if (report.free.blocks != report.capacity.blocks || report.free.bytes != report.capacity.bytes) {
    client.Fail(Verdict::kLeak,
                absl::StrCat("not all of the emptied segment is free: ", Describe(report)));
  }
}

}  // namespace

void RunAudit(Client& client, AuditDepth depth) {
  Control& control = client.context().control();
  const uint64_t begin = MonotonicNs();
  const ObjectTraits& traits = client.context().design.object_traits();
  const bool fills = traits.has_audit && traits.lossless && traits.bounded;
  if (fills && depth != AuditDepth::kAccount && client.RecoversBeforeRefusal())
    CheckRefusal(client);
  CheckRecovered(client);
  if (traits.has_audit) CheckAccount(client, "after recovery");
  client.Visit();
  if (fills && depth != AuditDepth::kAccount) CheckFilling(client);
  if (traits.has_audit && depth == AuditDepth::kEmpty) CheckEmptying(client);
  control.audits.fetch_add(1, std::memory_order_relaxed);
  control.last_audit_ns.store(MonotonicNs() - begin, std::memory_order_relaxed);
}

}  // namespace kill9
