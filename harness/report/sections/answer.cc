#include "harness/report/sections/answer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "harness/base/text/percent.h"
#include "harness/report/compare.h"
#include "harness/report/sections/roles.h"
#include "harness/report/sections/sections.h"

namespace kill9::report {
namespace {

struct Interval {
  double low, median, high;
};
using MaybeInterval = std::optional<Interval>;

// A figure without rounds is better if it is by this.
constexpr double kOneFigureOnly = 0.05;
constexpr int kFewestCases = 4;  // of which a mean says more than one figure does

MaybeInterval SpreadOf(const Json* run, std::string_view field) {
  const Json* spread = run != nullptr ? Find(*run, {field}) : nullptr;
  if (spread == nullptr || Number(*spread, "median", -1) < 0) return std::nullopt;
  return Interval{Number(*spread, "low"), Number(*spread, "median"), Number(*spread, "high")};
}

MaybeInterval Room(const Results& results, const std::string& name) {
  for (const Run& run : results.Of("store_benchmark", "measure", "room")) {
    if (Text(*run.json, "subject") != name || Number(*run.json, "value_bytes") != 64) continue;
    const double bytes = Number(*run.json, "overhead_bytes_per_entry");
    return Interval{bytes * (1 - kOneFigureOnly), bytes, bytes * (1 + kOneFigureOnly)};
  }
  return std::nullopt;
}

MaybeInterval Reads(const Results& results, const std::string& name) {
  return SpreadOf(SpeedOf(results, name, 95), "ratio");
}
MaybeInterval Writes(const Results& results, const std::string& name) {
  return SpreadOf(SpeedOf(results, name, 50), "ratio");
}
MaybeInterval OneByOne(const Results& results, const std::string& name) {
  return SpreadOf(ChannelRunOf(results, "stream", name, "batch", "1"), "ratio_to_bare_ring");
}
MaybeInterval InBatches(const Results& results, const std::string& name) {
  return SpreadOf(ChannelRunOf(results, "stream", name, "batch", "64"), "ratio_to_bare_ring");
}
MaybeInterval RoundTrip(const Results& results, const std::string& name) {
  return SpreadOf(ChannelRunOf(results, "echo", name, "wait", "spinning"), "ratio_to_bare_ring");
}
MaybeInterval Wakening(const Results& results, const std::string& name) {
  return SpreadOf(ChannelRunOf(results, "echo", name, "wait", "sleeping"),
                  "ratio_to_bare_futex_ring");
}

// The medians of all cases with this share of reads, by what they are.
template <int kReads>
std::map<std::string, double> Cases(const Results& results, const std::string& name) {
  std::map<std::string, double> cases;
  for (const Run& run : results.Of("store_benchmark", "subject", name)) {
    const Json& json = *run.json;
    const double ratio = MedianOf(json, "ratio");
    if (Text(json, "measure") != "speed" || Number(json, "read_percent") != kReads || ratio <= 0) {
      continue;
    }
    cases[absl::StrCat(Text(json, "distribution"), ",", Text(json, "value_bytes"), ",",
                       Text(json, "processes"))] = ratio;
  }
  return cases;
}

struct Measure {
  const char* object;
  const char* condition;
  bool is_higher_better;
  const char* label;  // before the figure
  const char* unit;   // after the figure
  bool is_whole;      // the figure is told without its fraction
  MaybeInterval (*of)(const Results&, const std::string& name);
  std::map<std::string, double> (*cases)(const Results&, const std::string& name);
};
// The first one of a kind decides between those that no other one tells apart.
constexpr Measure kMeasures[] = {
    {"store", "nearly all operations are reads", true, "95 % reads at ", "of a bare table's speed",
     false, Reads, Cases<95>},
    {"store", "half of the operations are writes", true, "half writes at ",
     "of a bare table's speed", false, Writes, Cases<50>},
    {"store", "room counts", false, "", "bytes an entry", true, Room, nullptr},
    {"channel", "messages go one by one", true, "one by one at ", "of a bare ring's throughput",
     false, OneByOne, nullptr},
    {"channel", "messages go in batches", true, "in batches at ", "of a bare ring's throughput",
     false, InBatches, nullptr},
    {"channel", "round trips count", false, "a round trip takes ", "times a bare ring's", false,
     RoundTrip, nullptr},
    {"channel", "the receiver sleeps", false, "awakening takes ", "times a bare futex's", false,
     Wakening, nullptr},
};

std::vector<const Measure*> MeasuresOf(std::string_view object) {
  std::vector<const Measure*> measures;
  for (const Measure& measure : kMeasures) {
    if (measure.object == object) measures.push_back(&measure);
  }
  return measures;
}

std::string Told(const Measure& measure, double figure) {
  return measure.is_whole ? Short(std::round(figure)) : absl::StrFormat("%.2f", figure);
}
// "half writes at 0.66 of a bare table's speed".
std::string ToldInWords(const Measure& measure, double figure) {
  return absl::StrCat(measure.label, Told(measure, figure), " ", measure.unit);
}

bool AreApart(const Measure& measure, const Interval& a, const Interval& b) {
  return measure.is_higher_better ? a.low > b.high : a.high < b.low;
}

// As compare.h has it: one figure is better if the rounds' spreads are apart; many figures together
// are if their geometric mean is, by kMargin.
bool IsBetter(const Measure& measure, const Results& results, const std::string& a,
              const std::string& b) {
  const MaybeInterval of_a = measure.of(results, a);
  const MaybeInterval of_b = measure.of(results, b);
  if (!of_a.has_value() || !of_b.has_value()) return false;
  if (AreApart(measure, *of_a, *of_b)) return true;
  if (measure.cases == nullptr) return false;
  const std::map<std::string, double> others = measure.cases(results, b);
  double logarithms = 0;
  int count = 0;
  for (const auto& [name, ratio] : measure.cases(results, a)) {
    const auto other = others.find(name);
    if (other == others.end()) continue;
    logarithms += std::log(ratio / other->second);
    ++count;
  }
  return count >= kFewestCases && std::exp(logarithms / count) > kMargin;
}

double MedianFor(const Measure& measure, const Results& results, const std::string& name) {
  const MaybeInterval figure = measure.of(results, name);
  if (!figure.has_value()) return -HUGE_VAL;
  return measure.is_higher_better ? figure->median : -figure->median;
}

// What may be forgotten, of each kind.
std::string Forgets(std::string_view object) {
  if (object == "store") return "entries may be forgotten";
  return object == "channel" ? "messages may be missed" : "not everything must be kept";
}

struct Found {
  std::string name, verdict, link;
};

// What is said of one kind.
class Answer {
 public:
  Answer(const Results& results, const std::string& object, const std::vector<std::string>& names)
      : results_(results), object_(object), measures_(MeasuresOf(object)) {
    for (const std::string& name : names) Sort(name);
    Choose();
  }

