// What becomes of an object that is used for long. Bounded by work, not by time:
//
//   wear          blocks of ever other sizes, room always about half in use: what an operation
//                 costs beside a fresh object that holds the same, what else there is room for,
//                 and how many calls were refused, by the number of operations so far
//   participants  as many as there can be, one beyond, the death of all at once, and recovery
//   large         a segment beyond 4 GiB, filled beyond that
//   entries       a table of so many entries: what a Put and a Get cost beside the first ones
//
// What must be there is looked for, and the account must be exact: exit code 1 if it is not. Times
// are ratios of processor times that were taken in turns, so that other work on the machine counts
// in both.
//
//     endurance_benchmark [--variant=all] [--parts=wear,participants,large,entries]
//                         [--operations=2000000] [--steps=8] [--entries=1000000]
//                         [--entry-bytes=144] [--large-bytes=4831838208] [--seed=1] [--json=F]
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <functional>
#include <iostream>
#include <new>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "build_commit.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/random.h"
#include "harness/base/signals.h"
#include "harness/base/statistics.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/benchmarks/endurance/subject.h"
#include "stress/benchmarks/write_if_named.h"
#include "stress/command/arguments/program_options.h"
#include "variants/heap.h"
#include "variants/registry.h"
#include "variants/store.h"

namespace kill9::endurance {
namespace {

struct Settings {
  std::vector<std::string> variants = {"all"};
  std::vector<std::string> parts = {"wear", "participants", "large", "entries"};
  uint64_t operations = 2'000'000;  // of wear, for each design
  uint64_t steps = 8;               // points of a curve
  uint64_t entries = 1'000'000;
  uint64_t entry_bytes = 144;
  uint64_t large_bytes = 4608u * (uint64_t{1} << 20);
  uint64_t seed = 1;
  std::string json;
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

absl::StatusOr<double> CpuSecondsOf(const std::function<absl::Status()>& work) {
  const double begin = CpuSeconds();
  if (absl::Status status = work(); !status.ok()) return status;
  return CpuSeconds() - begin;
}

absl::Status CheckAccount(SharedObject& object) {
  const absl::StatusOr<AuditReport> report = object.Audit();
  if (!report.ok()) return Failed("audit", report.status());
  if (report->clean()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "audit: ", report->leaked.blocks, " blocks leaked, ", report->doubly_owned, " doubly owned",
      report->violations.empty() ? "" : ": " + report->violations.front()));
}

double Rounded(double number) {
  return static_cast<double>(static_cast<int64_t>(number * 1000 + 0.5)) / 1000;
}

// How much more processor time the worn one takes than the fresh one: the median of turns.
absl::StatusOr<double> CostRatio(Subject& worn, Subject& fresh, uint64_t seed) {
  constexpr int kTurns = 5;
  constexpr uint64_t kOperations = 20'000;
  std::vector<double> ratios;
  for (int turn = 0; turn <= kTurns; ++turn) {
    Random one(seed, static_cast<uint64_t>(turn)), other(seed, static_cast<uint64_t>(turn));
    const auto of_worn = CpuSecondsOf([&] { return worn.Probe(one, kOperations); });
    const auto of_fresh = CpuSecondsOf([&] { return fresh.Probe(other, kOperations); });
    if (!of_worn.ok()) return of_worn.status();
    if (!of_fresh.ok()) return of_fresh.status();
    if (turn > 0) ratios.push_back(*of_worn / *of_fresh);  // the first one warms up
  }
  return Median(ratios);
}

absl::StatusOr<Json> Wear(const Design& design, const Settings& settings) {
  constexpr uint64_t kBytes = 16u << 20;
  absl::StatusOr<std::unique_ptr<Subject>> worn = MakeSubject(design, kBytes);
  if (!worn.ok()) return worn.status();
  Random random(settings.seed);
  Counts counts;
  Json operations = Json::array(), cost = Json::array(), room = Json::array(),
       refused = Json::array();
  for (uint64_t step = 0; step < settings.steps; ++step) {
    const Counts before = counts;
    for (const Sizes& sizes : kPhases) {
      const uint64_t share = settings.operations / settings.steps / std::size(kPhases);
      if (absl::Status status = (*worn)->Work(random, sizes, share, &counts); !status.ok()) {
        return status;
      }
    }
    absl::StatusOr<std::unique_ptr<Subject>> fresh = (*worn)->Fresh(random);
    if (!fresh.ok()) return fresh.status();
    const absl::StatusOr<double> ratio = CostRatio(**worn, **fresh, settings.seed);
    if (!ratio.ok()) return ratio.status();
    const absl::StatusOr<uint64_t> fits = (*worn)->Room(), of_fresh = (*fresh)->Room();
    if (!fits.ok()) return fits.status();
    if (!of_fresh.ok()) return of_fresh.status();
    if (absl::Status status = (*worn)->Check(); !status.ok()) return status;
    if (absl::Status status = CheckAccount((*worn)->object()); !status.ok()) return status;
    operations.push_back(counts.operations);
    cost.push_back(Rounded(*ratio));
    if (*of_fresh > 0) {
      room.push_back(Rounded(static_cast<double>(*fits) / static_cast<double>(*of_fresh)));
    }
    refused.push_back(counts.refused - before.refused);
  }
  return Json{{"operations", operations},
              {"cost_beside_fresh", cost},
              {"room_beside_fresh", room},
              {"refused", refused}};
}

// Attaches `count` times in a process that then waits for its death.
pid_t StartHolder(const Design& design, const std::shared_ptr<Segment>& segment, uint32_t count,
                  volatile uint32_t* attached) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  DieWithParent(parent);
  std::vector<std::unique_ptr<SharedObject>> objects;
  while (objects.size() < count) {
    absl::StatusOr<std::unique_ptr<SharedObject>> object = design.AttachObject(segment);
    if (!object.ok()) break;
    objects.push_back(*std::move(object));
  }
  *attached = static_cast<uint32_t>(objects.size()) + 1;  // 0: not yet
  for (;;) pause();
}

absl::StatusOr<Json> Participants(const Design& design, const Settings&) {
  SegmentOptions options;
  options.size_bytes = 64u << 20;
  options.max_participants = 4096;
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  for (; !segment.ok() && options.max_participants > 1; segment = design.Create(options)) {
    options.max_participants /= 2;
  }
  if (!segment.ok()) return segment.status();
  absl::StatusOr<std::unique_ptr<SharedObject>> survivor = design.AttachObject(*segment);
  if (!survivor.ok()) return survivor.status();

  constexpr uint32_t kEach = 128;
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return absl::ResourceExhaustedError("no memory");
  auto* attached = static_cast<volatile uint32_t*>(memory);
  std::vector<pid_t> holders;
  uint32_t taken = 1;
  while (taken < options.max_participants) {
    const uint32_t count = std::min(kEach, options.max_participants - taken);
    *attached = 0;
    holders.push_back(StartHolder(design, *segment, count, attached));
    while (*attached == 0) usleep(1000);
    if (*attached - 1 != count) break;
    taken += count;
  }
  const absl::Status refused = design.AttachObject(*segment).status();
  for (const pid_t pid : holders) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  munmap(memory, 4096);
  if (taken != options.max_participants) {
    return absl::InternalError(absl::StrCat("only ", taken, " could attach"));
  }
  if (!absl::IsResourceExhausted(refused)) {
    return absl::InternalError("one more than there may be could attach");
  }
  uint64_t recovered = 0;
  const absl::StatusOr<double> recovery = CpuSecondsOf([&]() -> absl::Status {
    const absl::StatusOr<RecoveryReport> report = (*survivor)->Recover();
    if (report.ok()) recovered = report->participants;
    return report.status();
  });
  if (!recovery.ok()) return Failed("recover", recovery.status());
  const absl::StatusOr<double> again =
      CpuSecondsOf([&] { return (*survivor)->Recover().status(); });
  if (!again.ok()) return Failed("recover", again.status());
  // The attempt that was refused looked for the dead, too; there were none.
  if (recovered != taken - 1) {
    return absl::DataLossError(absl::StrCat(recovered, " of ", taken - 1, " dead were recovered"));
  }
  if (absl::Status status = CheckAccount(**survivor); !status.ok()) return status;
  for (uint32_t n = 0; n < 3; ++n) {
    if (absl::Status status = design.AttachObject(*segment).status(); !status.ok()) {
      return Failed("attach after recovery", status);
    }
  }
  return Json{{"participants", taken},
              {"recovered", recovered},
              {"recovery_beside_nobody_dead", Rounded(*recovery / *again)}};
}

// Values or blocks of a megabyte, until nothing fits any more.
absl::StatusOr<Json> Large(const Design& design, const Settings& settings) {
  constexpr size_t kEach = 1u << 20;
  SegmentOptions options;
  options.size_bytes = settings.large_bytes;
  options.max_participants = 4;
  options.expected_entries = 16384;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<SharedObject>> object = design.AttachObject(*segment);
  if (!object.ok()) return object.status();
  uint64_t there = 0;
  if (auto* store = dynamic_cast<Store*>(object->get())) {
    const uint64_t all = settings.large_bytes / kEach;
    for (uint64_t n = 0; n < all; ++n) {
      const absl::Status status = store->Put(absl::StrCat(n), BytesOf(n, kEach)).status();
      if (absl::IsResourceExhausted(status)) break;
      if (!status.ok()) return Failed("put", status);
    }
    const absl::Status seen = store->ForEach([&](const EntryView& entry) {
      const uint64_t n = std::stoull(std::string(entry.key));
      there += entry.value.size() == kEach && AreBytesOf(n, entry.value);
      return true;
    });
    if (!seen.ok()) return Failed("for_each", seen);
  } else if (auto* heap = dynamic_cast<Heap*>(object->get())) {
    std::vector<BlockHandle> blocks;
    for (;;) {
      const absl::StatusOr<BlockHandle> block = heap->Allocate(kEach, Deadline::None());
      if (!block.ok()) break;
      BytesOf(blocks.size(), kEach).copy(heap->Data(*block)->data(), kEach);
      blocks.push_back(*block);
    }
    for (size_t n = 0; n < blocks.size(); ++n) {
      const absl::StatusOr<std::span<char>> data = heap->Data(blocks[n]);
      there += data.ok() && AreBytesOf(n, {data->data(), kEach});
    }
  } else {
    return absl::UnimplementedError("its segments are small");
  }
  if (absl::Status status = CheckAccount(**object); !status.ok()) return status;
  if (there * kEach < settings.large_bytes / 8 * 7) {
    return absl::DataLossError(absl::StrCat("only ", there, " of the values are there"));
  }
  return Json{{"segment_bytes", settings.large_bytes}, {"value_bytes_there", there * kEach}};
}

absl::StatusOr<Json> Entries(const Design& design, const Settings& settings) {
  const auto* variant = dynamic_cast<const Variant*>(&design);
  if (variant == nullptr) return absl::UnimplementedError("it has no entries");
  SegmentOptions options;
  options.size_bytes = (16u << 20) + settings.entries * settings.entry_bytes;
  options.expected_entries = settings.entries;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = variant->Create(options);
  if (!segment.ok()) return segment.status();
  const absl::StatusOr<std::unique_ptr<Store>> store = variant->Attach(*segment);
  if (!store.ok()) return store.status();
  const auto key_of = [](uint64_t n) {
    return std::string(reinterpret_cast<const char*>(&n), sizeof n);
  };
  Json entries = Json::array(), put_cost = Json::array(), get_cost = Json::array();
  double first_put = 0, first_get = 0;
  uint64_t put = 0, lost = 0;
  std::string value;
  const uint64_t each = settings.entries / settings.steps;
  const uint64_t looks = std::min<uint64_t>(each, 100'000);
  for (uint64_t step = 0; step < settings.steps; ++step) {
    const auto of_puts = CpuSecondsOf([&] {
      for (uint64_t n = 0; n < each; ++n, ++put) {
        const absl::Status status = (*store)->Put(key_of(put), BytesOf(put, 8)).status();
        if (!status.ok()) return Failed("put", status);
      }
      return absl::OkStatus();
    });
    if (!of_puts.ok()) return of_puts.status();
    Random random(settings.seed, step);
    const auto of_gets = CpuSecondsOf([&] {
      for (uint64_t n = 0; n < looks; ++n) {
        const uint64_t key = random.Below(put);
        const absl::Status status = (*store)->Get(key_of(key), &value).status();
        if (absl::IsNotFound(status)) {
          ++lost;
        } else if (!status.ok()) {
          return Failed("get", status);
        } else if (!AreBytesOf(key, value)) {
          return absl::DataLossError("a value of another key");
        }
      }
      return absl::OkStatus();
    });
    if (!of_gets.ok()) return of_gets.status();
    if (step == 0) first_put = *of_puts, first_get = *of_gets;
    entries.push_back(put);
    put_cost.push_back(Rounded(*of_puts / first_put));
    get_cost.push_back(Rounded(*of_gets / first_get));
  }
  // Every one of them, once, with its value.
  uint64_t there = 0, wrong = 0;
  std::vector<bool> is_there(put);
  const absl::Status seen = (*store)->ForEach([&](const EntryView& entry) {
    uint64_t n = put;
    if (entry.key.size() == sizeof n) std::memcpy(&n, entry.key.data(), sizeof n);
    if (n >= put || is_there[n] || entry.value.size() != 8 || !AreBytesOf(n, entry.value)) ++wrong;
    if (n < put) is_there[n] = true;
    return ++there, true;
  });
  if (!seen.ok()) return Failed("for_each", seen);
  if (wrong > 0) return absl::DataLossError(absl::StrCat("not as they were put: ", wrong));
  if (variant->traits().lossless && (lost > 0 || there != put)) {
    return absl::DataLossError(absl::StrCat(there, " of ", put, " entries are there"));
  }
  if (absl::Status status = CheckAccount(**store); !status.ok()) return status;
  return Json{{"entries", entries},
              {"entries_there", there},
              {"put_cost_beside_first", put_cost},
              {"get_cost_beside_first", get_cost}};
}

using Part = absl::StatusOr<Json> (*)(const Design&, const Settings&);
struct NamedPart {
  const char* name;
  Part run;
};
constexpr NamedPart kParts[] = {
    {"wear", &Wear}, {"participants", &Participants}, {"large", &Large}, {"entries", &Entries}};

bool Contains(const std::vector<std::string>& wanted, std::string_view one) {
  return std::find(wanted.begin(), wanted.end(), one) != wanted.end();
}

int Run(const Settings& settings) {
  Json result = NewResult("endurance_benchmark", settings.seed);
  bool all_well = true;
  for (const NamedPart& part : kParts) {
    if (!Contains(settings.parts, part.name)) continue;
    for (const Design* design : AllDesigns()) {
      const std::string name(design->name());
      const bool is_ours = design->role() == Design::Role::kDesign;
      if (!Contains(settings.variants, name) && !(is_ours && Contains(settings.variants, "all"))) {
        continue;
      }
      absl::StatusOr<Json> run = part.run(*design, settings);
      if (absl::IsUnimplemented(run.status())) continue;
      const bool is_well = run.ok();
      if (!is_well) run = Json{{"reason", std::string(run.status().message())}};
      all_well = all_well && is_well;
      (*run)["part"] = part.name;
      (*run)["variant"] = name;
      (*run)["verdict"] = is_well ? "pass" : "violation";
      std::cout << Dump(*run) << std::endl;
      result["runs"].push_back(*std::move(run));
    }
  }
  if (result["runs"].empty()) {
    std::cerr << "endurance_benchmark: no such part of such a design\n";
    return 2;
  }
  WriteIfNamed(result, settings.json);
  return all_well ? 0 : 1;
}

}  // namespace
}  // namespace kill9::endurance

