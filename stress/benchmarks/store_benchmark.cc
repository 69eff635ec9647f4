// Designs, peers, bare limits and thread maps side by side: throughput and latency, the machine's
// own limits, what a store costs as its entries grow, and the room that entries take. Real
// processes (threads where a map knows nothing else), pinned to the cores in turn; keys of 16
// bytes. Every subject is taken in turn within each round; ratios are taken within a round, medians
// over rounds.
//
//     store_benchmark [--parts=speed,limits,growth,room] [--subjects=a,b] [--reads=100,50]
//                     [--distributions=uniform,zipfian] [--value-bytes=64,4096] [--workers=1,2,8]
//                     [--entries=100000] [--rounds=5] [--seconds=0.5] [--reference=robust_stripes]
//                     [--growth=1000,10000] [--json=F]
//
// The first value size is measured in every combination of the other factors; further ones with
// uniform keys and two workers. Why not Google Benchmark: docs/decisions/2026-11-22-benchmarks.md.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/base/statistics.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/limits/measure.h"
#include "stress/command/arguments/choices.h"
#include "harness/base/text/nearest.h"
#include "stress/command/arguments/program_options.h"

namespace kill9 {
namespace {

constexpr uint64_t kMostDataBytes = 64u << 20;
constexpr double kLongestFillSeconds = 20;
constexpr unsigned kWorkersForLargeValues = 2;

struct Settings {
  std::vector<std::string> parts = {"speed"};
  std::vector<std::string> subjects;
  std::vector<unsigned> reads = {100, 50};
  std::vector<std::string> distributions = {"uniform"};
  std::vector<size_t> value_bytes = {64};
  std::vector<unsigned> workers = {1, 2, 8};
  std::vector<uint64_t> growth = {1'000, 10'000, 100'000, 1'000'000, 10'000'000};
  uint64_t entries = 100'000;
  unsigned rounds = 5;
  double seconds = 0.5;
  std::string reference = "robust_stripes";
  std::string json;

  bool has(const std::string& part) const {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  }
  // Baselines may take their users with them: they are measured only where they are named.
  bool wants(const limits::SubjectKind& kind) const {
    if (kind.name == reference) return true;
    if (subjects.empty()) return kind.role != limits::SubjectKind::Role::kBaseline;
    return std::find(subjects.begin(), subjects.end(), kind.name) != subjects.end();
  }
};

struct Case {
  unsigned reads;
  KeyDistribution distribution;
  unsigned workers;
};

// What the rounds of one case and subject came to.
struct Series {
  std::vector<double> rates;
  std::vector<double> failed;
  std::unique_ptr<limits::Latencies> latencies = std::make_unique<limits::Latencies>();
};

struct Entrant {
  limits::SubjectKind kind;
  std::unique_ptr<limits::Subject> subject;
};

const char* RoleName(limits::SubjectKind::Role role) {
  using Role = limits::SubjectKind::Role;
  switch (role) {
    case Role::kDesign:
      return "design";
    case Role::kBaseline:
      return "baseline";
    case Role::kPeer:
      return "peer";
    case Role::kLimit:
      return "limit";
    case Role::kThreadMap:
      return "threads";
  }
  return "";
}

KeyDistribution ParseDistribution(const std::string& name) {
  for (KeyDistribution one : {KeyDistribution::kUniform, KeyDistribution::kZipfian}) {
    if (KeyDistributionName(one) == name) return one;
  }
  throw UsageError("--distributions: " + ThereIsNo(name, {"uniform", "zipfian"}));
}

Json Spread(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {{"low", *low}, {"median", Median(values)}, {"high", *high}};
}

Json Quantiles(const Histogram& histogram) {
  return {{"p50", histogram.Quantile(0.5)},
          {"p99", histogram.Quantile(0.99)},
          {"p999", histogram.Quantile(0.999)},
          {"samples", histogram.count()}};
}

// The ratio within each round: what disturbs a round disturbs both.
std::vector<double> Ratios(const std::vector<double>& rates, const std::vector<double>& reference) {
  std::vector<double> ratios;
  for (size_t round = 0; round < rates.size(); ++round) {
    ratios.push_back(reference[round] > 0 ? rates[round] / reference[round] : 0);
  }
  return ratios;
}

void Say(const std::string& line) { std::cerr << line << std::endl; }

class Run {
 public:
  explicit Run(const Settings& settings)
      : settings_(settings), result_(NewResultOfDesigns("store_benchmark", 1)) {}

