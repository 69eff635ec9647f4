// What terms cost a Get: the same entries in a segment without terms and in one that keeps them, of
// each design. The segments are read in turn, many times in a row within a round; ratios are taken
// within a round, medians over rounds, so that other work on the machine disturbs both alike.
//
//     terms_benchmark [--rounds=101] [--entries=1000] [--value-bytes=100] [--designs=a,b]
//
//   get         Get without terms, with a value
//   get, terms  Get that tells the terms as well
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/statistics.h"
#include "stress/command/arguments/program_options.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr size_t kGetsAtOnce = 2000;

struct Settings {
  unsigned rounds = 101;
  uint64_t entries = 1000;
  size_t value_bytes = 100;
  std::vector<std::string> designs = {"global_mutex", "striped_locks", "cas_slots", "seqlock_ring"};
};

// Of this thread: what else runs on the machine is not counted.
double NanosecondsOfThread() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

std::unique_ptr<Store> Filled(const Variant& variant, const Settings& settings,
                              const std::vector<std::string>& keys, bool keeps_terms) {
  SegmentOptions options;
  options.size_bytes = (64u << 20) + settings.entries * (settings.value_bytes + 250);
  options.expected_entries = settings.entries;
  options.keeps_terms = keeps_terms;
  auto store = variant.Attach(variant.Create(options).value()).value();
  const std::string value(settings.value_bytes, 'v');
  for (const std::string& key : keys) {
    if (!store->Put(key, value).ok()) {
      std::fprintf(stderr, "terms_benchmark: a segment is too small for its entries\n");
      std::exit(2);
    }
  }
  return store;
}

template <typename Get>
void GetAll(const std::vector<std::string>& keys, size_t* at, Get get) {
  for (size_t i = 0; i < kGetsAtOnce; ++i) {
    *at = (*at + 7919) % keys.size();
    if (!get(keys[*at])) std::exit(2);
  }
}

// The first time is not counted: the caches hold the other segment.
template <typename Get>
double NanosecondsEach(const std::vector<std::string>& keys, size_t* at, Get get) {
  GetAll(keys, at, get);
  const double begin = NanosecondsOfThread();
  GetAll(keys, at, get);
  return (NanosecondsOfThread() - begin) / kGetsAtOnce;
}

void Measure(const Settings& settings, const std::string& design) {
  const Variant* const variant = FindVariant(design);
  if (variant == nullptr) {
    std::fprintf(stderr, "terms_benchmark: no design '%s'\n", design.c_str());
    std::exit(2);
  }
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < settings.entries; ++i) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(i));
    keys.emplace_back(text);
  }
  const std::unique_ptr<Store> plain = Filled(*variant, settings, keys, false);
  const std::unique_ptr<Store> with_terms = Filled(*variant, settings, keys, true);
  std::string value;
  Terms terms;
  // A ring forgets one of two keys that share a place of its index.
  std::erase_if(keys, [&](const std::string& key) {
    return !plain->Get(key, &value).ok() || !with_terms->Get(key, &value).ok();
  });
  std::vector<double> base, without_telling, telling;
  size_t at = 0;
  for (unsigned round = 0; round < settings.rounds; ++round) {
    base.push_back(NanosecondsEach(
        keys, &at, [&](const std::string& key) { return plain->Get(key, &value).ok(); }));
    const double get = NanosecondsEach(
        keys, &at, [&](const std::string& key) { return with_terms->Get(key, &value).ok(); });
    const double get_terms = NanosecondsEach(keys, &at, [&](const std::string& key) {
      return with_terms->Get(key, &value, &terms).ok();
    });
    without_telling.push_back(get / base.back());
    telling.push_back(get_terms / base.back());
  }
  std::printf("%-16s plain %6.1f ns   with terms: get %5.2f times   get, terms %5.2f times\n",
              design.c_str(), Median(base), Median(without_telling), Median(telling));
  std::fflush(stdout);
}

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::Settings settings;
  kill9::ProgramOptions options("terms_benchmark", "What terms cost a Get, by design");
  options.Add("--rounds", settings.rounds, "of each measurement").Positive();
  options.Add("--entries", settings.entries, "of a segment").Positive();
  options.Add("--value-bytes", settings.value_bytes, "of a value");
  options.Add("--designs", settings.designs, "that are measured")
      .SeparatedBy(',')
      .OneOf(settings.designs);
  return options.Run(argc, argv, [&] {
    for (const std::string& design : settings.designs) kill9::Measure(settings, design);
    return 0;
  });
}
