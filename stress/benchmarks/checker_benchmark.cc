// How fast histories are checked: the figures of docs/checker.md. Times are processor time of one
// core, since the machine may be shared; every row is the least of some rounds.
//
//     ./checker_benchmark [--json=FILE]
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "build_commit.h"
#include "harness/base/clock.h"
#include "harness/checker/checker.h"
#include "harness/checker/online.h"
#include "harness/checker/simulated_history.h"
#include "harness/history/recorder.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/write_if_named.h"
#include "stress/command/arguments/program_options.h"

namespace kill9 {
namespace {

double ProcessorSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double LeastSeconds(int rounds, const std::function<void()>& run) {
  double least = 1e9;
  for (int round = 0; round < rounds; ++round) {
    double begin = ProcessorSeconds();
    run();
    least = std::min(least, ProcessorSeconds() - begin);
  }
  return least;
}

class Bench {
 public:
  // Returns seconds of one core. `explain`: with the shrunk counterexample.
  double Row(const std::string& name, const std::string& model,
             const std::vector<Operation>& history, Verdict expected, int rounds,
             Condition condition = Condition::kStrict, bool explain = false) {
    CheckOutcome outcome;
    double seconds = LeastSeconds(rounds, [&] {
      outcome = *CheckHistory(*FindModel(model), history,
                              {.condition = condition, .threads = 1, .explain = explain});
    });
    const double rate = static_cast<double>(history.size()) / seconds;
    std::string strongest =
        outcome.strongest.has_value() ? std::string(ConditionName(*outcome.strongest)) : "none";
    std::printf("%-66s %-12s %9zu operations %10.4f s %8.2f M/s  %s, strongest %s%s\n",
                name.c_str(), model.c_str(), history.size(), seconds, rate / 1e6,
                std::string(VerdictName(outcome.verdict)).c_str(), strongest.c_str(),
                outcome.verdict == expected ? "" : "  UNEXPECTED");
    std::fflush(stdout);
    rows_.push_back({{"name", name},
                     {"model", model},
                     {"condition", ConditionName(condition)},
                     {"operations", history.size()},
                     {"processor_seconds", seconds},
                     {"operations_per_processor_second", rate},
                     {"verdict", VerdictName(outcome.verdict)},
                     {"strongest", strongest},
                     {"as_expected", outcome.verdict == expected}});
    return seconds;
  }

  void Ratio(const std::string& name, double ratio) {
    std::printf("%-66s %.2f\n", name.c_str(), ratio);
    rows_.push_back({{"name", name}, {"ratio", ratio}});
  }

  const Json& rows() const { return rows_; }

