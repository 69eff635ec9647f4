// What becomes of an object that is used for long. Bounded by work, not by time:
//
//   wear          blocks of ever other sizes, room always about half in use: what an operation
//                 costs beside a fresh object that holds the same, what else there is room for,
//                 and how many calls were refused, by the number of operations so far
//   participants  as many as there can be, one beyond, the death of all at once, and recovery
//   large         a segment beyond 4 GiB, filled beyond that
//   entries       a table of so many entries: what a Put and a Get cost beside the first ones
//
// What must be there is looked for, and the account must be exact: exit code 1 if it is not; 3 if a
// segment was full before the part had shown anything. Times are ratios of processor times that
// were taken in turns, so that other work on the machine counts in both.
//
//     endurance_benchmark [--variant=all] [--parts=wear,participants,large,entries]
//                         [--operations=2000000] [--steps=8] [--entries=1000000]
//                         [--entry-bytes=144] [--large-bytes=4831838208] [--seed=1] [--json=F]
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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
#include "stress/benchmarks/endurance/filling.h"
#include "stress/benchmarks/endurance/subject.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/program_options.h"
#include "variants/registry.h"

namespace kill9::endurance {
namespace {

struct Settings {
  std::vector<std::string> variants = {"all"};
  std::vector<std::string> parts = {"wear", "participants", "large", "entries"};
  uint64_t operations = 2'000'000;  // of wear, for each design
  uint64_t steps = 8;               // points of a curve
  Table table;
  uint64_t large_bytes = 4608u * (uint64_t{1} << 20);
  uint64_t seed = 1;
  std::string json;
};

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
      return absl::InternalError(absl::StrCat("attach after recovery: ", status.ToString()));
    }
  }
  return Json{{"participants", taken},
              {"recovered", recovered},
              {"recovery_beside_nobody_dead", Rounded(*recovery / *again)}};
}

absl::StatusOr<Json> Large(const Design& design, const Settings& settings) {
  return FillLarge(design, settings.large_bytes);
}

absl::StatusOr<Json> Entries(const Design& design, const Settings& settings) {
  Table table = settings.table;
  table.steps = settings.steps;
  table.seed = settings.seed;
  return FillTable(design, table);
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
  int exit_code = kExitPass;
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
      const Verdict verdict = VerdictOf(run.status());
      if (!run.ok()) run = Json{{"reason", std::string(run.status().message())}};
      exit_code = WorseExitCode(exit_code, ExitCode(verdict));
      (*run)["part"] = part.name;
      (*run)["variant"] = name;
      (*run)["verdict"] = VerdictName(verdict);
      std::cout << Dump(*run) << std::endl;
      result["runs"].push_back(*std::move(run));
    }
  }
  if (result["runs"].empty()) {
    std::cerr << "endurance_benchmark: no such part of such a design\n";
    return 2;
  }
  return WithResult("endurance_benchmark", result, settings.json, exit_code);
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
  options.Add("--entries", settings.table.entries, "of entries").Positive();
  options.Add("--entry-bytes", settings.table.entry_bytes, "of the segment, for each of them")
      .Positive();
  options.Add("--large-bytes", settings.large_bytes, "of the segment of large").Positive();
  options.Add("--seed", settings.seed, "of all that is drawn");
  options.Add("--json", settings.json, "the result file");
  return options.Run(argc, argv, [&] {
    if (settings.table.entries < settings.steps || settings.operations < 3 * settings.steps) {
      throw kill9::UsageError("--operations, --entries: less than one operation a step");
    }
    return kill9::endurance::Run(settings);
  });
}