int main(int argc, char** argv) {
  kill9::ResetSignals();
  kill9::SetCommandLine(argc, argv);
  kill9::SetBuildCommit(kBuildCommit);
  kill9::endurance::Settings settings;
  kill9::ProgramOptions options("endurance_benchmark", "Objects that are used for long");
  std::vector<std::string> known = {"all"};
  for (const kill9::Design* design : kill9::AllDesigns()) known.emplace_back(design->name());
  options.Add("--variant", settings.variants, "designs").SeparatedBy(',').OneOf(known);
  options.Add("--parts", settings.parts, "what is done (docs/endurance.md)")
      .SeparatedBy(',')
      .OneOf({"wear", "participants", "large", "entries"});
  options.Add("--operations", settings.operations, "of wear").Positive();
  options.Add("--steps", settings.steps, "points of a curve").Between(1, 1000);
  options.Add("--entries", settings.entries, "of entries").Positive();
  options.Add("--entry-bytes", settings.entry_bytes, "of the segment, for each of them").Positive();
  options.Add("--large-bytes", settings.large_bytes, "of the segment of large").Positive();
  options.Add("--seed", settings.seed, "of all that is drawn");
  options.Add("--json", settings.json, "the result file");
  return options.Run(argc, argv, [&] {
    if (settings.entries < settings.steps || settings.operations < 3 * settings.steps) {
      throw kill9::UsageError("--operations, --entries: less than one operation a step");
    }
    return kill9::endurance::Run(settings);
  });
}
