// Throughput of designs, bare limits, peers and thread maps, side by side: every subject in turn
// within each round, medians over the rounds, ratios first. Real processes (threads where a map
// knows nothing else), pinned to the cores in turn; keys of 16 bytes, uniform.
//
//     store_benchmark [--subjects=a,b] [--reads=100,50] [--workers=1,2,8] [--value-bytes=64]
//                     [--entries=100000] [--rounds=5] [--seconds=0.5]
//                     [--reference=robust_stripes] [--json=F]
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>

#include "CLI/CLI.hpp"
#include "harness/result.h"
#include "stress/limits/subject.h"

namespace kill9 {
namespace {

struct Settings {
  std::vector<std::string> subjects;
  std::vector<unsigned> reads = {100, 50};
  std::vector<unsigned> workers = {1, 2, 8};
  limits::Load load;
  unsigned rounds = 5;
  double seconds = 0.5;
  std::string reference = "robust_stripes";
  std::string json;
};

struct Spread {
  double low, median, high;
};

Spread Sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

using Rates = std::map<std::string, std::vector<double>>;

void Report(const Settings& settings, unsigned reads, unsigned workers, const Rates& rates,
            Json& runs) {
  std::printf("\n%u/%u, %u worker(s): ratio to %s (low to high), million operations/s\n", reads,
              100 - reads, workers, settings.reference.c_str());
  for (const auto& [name, values] : rates) {
    // The ratio within each round: what disturbs a round disturbs both.
    std::vector<double> ratios;
    for (size_t round = 0; round < values.size(); ++round) {
      ratios.push_back(values[round] / rates.at(settings.reference)[round]);
    }
    const Spread ratio = Sorted(ratios);
    const Spread rate = Sorted(values);
    std::printf("  %-16s %6.2f  (%.2f to %.2f)  %8.2f\n", name.c_str(), ratio.median, ratio.low,
                ratio.high, rate.median / 1e6);
    runs.push_back({{"subject", name},
                    {"reference", settings.reference},
                    {"read_percent", reads},
                    {"processes", workers},
                    {"value_bytes", settings.load.value_bytes},
                    {"entries", settings.load.entries},
                    {"rounds", settings.rounds},
                    {"ratio", {{"low", ratio.low}, {"median", ratio.median}, {"high", ratio.high}}},
                    {"operations_per_second",
                     {{"low", rate.low}, {"median", rate.median}, {"high", rate.high}}}});
  }
  std::fflush(stdout);
}

int Run(const Settings& settings) {
  std::vector<std::pair<std::string, std::unique_ptr<limits::Subject>>> subjects;
  for (const limits::SubjectKind& kind : limits::AllSubjects()) {
    const auto& wanted = settings.subjects;
    if (!wanted.empty() && kind.name != settings.reference &&
        std::find(wanted.begin(), wanted.end(), kind.name) == wanted.end()) {
      continue;
    }
    std::unique_ptr<limits::Subject> subject = kind.make(settings.load);
    if (subject == nullptr) continue;
    limits::Fill(*subject, settings.load);
    subjects.emplace_back(kind.name, std::move(subject));
  }
  if (std::none_of(subjects.begin(), subjects.end(),
                   [&](const auto& subject) { return subject.first == settings.reference; })) {
    std::cerr << "store_benchmark: there is no subject '" << settings.reference << "'\n";
    return 2;
  }
  Json result = NewResult("benchmark", 1);
  for (unsigned reads : settings.reads) {
    for (unsigned workers : settings.workers) {
      Rates rates;
      for (unsigned round = 0; round < settings.rounds; ++round) {
        for (auto& [name, subject] : subjects) {
          rates[name].push_back(limits::Measure(*subject, settings.load,
                                                {reads, workers, settings.seconds, round + 1}));
        }
      }
      Report(settings, reads, workers, rates, result["runs"]);
    }
  }
  if (settings.json.empty()) return 0;
  const absl::Status status = WriteResult(result, settings.json);
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 2;
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::SetCommandLine(argc, argv);
  kill9::Settings settings;
  CLI::App application{"Throughput side by side"};
  application.add_option("--subjects", settings.subjects)->delimiter(',');
  application.add_option("--reads", settings.reads, "percent of reads")->delimiter(',');
  application.add_option("--workers", settings.workers)->delimiter(',');
  application.add_option("--entries", settings.load.entries);
  application.add_option("--value-bytes", settings.load.value_bytes);
  application.add_option("--rounds", settings.rounds)->check(CLI::PositiveNumber);
  application.add_option("--seconds", settings.seconds, "of each measurement");
  application.add_option("--reference", settings.reference, "whom the ratios are taken to");
  application.add_option("--json", settings.json, "write the result file here");
  CLI11_PARSE(application, argc, argv);
  return kill9::Run(settings);
}
