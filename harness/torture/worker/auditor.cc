#include "harness/torture/worker/auditor.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kill9 {
namespace {

std::string Describe(const AuditReport& report) {
  auto account = [](const AuditReport::Account& one) {
    return absl::StrCat(one.blocks, " blocks (", one.bytes, " bytes)");
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
  client.Fail(Verdict::kAuditFailed,
              absl::StrCat("a second Recover of a quiet segment still found ", again.participants,
                           " dead participants, ", again.blocks, " blocks and ",
                           again.rolled_back + again.rolled_forward, " half-done operations"));
}

AuditReport CheckAccount(Client& client, const char* when) {
  client.Enter(Activity::kAuditing);
  absl::StatusOr<AuditReport> report = client.store().Audit();
  client.Enter(Activity::kBetween);
  client.Progress();
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
  if (report->participants != expected) {
    client.Fail(Verdict::kLeak, absl::StrCat(report->participants, " participants are counted ",
                                             when, " though ", expected, " are attached"));
  }
  return *std::move(report);
}

// Puts ever smaller values under keys of the auditor's own until the smallest is refused; removes
// them.
void CheckFilling(Client& client) {
  const uint64_t first = client.context().keys.workload_keys();
  Control& control = client.context().control();
  uint64_t filled = 0;
  bool full = false;
  const size_t largest = std::min<size_t>(client.store().max_value_bytes(), 256u << 10);
  for (size_t size = largest; filled < kFillKeys; size /= 8) {
    while (filled < kFillKeys && client.Put(first + filled, static_cast<uint32_t>(size))) ++filled;
    if (size < kSmallestNamedValue) {
      full = filled < kFillKeys;
      break;
    }
  }
  if (full) control.fills.fetch_add(1, std::memory_order_relaxed);
  control.filled_keys.fetch_add(filled, std::memory_order_relaxed);
  CheckAccount(client, "of the full segment");
  for (uint64_t i = 0; i < filled; ++i) {
    if (!client.Erase(first + i) && client.context().variant.traits().lossless) {
      client.Fail(Verdict::kViolation,
                  absl::StrCat("fill key ", i, " of ", filled, ", just put, was gone"));
    }
  }
  CheckAccount(client, "after filling the segment");
}

void CheckEmptying(Client& client) {
  const RunContext& context = client.context();
  for (uint64_t key = 0; key < context.keys.workload_keys(); ++key) {
    client.Erase(key);
    KeyBoard& board = context.memory.key(key);
    // Relaxed: the segment is quiet, and the pause that ends orders it before the workers' next
    // operations.
    board.emptied_at.store(board.floor.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  const AuditReport report = CheckAccount(client, "of the emptied segment");
  if (report.entries != 0) {
    client.Fail(Verdict::kAuditFailed,
                absl::StrCat(report.entries, " keys are left after every key was erased"));
  }
  if (!context.variant.traits().lossless || HoldsOfWorkers(context.control()) != 0) return;
  if (report.free.blocks != report.capacity.blocks || report.free.bytes != report.capacity.bytes) {
    client.Fail(Verdict::kLeak,
                absl::StrCat("not all of the emptied segment is free: ", Describe(report)));
  }
}

}  // namespace

void RunAudit(Client& client, AuditDepth depth) {
  Control& control = client.context().control();
  const uint64_t begin = MonotonicNs();
  CheckRecovered(client);
  const Traits& traits = client.context().variant.traits();
  if (traits.has_audit) CheckAccount(client, "after recovery");
  client.ForEach();
  if (traits.has_audit && traits.lossless && depth != AuditDepth::kAccount) CheckFilling(client);
  if (traits.has_audit && depth == AuditDepth::kEmpty) CheckEmptying(client);
  control.audits.fetch_add(1, std::memory_order_relaxed);
  control.last_audit_ns.store(MonotonicNs() - begin, std::memory_order_relaxed);
}

}  // namespace kill9