  List Words() const {
    List list;
    list.items.push_back(Sentence());
    for (const std::string& name : leaders_) list.items.push_back(ReasonsOf(name));
    for (const auto& [name, measures] : alternatives_) {
      list.items.push_back(ReasonsToChange(name, measures));
    }
    if (!forgetful_.empty()) list.items.push_back(ReasonsOf(forgetful_[0]));
    if (!failed_.empty())
      list.items.push_back(All("Failed, and no choice however fast: ", failed_));
    if (!undecided_.empty()) list.items.push_back(All("Not decided, so no choice: ", undecided_));
    return list;
  }

 private:
  void Sort(const std::string& name) {
    Found worst;
    for (const char* tier : {"torture", "sweep", "explore"}) {
      const WorstRun run = WorstRunOf(results_, tier, name);
      if (Worse(worst.verdict, run.verdict) != worst.verdict) worst = {name, run.verdict, run.link};
    }
    if (Badness(worst.verdict) > 0) {
      (MarkOf(worst.verdict) == Mark::kBad ? failed_ : undecided_).push_back(worst);
      return;
    }
    if (worst.verdict != "pass" || RoleOf(results_, name) == Role::kBaseline) return;
    passed_.push_back(name);
    const Json* lossless = Find(results_.DesignOf(name), {"lossless"});
    const bool forgets = lossless != nullptr && *lossless == false;
    (forgets ? forgetful_ : keepers_).push_back(name);
  }

