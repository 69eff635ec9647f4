// Channels, what other systems pass messages with, and bare rings side by side. Real processes,
// each end pinned to a core; every transport is taken in turn within each round, ratios are taken
// within a round, medians over rounds.
//
//     stream     1.55 million messages of 1 to 155 bytes: the original's own test. One a call, and
//                64 a call
//     sizes      messages of one size, copied in and out
//     in_place   messages of one size, filled and read in place
//     many       1 and 4 senders and receivers
//     to_all     1 sender, 1, 2 and 4 receivers, each of which gets every message
//     echo       64 bytes there and back: spinning, polling by calls that do not wait, and asleep
//                before each message
//     bursts     bursts of 64 bytes after a rest, in which the receiver has gone to sleep, until
//                one answer says that the last has come
//     kills      one side is killed again and again: what becomes of the messages
//
//     channel_benchmark [--parts=stream,echo] [--transports=a,b] [--messages=N] [--rounds=5]
//                       [--kills=200] [--json=F]
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/base/statistics.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/channels/measure.h"
#include "stress/command/arguments/program_options.h"

namespace kill9 {
namespace {

using transports::Load;
using transports::Side;
using transports::Took;
using transports::TransportKind;
using transports::Wait;

constexpr size_t kBatch = 64;
constexpr size_t kMostBytes = 155;
constexpr uint64_t kBytesOfSizes = 64 << 20;
constexpr unsigned kRestUs = 100;
constexpr size_t kBurst = 1000;

const std::vector<std::string> kParts = {"stream", "sizes", "in_place", "many",
                                         "to_all", "echo",  "bursts",   "kills"};

struct Settings {
  std::vector<std::string> parts = kParts;
  std::vector<std::string> transports;
  size_t messages = 1'550'000;
  size_t echoes = 20'000;
  size_t echo_bytes = 64;
  unsigned rounds = 5;
  uint64_t kills = 200;
  std::string json;