  int All() {
    if (settings_.has("limits")) Limits();
    if (settings_.has("speed")) {
      for (size_t value_bytes : settings_.value_bytes) {
        if (!Speed(value_bytes)) return 2;
      }
    }
    if (settings_.has("growth")) Growth();
    if (settings_.has("room")) Room();
    if (settings_.json.empty()) return 0;
    const absl::Status status = WriteResult(result_, settings_.json);
    if (!status.ok()) std::cerr << status.message() << "\n";
    return status.ok() ? 0 : 2;
  }

 private:
  std::vector<Entrant> Enter(const limits::Load& load) const {
    std::vector<Entrant> entrants;
    for (const limits::SubjectKind& kind : limits::AllSubjects()) {
      if (!settings_.wants(kind)) continue;
      std::unique_ptr<limits::Subject> subject = kind.make(load);
      if (subject == nullptr) continue;
      if (!limits::Fill(*subject, load, kLongestFillSeconds)) {
        Say(absl::StrFormat("%s did not take %d entries in %.0f s: left out here", kind.name,
                            load.entries, kLongestFillSeconds));
        continue;
      }
      entrants.push_back({kind, std::move(subject)});
    }
    return entrants;
  }

  std::vector<Case> Cases(size_t value_bytes) const {
    std::vector<Case> cases;
    const bool first = value_bytes == settings_.value_bytes.front();
    for (unsigned reads : settings_.reads) {
      for (const std::string& name : settings_.distributions) {
        const KeyDistribution distribution = ParseDistribution(name);
        if (!first && distribution != KeyDistribution::kUniform) continue;
        if (!first) {
          cases.push_back({reads, distribution, kWorkersForLargeValues});
          continue;
        }
        for (unsigned workers : settings_.workers) cases.push_back({reads, distribution, workers});
      }
    }
    return cases;
  }

  bool Speed(size_t value_bytes) {
    limits::Load load{
        .entries = std::clamp<uint64_t>(kMostDataBytes / value_bytes, 1, settings_.entries),
        .value_bytes = value_bytes};
    std::vector<Entrant> entrants = Enter(load);
    if (std::none_of(entrants.begin(), entrants.end(), [&](const Entrant& entrant) {
          return entrant.kind.name == settings_.reference;
        })) {
      std::cerr << "store_benchmark: there is no subject '" << settings_.reference << "'\n";
      return false;
    }
    const std::vector<Case> cases = Cases(value_bytes);
    std::vector<std::map<std::string, Series>> measured(cases.size());
    for (unsigned round = 0; round < settings_.rounds; ++round) {
      Say(absl::StrFormat("values of %d bytes, round %d of %d", value_bytes, round + 1,
                          settings_.rounds));
      for (size_t i = 0; i < cases.size(); ++i) {
        const limits::Mix mix{.read_percent = cases[i].reads,
                              .workers = cases[i].workers,
                              .distribution = cases[i].distribution,
                              .seconds = settings_.seconds,
                              .seed = round + 1};
        for (Entrant& entrant : entrants) {
          Series& series = measured[i][entrant.kind.name];
          if (entrant.subject->forgets()) limits::Fill(*entrant.subject, load);
          const limits::Rate rate =
              limits::Measure(*entrant.subject, load, mix, series.latencies.get());
          series.rates.push_back(rate.operations_per_second);
          series.failed.push_back(rate.failed_share);
        }
      }
    }
    for (size_t i = 0; i < cases.size(); ++i) Report(load, cases[i], entrants, measured[i]);
    return true;
  }

