#include "harness/result/verdict.h"

#include <cstdlib>

namespace kill9 {

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kViolation:
      return "violation";
    case Verdict::kAuditFailed:
      return "audit_failed";
    case Verdict::kLeak:
      return "leak";
    case Verdict::kStuck:
      return "stuck";
    case Verdict::kSurvivorCrashed:
      return "survivor_crashed";
    case Verdict::kUndecided:
      return "undecided";
    case Verdict::kVacuous:
      return "vacuous";
    case Verdict::kSkipped:
      return "skipped";
  }
  std::abort();
}

std::optional<Verdict> FindVerdict(std::string_view name) {
  for (int n = 0; n <= static_cast<int>(Verdict::kSkipped); ++n) {
    const Verdict verdict = static_cast<Verdict>(n);
    if (VerdictName(verdict) == name) return verdict;
  }
  return std::nullopt;
}

int ExitCode(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
    case Verdict::kSkipped:
      return kExitPass;
    case Verdict::kUndecided:
    case Verdict::kVacuous:
      return kExitUndecided;
    default:
      return kExitFailed;
  }
}

int WorseExitCode(int a, int b) {
  auto rank = [](int code) {
    switch (code) {
      case kExitPass:
        return 0;
      case kExitUndecided:
        return 1;
      case kExitFailed:
        return 3;
      default:
        return 2;
    }
  };
  return rank(a) >= rank(b) ? a : b;
}

}  // namespace kill9
