// The main of those that are Google Benchmark's.
#ifndef KILL9_STRESS_BENCHMARKS_GOOGLE_BENCHMARKS_H_
#define KILL9_STRESS_BENCHMARKS_GOOGLE_BENCHMARKS_H_

#include <benchmark/benchmark.h>

#include <filesystem>
#include <iostream>

#include "harness/result/verdict.h"

namespace kill9 {

// Runs those that are registered and chosen. Returns the exit code: its library would ignore words
// that it does not know, and pass where a filter chooses nothing.
inline int RunGoogleBenchmarks(int argc, char** argv) {
  const std::string name = std::filesystem::path(argv[0]).filename();
  benchmark::Initialize(&argc, argv);
  for (int n = 1; n < argc; ++n) {
    std::cerr << name << ": it has no option '" << argv[n] << "'\n";
  }
  if (argc > 1) std::cerr << name << " --help lists what there is\n";
  return argc == 1 && benchmark::RunSpecifiedBenchmarks() > 0 ? kExitPass : kExitUsage;
}

}  // namespace kill9

#endif  // KILL9_STRESS_BENCHMARKS_GOOGLE_BENCHMARKS_H_
