#include "harness/result/merge.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "harness/result/schema/schema.h"
#include "harness/result/shard.h"
#include "harness/result/verdict.h"

namespace kill9 {
namespace {

struct Part {
  const ShardResult* result;
  Shard shard;
  std::vector<std::string> units;
};

absl::Status Refuse(const Part& a, const Part& b, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", a.result->file, "' and '", b.result->file, "' ", std::string(why)));
}

std::optional<uint32_t> CountIn(const Json& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  const uint64_t count = found->get<uint64_t>();
  if (count == 0 || count > kMostShards) return std::nullopt;
  return static_cast<uint32_t>(count);
}

absl::StatusOr<Part> AsPart(const ShardResult& result) {
  const auto broken = [&result](std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", result.file, "' is no result of a shard: ", std::string(what)));
  };
  const Json& json = result.json;
  if (const std::string why = WhyNoResult(json); !why.empty()) return broken("it " + why);
  const auto described = json.find("shard");
  if (described == json.end() || !described->is_object()) {
    return broken("it was made without --shard");
  }
  Part part{.result = &result, .shard = {}, .units = {}};
  const std::optional<uint32_t> index = CountIn(*described, "index");
  const std::optional<uint32_t> of = CountIn(*described, "of");
  const auto units = described->find("units");
  if (!index || !of || *index > *of || units == described->end() || !units->is_array()) {
    return broken("its field 'shard' is damaged");
  }
  part.shard = {*index, *of};
  for (const Json& unit : *units) {
    if (!unit.is_string()) return broken("its field 'shard' is damaged");
    part.units.push_back(unit.get<std::string>());
  }
  const std::set<std::string> known(part.units.begin(), part.units.end());
  for (const Json& run : json["runs"]) {
    const std::string unit = TextField(run, "unit");
    if (!known.contains(unit)) return broken(absl::StrCat("it has no unit '", unit, "'"));
  }
  return part;
}

absl::Status CheckAlike(const Part& a, const Part& b) {
  const Json& left = a.result->json;
  const Json& right = b.result->json;
  const auto differ = [&](const char* field) {
    return left.value(field, Json()) != right.value(field, Json());
  };
  if (a.shard.of != b.shard.of || a.units != b.units || differ("kind") || differ("seed") ||
      differ("options")) {
    return Refuse(a, b,
                  "are not shards of one run: kind, seed, options, units or their "
                  "number differ");
  }
  if (a.shard.index == b.shard.index) {
    return Refuse(a, b, absl::StrCat("are both shard ", a.shard.index, "/", a.shard.of));
  }
  if (differ("build")) return Refuse(a, b, "were made by different builds");
  const auto instructions = [](const Json& json) {
    return TextField(json.value("host", Json::object()), "string_instructions");
  };
  if (instructions(left) != instructions(right)) {
    return Refuse(a, b, "were made on processors with different string instructions");
  }
  return absl::OkStatus();
}

Json WithoutRun(const Part& any, const std::string& unit, const std::string& reason) {
  const std::string kind = TextField(any.result->json, "kind");
  const size_t space = unit.find(' ');
  Json run = {{"variant", unit.substr(0, space)}};
  if (space != std::string::npos) run["scenario"] = unit.substr(space + 1);
  if (kind == "planted") run = {{"name", unit}};
  if (kind == "gate") {  // the Id() of a step
    const std::vector<std::string> words = absl::StrSplit(unit, absl::MaxSplits(':', 2));
    run = {{"tier", words[0]}};
    if (words.size() == 3) run.update({{"variant", words[1]}, {"scenario", words[2]}});
  }
  run["verdict"] = "undecided";
  run["reason"] = reason;
  return run;
}

double NumberOf(const Json& json, const char* field) {
  const auto found = json.find(field);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

constexpr const char* kInstructionCounts[] = {"instructions_executed", "instructions_killed_at",
                                              "instructions_spoken_for",
                                              "instructions_outside_the_store"};

// The kill coverage of one design, put together (the sweep's AddLineSets).
class Coverage {
 public:
  void Add(const Json& part) {
    if (first_.is_null()) first_ = part;
    for (const char* field : kInstructionCounts) counts_[field] += NumberOf(part, field);
    const Json files = part.value("line_sets", Json::object());
    for (const auto& [file, sets] : files.items()) {
      for (const auto& [name, lines] : sets.items()) {
        for (const Json& line : lines) files_[file][name].insert(NumberIn(line));
      }
    }
  }

  Json Figures() {
    Json figures = first_;
    // What cannot be added up.
    for (const char* field :
         {"addresses", "addresses_killed_at", "addresses_covered", "line_sets"}) {
      figures.erase(field);
    }
    for (const char* field : kInstructionCounts) {
      figures[field] = static_cast<uint64_t>(counts_[field]);
    }
    const double executed = counts_["instructions_executed"];
    const double killed = counts_["instructions_killed_at"];
    if (executed > 0) {
      figures["kill_coverage"] = (killed + counts_["instructions_spoken_for"]) / executed;
      figures["kill_coverage_direct"] = killed / executed;
    }
    uint64_t with_code = 0, reached = 0, killed_at = 0, covered = 0;
    Json never = Json::object();
    for (auto& [file, sets] : files_) {
      with_code += sets["with_code"].size();
      reached += sets["reached"].size();
      killed_at += sets["killed_at"].size();
      covered += sets["covered"].size();
      for (const int64_t line : sets["with_code"]) {
        if (!sets["reached"].contains(line)) never[file].push_back(line);
      }
    }
    figures["lines_with_code"] = with_code;
    figures["lines_reached"] = reached;
    figures["lines_killed_at"] = killed_at;
    figures["lines_covered"] = covered;
    figures["lines_never_reached"] = std::move(never);
    return figures;
  }

 private:
  static int64_t NumberIn(const Json& json) {
    return json.is_number_integer() ? json.get<int64_t>() : 0;
  }

  Json first_;
  std::map<std::string, double> counts_;
  std::map<std::string, std::map<std::string, std::set<int64_t>>> files_;  // by file and set
};

Json MergedCoverage(std::span<const Part> parts) {
  std::map<std::string, Coverage> by_variant;
  for (const Part& part : parts) {
    for (const Json& one : part.result->json.value("coverage", Json::array())) {
      by_variant[TextField(one, "variant")].Add(one);
    }
  }
  Json coverage = Json::array();
  for (auto& [variant, one] : by_variant) coverage.push_back(one.Figures());
  return coverage;
}

// What a kind says of the whole besides its runs.
void MergeFrame(std::span<const Part> parts, bool all_there, Json* merged) {
  Json hosts = Json::array();
  double seconds = 0, kill_points = 0;
  bool interrupted = !all_there;
  for (const Part& part : parts) {
    const Json& json = part.result->json;
    (*merged)["started_at"] =
        std::min(TextField(*merged, "started_at"), TextField(json, "started_at"));
    if (std::find(hosts.begin(), hosts.end(), json["host"]) == hosts.end()) {
      hosts.push_back(json["host"]);
    }
    seconds += NumberOf(json, "seconds");
    kill_points += NumberOf(json, "kill_points");
    interrupted = interrupted || json.value("interrupted", Json(false)) == Json(true);
  }
  (*merged)["merged_shards"] = parts.size();
  if (hosts.size() > 1) (*merged)["hosts"] = std::move(hosts);
  if (merged->contains("interrupted")) (*merged)["interrupted"] = interrupted;
  if (merged->contains("kill_points")) {
    (*merged)["seconds"] = seconds;
    (*merged)["kill_points"] = static_cast<uint64_t>(kill_points);
    (*merged)["kill_points_per_second"] = seconds > 0 ? kill_points / seconds : 0;
  }
  if (merged->contains("coverage")) (*merged)["coverage"] = MergedCoverage(parts);
}

// As the gate itself answers.
void ConcludeGate(double seconds, Json* merged) {
  GateCount count;
  for (const Json& run : (*merged)["runs"]) {
    count.Add(VerdictOf(run).value_or(Verdict::kUndecided));
  }
  const int exit_code = count.exit_code((*merged)["interrupted"] == Json(true));
  (*merged)["seconds"] = seconds;
  (*merged)["exit_code"] = exit_code;
  (*merged)["conclusion"] = count.Conclusion(exit_code);
  merged->erase("needed_budget_seconds");  // of one shard's machine
}

}  // namespace

void GateCount::Add(Verdict verdict) {
  const int code = ExitCode(verdict);
  passed += verdict == Verdict::kPass;
  wrong += code == kExitFailed;
  undecided += code == kExitUndecided;
}

int GateCount::exit_code(bool interrupted) const {
  if (wrong > 0) return kExitFailed;
  return passed == 0 || undecided > 0 || interrupted ? kExitUndecided : kExitPass;
}

std::string GateCount::Conclusion(int exit_code) const {
  if (exit_code == kExitPass) return "the gate is open: pass";
  if (wrong + undecided == 0) return "the gate is closed: nothing passed";
  return absl::StrCat("the gate is closed: ", wrong, " wrong, ", undecided, " undecided");
}

absl::StatusOr<Json> MergeShards(std::span<const ShardResult> shards) try {
  if (shards.empty()) return absl::InvalidArgumentError("there is no result of a shard");
  std::vector<Part> parts;
  for (const ShardResult& shard : shards) {
    absl::StatusOr<Part> part = AsPart(shard);
    if (!part.ok()) return part.status();
    for (const Part& other : parts) {
      if (absl::Status status = CheckAlike(other, *part); !status.ok()) return status;
    }
    parts.push_back(*std::move(part));
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.shard.index < b.shard.index; });
  const Part& first = parts.front();
  std::map<std::string, std::vector<Json>> runs;
  for (const Part& part : parts) {
    for (Json run : part.result->json["runs"]) {
      const std::string unit = TextField(run, "unit");
      run.erase("unit");
      runs[unit].push_back(std::move(run));
    }
  }
  std::map<uint32_t, const Part*> by_index;
  for (const Part& part : parts) by_index[part.shard.index] = &part;
  std::map<std::string, std::string> missing;  // unit to reason
  for (uint32_t index = 1; index <= first.shard.of; ++index) {
    absl::StatusOr<std::vector<size_t>> share = ShareOf({index, first.shard.of}, first.units);
    if (!share.ok()) return share.status();
    for (const size_t unit : *share) {
      if (runs.contains(first.units[unit])) continue;
      missing[first.units[unit]] =
          absl::StrCat("shard ", index, "/", first.shard.of,
                       by_index.contains(index) ? " ended without it" : " is missing");
    }
  }
  Json merged = first.result->json;
  for (const char* of_one : {"shard", "to_continue"}) merged.erase(of_one);
  merged["command"] = CommandLineGiven();
  MergeFrame(parts, missing.empty(), &merged);
  merged["runs"] = Json::array();
  for (const std::string& unit : first.units) {
    for (Json& run : runs[unit]) merged["runs"].push_back(std::move(run));
    if (const auto none = missing.find(unit); none != missing.end()) {
      merged["runs"].push_back(WithoutRun(first, unit, none->second));
    }
  }
  if (TextField(merged, "kind") == "gate") {
    double seconds = 0;
    for (const Part& part : parts) seconds += NumberOf(part.result->json, "seconds");
    ConcludeGate(seconds, &merged);
  }
  return merged;
} catch (const Json::exception& error) {
  return absl::InvalidArgumentError(
      absl::StrCat("a field is not as kill9 writes it: ", error.what()));
}

}  // namespace kill9