  void Choose() {
    SortByFirstMeasure(&forgetful_);
    SortByFirstMeasure(&keepers_);
    std::vector<std::string> pool = keepers_;
    std::erase_if(pool, [&](const auto& name) { return BlockedByAnything(results_, name) != 0; });
    if (pool.empty()) pool = keepers_;
    if (pool.empty()) return;
    for (const std::string& name : pool) {
      if (IsEqual(name, pool[0])) leaders_.push_back(name);
    }
    for (const Measure* measure : measures_) FindBetter(*measure);
  }

  // By the first measure; what has none equals what has none.
  bool IsEqual(const std::string& name, const std::string& best) const {
    if (measures_.empty()) return true;
    const bool is_alike = measures_[0]->of(results_, name).has_value() ==
                          measures_[0]->of(results_, best).has_value();
    return is_alike && !IsBetter(*measures_[0], results_, best, name);
  }

  void SortByFirstMeasure(std::vector<std::string>* names) const {
    if (measures_.empty()) return;
    std::stable_sort(names->begin(), names->end(), [&](const auto& a, const auto& b) {
      return MedianFor(*measures_[0], results_, a) > MedianFor(*measures_[0], results_, b);
    });
  }

  // Of those that are better than every leader: the best; of equals who is an alternative already.
  void FindBetter(const Measure& measure) {
    std::string best;
    for (const std::string& name : keepers_) {
      const bool is_better = std::all_of(
          leaders_.begin(), leaders_.end(),
          [&](const std::string& leader) { return IsBetter(measure, results_, name, leader); });
      if (!is_better) continue;
      const bool is_known = std::any_of(alternatives_.begin(), alternatives_.end(),
                                        [&](const auto& one) { return one.first == name; });
      if (best.empty() || IsBetter(measure, results_, name, best) ||
          (is_known && !IsBetter(measure, results_, best, name))) {
        best = name;
      }
    }
    if (best.empty()) return;
    const auto known = std::find_if(alternatives_.begin(), alternatives_.end(),
                                    [&](const auto& one) { return one.first == best; });
    if (known != alternatives_.end()) {
      known->second.push_back(&measure);
    } else {
      alternatives_.push_back({best, {&measure}});
    }
  }

  static Span Strong(const std::string& name) {
    Span span(name);
    span.is_strong = true;
    return span;
  }

  // "Stores: cas_slots; striped_locks if half of the operations are writes; ..."
  std::vector<Span> Sentence() const {
    std::string kind = object_.empty() ? "Others" : absl::StrCat(object_, "s");
    kind[0] = absl::ascii_toupper(kind[0]);
    std::vector<Span> words = {absl::StrCat(kind, ": ")};
    if (passed_.empty()) {
      words.push_back("nothing that was tested has passed, so nothing can be recommended.");
      return words;
    }
    for (size_t i = 0; i < leaders_.size(); ++i) {
      if (i > 0) words.push_back(i + 1 == leaders_.size() ? " or " : ", ");
      words.push_back(Strong(leaders_[i]));
    }
    if (leaders_.size() > 1) words.push_back(" (no figure here tells them apart)");
    for (const auto& [name, measures] : alternatives_) {
      words.push_back("; ");
      words.push_back(Strong(name));
      words.push_back(absl::StrCat(" if ", Conditions(measures)));
    }
    if (!forgetful_.empty()) {
      if (words.size() > 1) words.push_back("; ");
      words.push_back(Strong(forgetful_[0]));
      words.push_back(absl::StrCat(" if ", Forgets(object_)));
    }
    words.push_back(".");
    return words;
  }

  static std::string Conditions(const std::vector<const Measure*>& measures) {
    return absl::StrJoin(measures, " or ", [](std::string* out, const Measure* measure) {
      absl::StrAppend(out, measure->condition);
    });
  }