 private:
  Json rows_ = Json::array();
};

// The last read of a value is made stale.
void MakeStale(std::vector<Operation>* history) {
  for (size_t i = history->size(); i-- > 0;) {
    Operation& read = (*history)[i];
    if (read.function != Function::kGet || read.outcome != Outcome::kOk) continue;
    for (size_t j = 0; j < i; ++j) {
      const Operation& write = (*history)[j];
      if (write.function == Function::kPut && write.outcome == Outcome::kOk &&
          write.key == read.key && write.argument != read.result) {
        read.result = write.argument;
        read.result_version = write.result_version;
        return;
      }
    }
  }
}

void Legal(Bench* bench) {
  for (const char* model : {"register", "map", "cache"}) {
    SimulationOptions options{.keys = 16, .operations = 1'000'000};
    options.map_functions = std::string(model) != "register";
    options.versions = options.map_functions;
    options.lossy = std::string(model) == "cache";
    double plain = bench->Row("legal, 16 keys, 8 processes", model, SimulateHistory(options),
                              Verdict::kPass, 3);
    options.crash_share = 0.1;
    double crashed = bench->Row("legal, 16 keys, 8 processes, one crash per ten", model,
                                SimulateHistory(options), Verdict::kPass, 3);
    bench->Ratio("  with crashes / without", crashed / plain);
    options.crash_share = 0;
    options.keys = 1;
    options.operations = 100'000;
    bench->Row("legal, 1 key, 8 processes", model, SimulateHistory(options), Verdict::kPass, 3);
    options.keys = 16;
    double small = bench->Row("legal, 16 keys, 8 processes", model, SimulateHistory(options),
                              Verdict::kPass, 10);
    options.operations = 10'000'000;
    double large = bench->Row("legal, 16 keys, 8 processes", model, SimulateHistory(options),
                              Verdict::kPass, 2);
    bench->Ratio("  cost per operation, 10^7 / 10^5 operations", large / small / 100);
    options.keys = 10'000;
    bench->Row("legal, 10,000 keys, 8 processes", model, SimulateHistory(options), Verdict::kPass,
               2);
  }
}

void Illegal(Bench* bench) {
  for (const char* model : {"register", "map"}) {
    const bool is_map = std::string(model) == "map";
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      SimulationOptions options{.seed = seed, .keys = 1, .operations = 1000, .crash_share = 0.016};
      options.map_functions = options.versions = is_map;
      std::vector<Operation> history = SimulateHistory(options);
      MakeStale(&history);
      for (Condition condition : kConditions) {
        bench->Row("illegal, 1 key, 8 processes, 16 crashed, " +
                       std::string(ConditionName(condition)) + ", with counterexample",
                   model, history, Verdict::kViolation, 3, condition, true);
      }
      options.keys = 8;
      options.operations = 10'000;
      options.crash_share = 0.1;
      history = SimulateHistory(options);
      MakeStale(&history);
      for (Condition condition : kConditions) {
        bench->Row("illegal, 8 keys, 8 processes, 1,000 crashed, " +
                       std::string(ConditionName(condition)) + ", with counterexample",
                   model, history, Verdict::kViolation, 3, condition, true);
      }
    }
  }
}

void Online(Bench* bench) {
  std::vector<Operation> history =
      SimulateHistory({.keys = 1000, .operations = 2'000'000, .crash_share = 0.001});
  std::sort(history.begin(), history.end(),
            [](const Operation& a, const Operation& b) { return a.finish < b.finish; });
  std::vector<uint64_t> settled(history.size() + 1, ~0ull);
  for (size_t i = history.size(); i-- > 0;) {
    settled[i] = std::min(settled[i + 1], history[i].invoke);
  }
  OnlineOutcome outcome;
  double seconds = LeastSeconds(2, [&] {
    OnlineChecker checker({.model = FindModel("map")});
    for (size_t begin = 0; begin < history.size(); begin += 4096) {
      size_t end = std::min(begin + 4096, history.size());
      checker.Feed(std::span(history).subspan(begin, end - begin), settled[end]);
    }
    outcome = checker.Finish();
  });
  std::printf("online: %llu of %llu operations checked, %s\n",
              static_cast<unsigned long long>(outcome.operations_checked),
              static_cast<unsigned long long>(outcome.operations),
              std::string(VerdictName(outcome.verdict)).c_str());
  bench->Ratio("  online: million operations a second of one core",
               static_cast<double>(history.size()) / seconds / 1e6);
}

void Recording(Bench* bench) {
  auto recording = *kill9::Recording::Create({.slots = 1, .capacity = 1u << 12}, Clock::Checked());
  std::printf("clock: %s\n", Clock::Checked().description().c_str());
  recording->Open(0, 1);
  Recorder recorder = recording->recorder(0);
  std::vector<Operation> batch;
  double least = LeastSeconds(200, [&] {
    for (uint64_t i = 0; i < 4096; ++i) {
      recorder.Begin(Function::kPut, i, i, i);
      recorder.End(Outcome::kOk, i, i);
    }
    batch.clear();
    recording->Drain(&batch);
  });
  bench->Ratio("  recording and draining an operation, nanoseconds", least / 4096 * 1e9);
}

int Measure(const std::string& json) {
  Bench bench;
  Recording(&bench);
  Online(&bench);
  Illegal(&bench);
  Legal(&bench);
  Json result = NewResult("checker_benchmark", 1);
  result["runs"] = bench.rows();
  return WriteIfNamed(result, json);
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  std::string json;
  kill9::ProgramOptions options("checker_benchmark", "How fast histories are checked");
  options.Add("--json", json, "the result file");
  return options.Run(argc, argv, [&] { return kill9::Measure(json); });
}
