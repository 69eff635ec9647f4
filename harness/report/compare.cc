#include "harness/report/compare.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/text/count_of.h"
#include "harness/base/text/percent.h"

namespace kill9::report {
namespace {

constexpr double kLeastShare = 0.01;  // of instructions: smaller changes are the compiler's

// One comparable figure.
struct Measured {
  double low = 0;
  double median = 0;
  double high = 0;
  bool more_is_better = true;
};
using MeasuredByName = std::map<std::string, Measured>;
using VerdictsByRun = std::map<std::string, std::string>;

void AddSpread(const Json& run, std::string_view field, const std::string& name,
               bool more_is_better, MeasuredByName* figures) {
  const Json* spread = Find(run, {field});
  if (spread == nullptr) return;
  (*figures)[name] = {Number(*spread, "low"), Number(*spread, "median"), Number(*spread, "high"),
                      more_is_better};
}

std::string CaseOf(const Json& run) {
  return absl::StrCat(Text(run, "subject"), ", ", Text(run, "read_percent"), " % reads, ",
                      Text(run, "distribution"), ", ", Text(run, "value_bytes"), " bytes, ",
                      Text(run, "processes"), " processes");
}

// The fields of a run of channel_benchmark that say which case it is.
std::string ChannelCaseOf(const Json& run) {
  std::string name = absl::StrCat(Text(run, "subject"), ", ", Text(run, "measure"));
  for (const char* field : {"batch", "message_bytes", "senders", "receivers", "wait"}) {
    if (!Text(run, field).empty()) absl::StrAppend(&name, ", ", field, " ", Text(run, field));
  }
  return name;
}

// The ratio to the reference is compared, not the rate: machines are disturbed as a whole. The
// reference itself is a bare table, and no design.
MeasuredByName SpeedOf(const Results& results) {
  MeasuredByName figures;
  for (const Run& run : results.Of("store_benchmark", "measure", "speed")) {
    if (Text(*run.json, "role") == "limit" || Text(*run.json, "role") == "threads") continue;
    AddSpread(*run.json, "ratio", CaseOf(*run.json), true, &figures);
  }
  for (const Run& run : results.Of("store_benchmark", "measure", "growth")) {
    if (Text(*run.json, "role") == "limit" || Text(*run.json, "role") == "threads") continue;
    for (const char* field : {"get_ns", "put_ns"}) {
      AddSpread(*run.json, field,
                absl::StrCat(Text(*run.json, "subject"), ", ", Text(*run.json, "entries"),
                             " entries, ", field),
                false, &figures);
    }
  }
  for (const Run& run : results.Of("channel_benchmark")) {
    if (Text(*run.json, "role") == "limit") continue;
    const bool is_time = Text(*run.json, "measure") == "echo";
    for (const char* field : {"ratio_to_bare_ring", "ratio_to_bare_futex_ring"}) {
      AddSpread(*run.json, field, ChannelCaseOf(*run.json), !is_time, &figures);
    }
  }
  return figures;
}

VerdictsByRun VerdictsOf(const Results& results) {
  VerdictsByRun verdicts;
  for (const char* kind : {"torture", "sweep"}) {
    for (const Run& run : results.Of(kind)) {
      std::string& verdict =
          verdicts[absl::StrCat(Text(*run.json, "variant"), ", ", Text(*run.json, "scenario"))];
      verdict = Worse(verdict, Text(*run.json, "verdict"));
    }
  }
  for (const Run& run : results.Of("planted")) {
    const bool good = Text(*run.json, "as_expected") == "true";
    verdicts[absl::StrCat("planted bug ", Text(*run.json, "name"))] = good ? "pass" : "missed";
  }
  return verdicts;
}

// Shares of instructions.
MeasuredByName SharesOf(const Results& results) {
  MeasuredByName figures;
  for (const Run& run : results.Of("sweep")) {
    const std::string cell =
        absl::StrCat(Text(*run.json, "variant"), ", ", Text(*run.json, "scenario"));
    if (run.json->contains("kill_coverage")) {
      const double share = Number(*run.json, "kill_coverage");
      figures[cell + ", kill coverage"] = {share, share, share, true};
    }
    for (const char* place : {"same_key", "same_stripe", "elsewhere"}) {
      const Json* share = Find(*run.json, {"stall", place});
      if (share == nullptr || !share->is_number()) continue;
      const double value = share->get<double>();
      figures[absl::StrCat(cell, ", blocked ", place)] = {value, value, value, false};
    }
  }
  return figures;
}

bool Apart(const Measured& a, const Measured& b) {
  const double gap = std::max(a.low - b.high, b.low - a.high);
  return gap > kLeastGap * std::max(a.high - a.low, b.high - b.low);
}

std::string Show(const Measured& one) {
  return absl::StrFormat("%.3g (%.3g to %.3g)", one.median, one.low, one.high);
}

void CompareSpeed(const MeasuredByName& before, const MeasuredByName& after,
                  Comparison* comparison) {
  struct Sum {
    double logarithms = 0;  // of how many times better
    size_t figures = 0;
  };
  std::map<std::string, Sum> subjects;
  for (const auto& [name, was] : before) {
    const auto found = after.find(name);
    if (found == after.end() || was.median <= 0) continue;
    const Measured& is = found->second;
    ++comparison->compared;
    if (is.median <= 0) {
      comparison->changes.push_back({Change::Kind::kWeaker, name, Show(was), "failed"});
      continue;
    }
    const double factor = was.more_is_better ? is.median / was.median : was.median / is.median;
    Sum& sum = subjects[name.substr(0, name.find(','))];
    sum.logarithms += std::log(factor);
    ++sum.figures;
    if (!Apart(was, is) || std::max(factor, 1 / factor) <= kMargin) continue;
    comparison->changes.push_back(
        {factor > 1 ? Change::Kind::kFaster : Change::Kind::kSlower, name, Show(was), Show(is)});
  }
  for (const auto& [subject, sum] : subjects) {
    const double factor = std::exp(sum.logarithms / static_cast<double>(sum.figures));
    if (sum.figures < 2 || std::max(factor, 1 / factor) <= kMargin) continue;
    comparison->changes.push_back(
        {factor > 1 ? Change::Kind::kFaster : Change::Kind::kSlower,
         absl::StrCat(subject, ", all its ", sum.figures, " figures together"), "1.00",
         absl::StrFormat("%.2f times as fast", factor)});
  }
}

void CompareShares(const MeasuredByName& before, const MeasuredByName& after,
                   Comparison* comparison) {
  for (const auto& [name, was] : before) {
    const auto found = after.find(name);
    if (found == after.end()) continue;
    ++comparison->compared;
    const double step = found->second.median - was.median;
    if (std::max(step, -step) < kLeastShare) continue;
    comparison->changes.push_back(
        {(step > 0) == was.more_is_better ? Change::Kind::kStronger : Change::Kind::kWeaker, name,
         Percent(was.median), Percent(found->second.median)});
  }
}

void CompareVerdicts(const VerdictsByRun& before, const VerdictsByRun& after,
                     Comparison* comparison) {
  for (const auto& [name, was] : before) {
    const auto found = after.find(name);
    if (found == after.end()) continue;
    ++comparison->compared;
    const int step = Badness(found->second) - Badness(was);
    if (step == 0) continue;
    comparison->changes.push_back(
        {step > 0 ? Change::Kind::kWeaker : Change::Kind::kStronger, name, was, found->second});
  }
}

// A set that has speed, or verdicts, of some variant at all must not lose single ones silently.
template <typename Map>
void FindGone(const Map& before, const Map& after, Comparison* comparison) {
  if (after.empty()) return;
  for (const auto& [name, was] : before) {
    if (!after.contains(name)) {
      comparison->changes.push_back({Change::Kind::kGone, name, "measured", "not measured"});
    }
  }
}

}  // namespace

Comparison Compare(const Results& before, const Results& after) {
  Comparison comparison;
  CompareSpeed(SpeedOf(before), SpeedOf(after), &comparison);
  CompareShares(SharesOf(before), SharesOf(after), &comparison);
  CompareVerdicts(VerdictsOf(before), VerdictsOf(after), &comparison);
  FindGone(SpeedOf(before), SpeedOf(after), &comparison);
  FindGone(VerdictsOf(before), VerdictsOf(after), &comparison);
  std::stable_sort(comparison.changes.begin(), comparison.changes.end(),
                   [](const Change& a, const Change& b) { return a.bad() && !b.bad(); });
  return comparison;
}

std::string Describe(const Comparison& comparison) {
  const auto name = [](Change::Kind kind) {
    switch (kind) {
      case Change::Kind::kSlower:
        return "slower  ";
      case Change::Kind::kFaster:
        return "faster  ";
      case Change::Kind::kWeaker:
        return "weaker  ";
      case Change::Kind::kStronger:
        return "stronger";
      case Change::Kind::kGone:
        return "gone    ";
    }
    return "";
  };
  std::string text;
  for (const Change& change : comparison.changes) {
    absl::StrAppend(&text, name(change.kind), "  ", change.what, ": ", change.from, " -> ",
                    change.to, "\n");
  }
  const auto bad = std::count_if(comparison.changes.begin(), comparison.changes.end(),
                                 [](const Change& change) { return change.bad(); });
  absl::StrAppend(&text, CountOf(comparison.compared, "figure"), " compared: ", bad,
                  " worse beyond noise, ", comparison.changes.size() - static_cast<size_t>(bad),
                  " better\n");
  return text;
}

}  // namespace kill9::report