  std::string BlockedText(const std::string& name) const {
    const double blocked = BlockedByAnything(results_, name);
    if (blocked < 0) return "";
    if (blocked == 0) return "Whoever is stopped, anywhere, keeps nobody waiting. ";
    return absl::StrCat("Whoever is stopped keeps others waiting at up to ", Percent(blocked),
                        " of the instructions of an operation. ");
  }

  // Its kills, whom it keeps waiting, and its figures.
  std::vector<Span> ReasonsOf(const std::string& name) const {
    std::string text = absl::StrCat(": passed with ", Short(TotalKills(results_, name)), " kills. ",
                                    BlockedText(name));
    std::vector<std::string> figures;
    for (const Measure* measure : measures_) {
      const MaybeInterval figure = measure->of(results_, name);
      if (!figure.has_value()) continue;
      figures.push_back(ToldInWords(*measure, figure->median));
    }
    if (!figures.empty()) absl::StrAppend(&text, "Measured: ", absl::StrJoin(figures, ", "), ".");
    absl::StripTrailingAsciiWhitespace(&text);
    return {Strong(name), text};
  }

  std::vector<Span> ReasonsToChange(const std::string& name,
                                    const std::vector<const Measure*>& measures) const {
    std::string text = absl::StrCat(": passed with ", Short(TotalKills(results_, name)), " kills. ",
                                    BlockedText(name));
    std::vector<std::string> better, worse;
    for (const Measure* measure : measures) better.push_back(BesideLeader(*measure, name));
    for (const Measure* measure : measures_) {
      if (IsBetter(*measure, results_, leaders_[0], name)) {
        worse.push_back(BesideLeader(*measure, name));
      }
    }
    absl::StrAppend(&text, "Better: ", absl::StrJoin(better, ", "), ".");
    if (!worse.empty()) absl::StrAppend(&text, " Worse: ", absl::StrJoin(worse, ", "), ".");
    absl::StripTrailingAsciiWhitespace(&text);
    return {Strong(name), text};
  }

  // "53 bytes an entry (cas_slots: 69)".
  std::string BesideLeader(const Measure& measure, const std::string& name) const {
    return absl::StrCat(ToldInWords(measure, measure.of(results_, name)->median), " (", leaders_[0],
                        ": ", Told(measure, measure.of(results_, leaders_[0])->median), ")");
  }

  static std::vector<Span> All(std::string_view title, const std::vector<Found>& all) {
    std::vector<Span> words = {std::string(title)};
    for (size_t i = 0; i < all.size(); ++i) {
      if (i > 0) words.push_back(", ");
      words.push_back(Strong(all[i].name));
      words.push_back(" (");
      words.push_back(Span(all[i].verdict, all[i].link));
      words.push_back(")");
    }
    words.push_back(".");
    return words;
  }

  const Results& results_;
  const std::string object_;
  const std::vector<const Measure*> measures_;
  std::vector<std::string> passed_, keepers_, forgetful_;
  std::vector<Found> failed_, undecided_;
  std::vector<std::string> leaders_;  // the best by the first measure, and who equals it
  std::vector<std::pair<std::string, std::vector<const Measure*>>> alternatives_;
};

}  // namespace

double BlockedByAnything(const Results& results, const std::string& name) {
  const Json* claims = Find(results.DesignOf(name), {"claims"});
  double worst = -1;
  if (claims == nullptr || !claims->is_array()) return worst;
  for (const Json& claim : *claims) {
    for (const std::string& probe : Strings(claim, "probes")) {
      worst = std::max(worst, BlockedAnywhere(results, name, probe));
    }
  }
  return worst;
}

double TotalKills(const Results& results, const std::string& variant) {
  double kills = 0;
  for (const char* kind : {"torture", "sweep"}) {
    for (const Run& run : results.Of(kind, "variant", variant)) {
      if (const Json* counts = Find(*run.json, {"kills"}); counts != nullptr) {
        kills += Number(*counts, "total");
      }
    }
  }
  return kills;
}

List AnswerOf(const Results& results, const std::string& object,
              const std::vector<std::string>& names) {
  return Answer(results, object, names).Words();
}

}  // namespace kill9::report