  void Report(const limits::Load& load, const Case& what, const std::vector<Entrant>& entrants,
              const std::map<std::string, Series>& measured) {
    const std::string distribution(KeyDistributionName(what.distribution));
    std::printf(
        "\n%u/%u, %s, %zu bytes, %u worker(s): ratio to %s (low to high), million operations/s, "
        "get and put p50/p99/p99.9 ns\n",
        what.reads, 100 - what.reads, distribution.c_str(), load.value_bytes, what.workers,
        settings_.reference.c_str());
    const std::vector<double>& reference = measured.at(settings_.reference).rates;
    for (const Entrant& entrant : entrants) {
      const Series& series = measured.at(entrant.kind.name);
      const Json ratio = Spread(Ratios(series.rates, reference));
      const Json rate = Spread(series.rates);
      const Json get = Quantiles(series.latencies->get);
      const Json put = Quantiles(series.latencies->put);
      const auto times = [](const Json& one) {
        return absl::StrFormat("%d/%d/%d", one["p50"].get<uint64_t>(), one["p99"].get<uint64_t>(),
                               one["p999"].get<uint64_t>());
      };
      std::printf("  %-18s %6.2f  (%.2f to %.2f)  %8.2f   %-20s %s\n", entrant.kind.name.c_str(),
                  ratio["median"].get<double>(), ratio["low"].get<double>(),
                  ratio["high"].get<double>(), rate["median"].get<double>() / 1e6,
                  times(get).c_str(), times(put).c_str());
      Json run = {{"measure", "speed"},
                  {"subject", entrant.kind.name},
                  {"role", RoleName(entrant.kind.role)},
                  {"read_percent", what.reads},
                  {"distribution", distribution},
                  {"value_bytes", load.value_bytes},
                  {"entries", load.entries},
                  {"processes", what.workers},
                  {"rounds", settings_.rounds},
                  {"reference", settings_.reference},
                  {"ratio", ratio},
                  {"operations_per_second", rate},
                  {"failed_share", Spread(series.failed)["median"]},
                  {"latency_ns", {{"get", get}}}};
      if (what.reads < 100) run["latency_ns"]["put"] = put;
      result_["runs"].push_back(std::move(run));
    }
    std::fflush(stdout);
  }

  void Limits() {
    std::map<std::string, std::vector<double>> rounds;
    for (unsigned round = 0; round < settings_.rounds; ++round) {
      for (const limits::Limit& limit : limits::PhysicalLimits()) {
        rounds[limit.name].push_back(limit.nanoseconds);
      }
    }
    std::printf("\nlimits of the machine, ns\n");
    for (const auto& [name, values] : rounds) {
      const Json spread = Spread(values);
      std::printf("  %-24s %10.1f  (%.1f to %.1f)\n", name.c_str(), spread["median"].get<double>(),
                  spread["low"].get<double>(), spread["high"].get<double>());
      result_["runs"].push_back(
          {{"measure", "limit"}, {"subject", name}, {"role", "limit"}, {"nanoseconds", spread}});
    }
    std::fflush(stdout);
  }

