#include "harness/explore/search/table.h"

#include <unistd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/stepper/trace/symbols.h"

namespace kill9::explore {
namespace {

constexpr size_t kColumn = 56;

std::string Place(const Step& step, const stepper::Symbols& symbols) {
  // The call's return address: the line is that of the instruction before it.
  const stepper::SourceLine line = symbols.LineOfOurs(step.code - 1);
  if (line.file.empty()) return "?";
  return absl::StrCat(line.file.substr(line.file.rfind('/') + 1), ":", line.line);
}

std::string Remark(const Step& step) {
  return step.what == nullptr ? "" : absl::StrCat(" ", step.what);
}

std::string Text(const Step& step, const stepper::Symbols& symbols) {
  switch (step.kind) {
    case AccessKind::kRead:
      return absl::StrFormat("%s reads +%d: %x%s", Place(step, symbols), step.offset, step.value,
                             Remark(step));
    case AccessKind::kWrite:
      return absl::StrFormat("%s writes +%d: %x%s", Place(step, symbols), step.offset, step.value,
                             Remark(step));
    case AccessKind::kUpdate:
      return absl::StrFormat("%s +%d: %x -> %x%s", Place(step, symbols), step.offset, step.value,
                             step.written, Remark(step));
    case AccessKind::kDeath:
      return "======== dies ========";
    case AccessKind::kEvent:
      return absl::StrCat("(kernel) ", step.what);
    case AccessKind::kDrain:
      return absl::StrFormat("(buffer) +%d: %x %s", step.offset, step.value, step.what);
    default:
      return absl::StrCat("-- ", step.what == nullptr ? "" : step.what, " --");
  }
}

}  // namespace

std::string RenderTable(std::span<const Step> steps, int participants) {
  const stepper::Symbols symbols(getpid());
  std::map<uint64_t, uint32_t> touched;  // a bit for each participant
  for (const Step& step : steps) {
    if (IsAccess(step.kind)) touched[step.offset / 8] |= 1u << step.fiber;
  }
  std::string text = "  step";
  for (int i = 0; i < participants; ++i) {
    absl::StrAppend(&text, "  ", std::string(1, static_cast<char>('a' + i)),
                    std::string(kColumn - 1, ' '));
  }
  text += "\n";
  size_t left_out = 0, number = 0;
  const auto tell_left_out = [&] {
    if (left_out > 0) absl::StrAppendFormat(&text, "        ... %d of its own words\n", left_out);
    left_out = 0;
  };
  for (const Step& step : steps) {
    if (step.kind == AccessKind::kKernel) continue;
    ++number;
    if (IsAccess(step.kind)) {
      const uint32_t who = touched[step.offset / 8];
      if ((who & (who - 1)) == 0) {
        ++left_out;
        continue;
      }
    }
    tell_left_out();
    absl::StrAppendFormat(&text, "%6d  %s%s\n", number,
                          std::string(static_cast<size_t>(step.fiber) * (kColumn + 2), ' '),
                          Text(step, symbols));
  }
  tell_left_out();
  return text;
}

}  // namespace kill9::explore