  bool has(const std::string& part) const {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  }
};

Json Spread(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {{"low", *low}, {"median", Median(values)}, {"high", *high}};
}

std::string Show(const Json& spread) {
  return absl::StrFormat("%.2f (%.2f to %.2f)", spread["median"].get<double>(),
                         spread["low"].get<double>(), spread["high"].get<double>());
}

// One measurement that is repeated in each round: of a transport, in a case.
struct Entry {
  const TransportKind* kind;
  Json run;                    // what is told of it, without figures
  std::function<Took()> take;  // so many messages
  size_t messages;
  std::string case_name;                                  // ratios are taken within a case
  std::vector<double> rates = {};                         // messages a second; 0: it failed
  std::vector<double> cpu_ns = {};                        // a message, of all processes
  std::shared_ptr<std::vector<double>> shares = nullptr;  // of the messages, that came; if not all
};

class Benchmark {
 public:
  explicit Benchmark(const Settings& settings)
      : settings_(settings), result_(NewResultOfDesigns("channel_benchmark", 1)) {
    for (TransportKind& kind : transports::AllTransports()) {
      const std::vector<std::string>& wanted = settings.transports;
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), kind.name) == wanted.end()) {
        continue;
      }
      (kind.broadcasts ? broadcasts_ : kinds_).push_back(std::move(kind));
    }
    result_["missing"] = transports::MissingTransports();
  }

  int All() {
    for (const std::string& why : transports::MissingTransports()) {
      std::cerr << "left out: " << why << "\n";
    }
    if (settings_.has("stream")) Streams();
    if (settings_.has("sizes")) Sizes();
    if (settings_.has("in_place")) InPlace();
    if (settings_.has("many")) Many();
    if (settings_.has("to_all")) ToAll();
    if (settings_.has("echo")) {
      for (const Wait wait : {Wait::kSpinning, Wait::kPolling, Wait::kSleeping}) Echoes(wait);
    }
    if (settings_.has("bursts")) Bursts();
    if (settings_.has("kills")) Kills();
    if (settings_.json.empty()) return 0;
    const absl::Status status = WriteResult(result_, settings_.json);
    if (!status.ok()) std::cerr << status.message() << "\n";
    return status.ok() ? 0 : 2;
  }

 private:
  Json RunOf(const TransportKind& kind, const char* measure) const {
    return {{"measure", measure},
            {"subject", kind.name},
            {"role", kind.role},
            {"rounds", settings_.rounds}};
  }

  // Takes all in turn within each round, and tells the figures of each.
  void Measure(const std::string& title, std::vector<Entry> entries) {
    for (unsigned round = 0; round < settings_.rounds; ++round) {
      std::cerr << title << ", round " << round + 1 << " of " << settings_.rounds << std::endl;
      for (Entry& entry : entries) {
        const Took took = entry.take();
        const double messages = static_cast<double>(entry.messages);
        entry.rates.push_back(took.seconds > 0 ? messages / took.seconds : 0);
        entry.cpu_ns.push_back(1e9 * took.cpu_seconds / messages);
      }
    }
    std::printf(
        "\n%s: million messages/s (low to high), CPU ns a message (lowest), ratio to bare_ring, to "
        "unix_stream\n",
        title.c_str());
    for (Entry& entry : entries) {
      const Json rate = Spread(entry.rates);
      entry.run["messages_per_second"] = rate;
      std::vector<double> millions;
      for (const double one : entry.rates) millions.push_back(one / 1e6);
      std::string line = absl::StrFormat("  %-22s %-18s %-24s", entry.kind->name, entry.case_name,
                                         Show(Spread(millions)));
      if (entry.cpu_ns[0] > 0) {
        entry.run["cpu_ns_per_message"] = Spread(entry.cpu_ns);
        absl::StrAppendFormat(&line, " %7.1f",
                              entry.run["cpu_ns_per_message"]["low"].get<double>());
      }
      for (const char* reference : {"bare_ring", "unix_stream"}) {
        const Json ratio = RatioTo(reference, entry, entries);
        if (ratio.is_null()) continue;
        entry.run[absl::StrCat("ratio_to_", reference)] = ratio;
        absl::StrAppend(&line, "  ", Show(ratio));
      }
      if (entry.shares != nullptr) {
        entry.run["received_share"] = Spread(*entry.shares);
        absl::StrAppend(&line, "  received ", Show(Spread(*entry.shares)));
      }
      std::printf("%s\n", line.c_str());
      result_["runs"].push_back(std::move(entry.run));
    }
    std::fflush(stdout);
  }

  // Within each round: what disturbs a round disturbs both. Null: the reference has no such case.
  static Json RatioTo(const std::string& reference, const Entry& entry,
                      const std::vector<Entry>& entries) {
    for (const Entry& other : entries) {
      if (other.kind->name != reference || other.case_name != entry.case_name) continue;
      std::vector<double> ratios;
      for (size_t round = 0; round < entry.rates.size(); ++round) {
        ratios.push_back(other.rates[round] > 0 ? entry.rates[round] / other.rates[round] : 0);
      }
      return Spread(ratios);
    }
    return nullptr;
  }

  void Streams() {
    const Load load = Load::OfSizesUpTo(kMostBytes, settings_.messages);
    std::vector<Entry> entries;
    for (const size_t batch : {size_t{1}, kBatch}) {
      for (const TransportKind& kind : kinds_) {
        if (batch > 1 && !kind.batches) continue;
        Json run = RunOf(kind, "stream");
        run["batch"] = batch;
        run["messages"] = load.count();
        run["bytes"] = load.total_bytes();
        entries.push_back({&kind, std::move(run),
                           [&kind, &load, batch] { return transports::Stream(kind, load, batch); },
                           load.count(), absl::StrCat(batch, " a call")});
      }
    }
    Measure("1 to 155 bytes", std::move(entries));
  }

  void Sizes() {
    std::vector<Load> loads;
    for (const size_t bytes : {16, 256, 4096, 65'536}) {
      loads.push_back(Load::OfSize(
          bytes, std::clamp<size_t>(kBytesOfSizes / bytes, 2000, settings_.messages / 4)));
    }
    std::vector<Entry> entries;
    for (const Load& load : loads) {
      for (const TransportKind& kind : kinds_) {
        if (load.largest_bytes() > kind.most_bytes) continue;
        Json run = RunOf(kind, "sizes");
        run["message_bytes"] = load.largest_bytes();
        run["messages"] = load.count();
        entries.push_back({&kind, std::move(run),
                           [&kind, &load] { return transports::Stream(kind, load, 1); },
                           load.count(), absl::StrCat(load.largest_bytes(), " bytes")});
      }
    }
    Measure("messages of one size", std::move(entries));
  }

  void InPlace() {
    const size_t count = settings_.messages / 20;
    std::vector<Entry> entries;
    for (const size_t bytes : {64, 4096, 65'536, 1 << 20}) {
      for (const TransportKind& kind : kinds_) {
        if (!kind.in_place) continue;
        Json run = RunOf(kind, "in_place");
        run["message_bytes"] = bytes;
        run["messages"] = count;
        entries.push_back(
            {&kind, std::move(run),
             [&kind, bytes, count] { return transports::InPlace(kind, bytes, count); }, count,
             absl::StrCat(bytes, " bytes")});
      }
    }
    Measure("filled and read in place", std::move(entries));
  }

  void Many() {
    const Load load = Load::OfSizesUpTo(kMostBytes, settings_.messages / 4);
    std::vector<Entry> entries;
    for (const auto& [senders, receivers] :
         std::vector<std::pair<unsigned, unsigned>>{{1, 1}, {4, 1}, {1, 4}, {4, 4}}) {
      for (const TransportKind& kind : kinds_) {
        if (!kind.many) continue;
        Json run = RunOf(kind, "many");
        run["senders"] = senders;
        run["receivers"] = receivers;
        run["messages"] = load.count();
        entries.push_back({&kind, std::move(run),
                           [&kind, &load, s = senders, r = receivers] {
                             return transports::Stream(kind, load, 1, s, r);
                           },
                           load.count(), absl::StrCat(senders, " to ", receivers)});
      }
    }
    Measure("many senders and receivers", std::move(entries));
  }

  // How many messages a second the sender sends, each to all; and what share of them the receivers
  // got, which is all of them but of a broadcast.
  void ToAll() {
    const Load load = Load::OfSizesUpTo(kMostBytes, settings_.messages / 8);
    std::vector<Entry> entries;
    std::vector<const TransportKind*> kinds;
    for (const auto* list : {&broadcasts_, &kinds_}) {
      for (const TransportKind& kind : *list) {
        if (kind.sleeps) kinds.push_back(&kind);
      }
    }
    for (const unsigned receivers : {1u, 2u, 4u}) {
      for (const TransportKind* kind : kinds) {
        const auto shares = std::make_shared<std::vector<double>>();
        Json run = RunOf(*kind, "to_all");
        run["receivers"] = receivers;
        run["messages"] = load.count();
        Entry entry{kind, std::move(run),
                    [kind, &load, receivers, shares] {
                      uint64_t received = 0;
                      const Took took = transports::ToAll(*kind, load, receivers, &received);
                      shares->push_back(static_cast<double>(received) /
                                        static_cast<double>(load.count() * receivers));
                      return took;
                    },
                    load.count(), absl::StrCat("1 to all of ", receivers)};
        entry.shares = shares;
        entries.push_back(std::move(entry));
      }
    }
    Measure("one to all", std::move(entries));
  }

  void Echoes(Wait wait) {
    const bool sleeps = wait == Wait::kSleeping;
    const char* const name = wait == Wait::kSpinning  ? "spinning"
                             : wait == Wait::kPolling ? "polling"
                                                      : "sleeping";
    const char* const reference = sleeps ? "bare_futex_ring" : "bare_ring";
    std::map<std::string, std::vector<double>> medians;
    std::map<std::string, Histogram> all;
    const size_t count = sleeps ? settings_.echoes / 10 : settings_.echoes;
    for (unsigned round = 0; round < settings_.rounds; ++round) {
      for (const TransportKind& kind : kinds_) {
        const bool can = wait == Wait::kSpinning  ? kind.spins
                         : wait == Wait::kPolling ? kind.polls || kind.name == reference
                                                  : kind.sleeps;
        if (!can) continue;
        medians[kind.name].push_back(EchoOnce(kind, count, wait, &all[kind.name]));
      }
    }
    std::printf("\nround trip of %zu bytes, %s: p50, p99 ns, ratio of p50 to %s\n",
                settings_.echo_bytes, name, reference);
    for (const TransportKind& kind : kinds_) {
      if (!medians.contains(kind.name)) continue;
      Json run = RunOf(kind, "echo");
      run["wait"] = name;
      run["message_bytes"] = settings_.echo_bytes;
      const Histogram& histogram = all[kind.name];
      run["round_trip_ns"] = {{"p50", histogram.Quantile(0.5)},
                              {"p99", histogram.Quantile(0.99)},
                              {"samples", histogram.count()}};
      std::string line = absl::StrFormat("  %-22s %8d %8d", kind.name, histogram.Quantile(0.5),
                                         histogram.Quantile(0.99));
      if (medians.contains(reference)) {
        std::vector<double> ratios;
        for (size_t round = 0; round < settings_.rounds; ++round) {
          ratios.push_back(medians[kind.name][round] / medians[reference][round]);
        }
        run[absl::StrCat("ratio_to_", reference)] = Spread(ratios);
        absl::StrAppend(&line, "   ", Show(Spread(ratios)));
      }
      std::printf("%s\n", line.c_str());
      result_["runs"].push_back(std::move(run));
    }
    std::fflush(stdout);
  }

  // The median of one round; its times are added to `all`.
  double EchoOnce(const TransportKind& kind, size_t count, Wait wait, Histogram* all) const {
    const transports::SharedHistogram times;
    const unsigned rest_us = wait == Wait::kSleeping ? kRestUs : 0;
    if (!transports::Echo(kind, settings_.echo_bytes, count, wait, rest_us, times.get())) return 0;
    all->Add(*times);
    return static_cast<double>(times->Quantile(0.5));
  }

  // Of each burst, its rest left out: messages a second.
  void Bursts() {
    const size_t count = std::max<size_t>(settings_.messages / kBurst / 20, 5);
    std::vector<Entry> entries;
    for (const TransportKind& kind : kinds_) {
      if (!kind.sleeps) continue;
      Json run = RunOf(kind, "bursts");
      run["burst"] = kBurst;
      run["message_bytes"] = settings_.echo_bytes;
      entries.push_back(
          {&kind, std::move(run),
           [this, &kind, count] {
             const transports::SharedHistogram times;
             const bool done = transports::Echo(kind, settings_.echo_bytes, count, Wait::kSleeping,
                                                kRestUs, times.get(), kBurst);
             return done ? Took{static_cast<double>(times->Quantile(0.5)) / 1e9} : Took{};
           },
           kBurst, absl::StrCat("bursts of ", kBurst)});
    }
    Measure("bursts after a rest", std::move(entries));
  }

  void Kills() {
    std::printf(
        "\nkilled again and again: kills, sent, lost, came again marked, unmarked, torn, longest "
        "pause ms\n");
    for (const TransportKind& kind : kinds_) {
      if (!kind.reopens) continue;
      for (const Side victims : {Side::kReceives, Side::kSends}) {
        const bool receives = victims == Side::kReceives;
        const transports::KillReport report =
            transports::Kill(kind, victims, settings_.kills, /*seed=*/1);
        Json run = RunOf(kind, "kills");
        run["victims"] = receives ? "receiver" : "sender";
        run["kills"] = report.kills;
        run["sent"] = report.sent;
        run["lost"] = report.lost;
        run["redelivered"] = report.redelivered;
        run["duplicated"] = report.duplicated;
        run["torn"] = report.torn;
        run["stuck"] = report.stuck;
        run["longest_pause_ms"] = report.longest_pause_ms;
        std::printf("  %-22s %-8s %5d %9d %8d %6d %6d %6d %9.1f%s\n", kind.name.c_str(),
                    receives ? "receiver" : "sender", static_cast<int>(report.kills),
                    static_cast<int>(report.sent), static_cast<int>(report.lost),
                    static_cast<int>(report.redelivered), static_cast<int>(report.duplicated),
                    static_cast<int>(report.torn), report.longest_pause_ms,
                    report.stuck ? "  STUCK" : "");
        std::fflush(stdout);
        result_["runs"].push_back(std::move(run));
      }
    }
  }

  const Settings& settings_;
  std::vector<TransportKind> kinds_;
  std::vector<TransportKind> broadcasts_;
  Json result_;
};

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  kill9::ResetSignals();
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  kill9::Settings settings;
  kill9::ProgramOptions options("channel_benchmark", "Channels, peers and bare rings side by side");
  options.Add("--parts", settings.parts, "what is measured").SeparatedBy(',').OneOf(kill9::kParts);
  std::vector<std::string> known;
  for (const auto& kind : kill9::transports::AllTransports()) known.push_back(kind.name);
  options.Add("--transports", settings.transports, "default: all").SeparatedBy(',').OneOf(known);
  options.Add("--messages", settings.messages, "of a stream").Between(1000, 100'000'000);
  options.Add("--echoes", settings.echoes, "of echo").Between(100, 100'000'000);
  options.Add("--echo-bytes", settings.echo_bytes, "of a message of echo").Between(1, 1 << 20);
  options.Add("--rounds", settings.rounds, "in each of which all have their turn").Between(1, 1000);
  options.Add("--kills", settings.kills, "of kills").Between(1, 1'000'000);
  options.Add("--json", settings.json, "the result file");
  return options.Run(argc, argv, [&] { return kill9::Benchmark(settings).All(); });
}