  // Who has become too slow for a size is not asked for a larger one.
  void Growth() {
    std::set<std::string> out;
    std::printf("\none process, values of 64 bytes: get and put, ns, as entries grow\n");
    for (uint64_t entries : settings_.growth) {
      const limits::Load load{.entries = entries, .value_bytes = 64};
      for (const limits::SubjectKind& kind : limits::AllSubjects()) {
        if (!settings_.wants(kind) || out.contains(kind.name)) continue;
        std::unique_ptr<limits::Subject> subject = kind.make(load);
        if (subject == nullptr || !limits::Fill(*subject, load, kLongestFillSeconds)) {
          out.insert(kind.name);
          Say(absl::StrFormat("%s did not take %d entries in %.0f s", kind.name, entries,
                              kLongestFillSeconds));
          continue;
        }
        std::vector<double> gets, puts;
        for (unsigned round = 0; round < settings_.rounds; ++round) {
          const limits::Costs costs = limits::MeasureCosts(*subject, load, round + 1);
          gets.push_back(costs.get_ns);
          puts.push_back(costs.put_ns);
        }
        const Json get = Spread(gets);
        const Json put = Spread(puts);
        std::printf("  %10llu  %-18s %8.0f %8.0f\n", static_cast<unsigned long long>(entries),
                    kind.name.c_str(), get["median"].get<double>(), put["median"].get<double>());
        std::fflush(stdout);
        result_["runs"].push_back({{"measure", "growth"},
                                   {"subject", kind.name},
                                   {"role", RoleName(kind.role)},
                                   {"entries", entries},
                                   {"get_ns", get},
                                   {"put_ns", put}});
      }
    }
  }

  void Room() {
    std::printf("\nbytes that an entry takes beyond its key and value\n");
    for (size_t value_bytes : settings_.value_bytes) {
      for (const Variant* variant : AllVariants()) {
        const limits::SubjectKind kind{std::string(variant->name()),
                                       variant->role() == Design::Role::kBaseline
                                           ? limits::SubjectKind::Role::kBaseline
                                           : limits::SubjectKind::Role::kDesign,
                                       nullptr};
        if (!settings_.wants(kind)) continue;
        const double bytes = limits::OverheadBytes(*variant, value_bytes);
        if (bytes == 0) continue;
        std::printf("  %8zu  %-18s %8.0f\n", value_bytes, kind.name.c_str(), bytes);
        result_["runs"].push_back({{"measure", "room"},
                                   {"subject", kind.name},
                                   {"value_bytes", value_bytes},
                                   {"overhead_bytes_per_entry", bytes}});
      }
    }
    std::fflush(stdout);
  }

  const Settings& settings_;
  Json result_;
};

}  // namespace
}  // namespace kill9

// Throws UsageError if there is no such subject.
static void CheckSubject(const std::string& flag, const std::string& name) {
  std::vector<kill9::Choice<std::string>> known;
  for (const auto& kind : kill9::limits::AllSubjects()) known.push_back({kind.name, kind.name, {}});
  kill9::RefuseMissingPeer(flag, name);
  kill9::Choose(flag, name, known);
}

int main(int argc, char** argv) {
  kill9::ResetSignals();
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  kill9::Settings settings;
  kill9::ProgramOptions options("store_benchmark", "Designs, peers and limits side by side");
  options.Add("--parts", settings.parts, "what is measured")
      .SeparatedBy(',')
      .OneOf({"speed", "limits", "growth", "room"});
  options.Add("--subjects", settings.subjects, "default: all but the baselines").SeparatedBy(',');
  options.Add("--reads", settings.reads, "percent of reads").SeparatedBy(',').Between(0, 100);
  options.Add("--distributions", settings.distributions, "of keys")
      .SeparatedBy(',')
      .OneOf({"uniform", "zipfian"});
  options.Add("--workers", settings.workers, "processes").SeparatedBy(',').Positive();
  options.Add("--entries", settings.entries, "of a store").Positive();
  options.Add("--growth", settings.growth, "numbers of entries").SeparatedBy(',').Positive();
  options.Add("--value-bytes", settings.value_bytes, "of a value").SeparatedBy(',').Positive();
  options.Add("--rounds", settings.rounds, "in each of which all have their turn").Positive();
  options.Add("--seconds", settings.seconds, "of each measurement").Positive();
  options.Add("--reference", settings.reference, "whom the ratios are taken to");
  options.Add("--json", settings.json, "the result file");
  return options.Run(argc, argv, [&] {
    for (const std::string& name : settings.subjects) CheckSubject("--subjects", name);
    CheckSubject("--reference", settings.reference);
    return kill9::Run(settings).All();
  });
}
