#include "harness/sweep/sweep.h"

#include <poll.h>
#include <sched.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/random.h"
#include "harness/base/stable_hash.h"
#include "harness/base/text/copy_text.h"
#include "harness/base/text/count_of.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/result/waiting.h"
#include "harness/stepper/process/tracee.h"
#include "harness/stepper/trace/symbols.h"
#include "harness/stepper/zygote.h"
#include "harness/sweep/address_sums.h"
#include "harness/sweep/continuation.h"
#include "harness/sweep/coverage_pages.h"
#include "harness/sweep/look.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9::sweep {

using stepper::KillCoverage;
using stepper::NowSeconds;
using stepper::Symbols;
using stepper::WhySteppingCannotRun;
using stepper::Zygote;

namespace {

CellArea& AreaOf(Zygote& zygote) { return *static_cast<CellArea*>(zygote.area()); }

bool Contains(const std::vector<std::string>& wanted, std::string_view one) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), one) != wanted.end();
}

using NamesOfDriver = std::span<const std::string_view> (SweepDriver::*)() const;
std::vector<std::string> NamesOfAll(NamesOfDriver names_of) {
  std::vector<std::string> names;
  for (const SweepDriver* driver : AllSweepDrivers()) {
    for (std::string_view name : (driver->*names_of)()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
    }
  }
  return names;
}

CellRequest RequestFor(const SweepOptions& options, const Design& design, std::string_view second,
                       std::string_view operation, std::string_view state) {
  CellRequest request{};
  CopyText(design.name(), request.variant);
  CopyText(operation, request.operation);
  CopyText(second, request.second);
  CopyText(state, request.state);
  request.full = options.full;
  request.stall = options.stall;
  request.recovery = options.recovery;
  request.two_victims = options.two_victims;
  request.resume = options.resume;
  request.kill_after_resume = options.kill_after_resume;
  request.reuse = options.reuse;
  request.three_members = options.three_members;
  request.sample = options.sample;
  request.pairs = options.pairs;
  request.most_failures = options.most_failures;
  request.seed = options.seed;
  request.watchdog_seconds = options.watchdog_seconds;
  request.breakpoints = options.breakpoints;
  return request;
}

// Of one cell in four, whatever other cells there are. Where a mode has nothing to do (a create, a
// full table), none is missed. What a recoverer that was overtaken takes of a slot's next owner
// shows in no other mode: of its cells most have that one.
void SampleMode(CellRequest* request) {
  const bool recovers = std::string_view(request->operation) == kRecoverName;
  const uint64_t per_mille = recovers ? 750 : 250;
  const uint32_t places = recovers ? 6 : 2;
  constexpr uint8_t CellRequest::*kModes[] = {
      &CellRequest::resume,   &CellRequest::kill_after_resume, &CellRequest::reuse,
      &CellRequest::recovery, &CellRequest::two_victims,       &CellRequest::three_members};
  const std::string name = CellName(*request);
  Random random(request->seed, XXH3_64bits(name.data(), name.size()));
  if (!random.Chance(per_mille)) return;
  request->samples_mode = 1;
  request->*kModes[recovers ? 0 : random.Below(std::size(kModes))] = 1;
  if (request->pairs == 0) request->pairs = places;
}

// Of what the shapes differ in only the project's own designs are known to take.
void ChooseShape(const SweepOptions& options, const SweepDriver& driver, CellRequest* request) {
  constexpr uint64_t kPerMille = 250;
  if (driver.shape_fields() == 0) return;
  const bool draws =
      options.samples_shapes && request->samples_mode == 0 &&
      Random(request->seed, StableHash("draws " + CellName(*request))).Chance(kPerMille);
  if (options.shape != shape_text::kUsual) {
    CopyText(options.shape, request->shape);
  } else if (draws) {
    CopyText(shape_text::kDrawn, request->shape);
  }
}

// For each kind that is swept, by dimension, the classes of shapes that there are.
Json ShapeClasses(const std::vector<const Design*>& designs) {
  Json kinds = Json::object();
  for (const Design* design : designs) {
    const SweepDriver* driver = FindSweepDriver(design->kind());
    if (driver == nullptr || driver->shape_fields() == 0) continue;
    kinds[SweptKind(driver->kind())] = ToJson(AllSweepShapeClasses(driver->shape_fields()));
  }
  return kinds;
}

std::vector<int> Cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {-1};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Cells handed to workers, one each at a time.
class Pool {
 public:
  absl::Status Start(uint32_t count) {
    if (const char* why = WhySteppingCannotRun(); why != nullptr)
      return absl::PermissionDeniedError(why);
    cpus_ = Cpus();
    if (count == 0) count = static_cast<uint32_t>(cpus_.size());
    for (uint32_t n = 0; n < count; ++n) {
      absl::StatusOr<std::unique_ptr<Zygote>> worker = Zygote::Start(sizeof(CellArea));
      if (!worker.ok()) return worker.status();
      workers_.push_back(*std::move(worker));
    }
    busy_.assign(workers_.size(), -1);
    return absl::OkStatus();
  }

  absl::Status Run(const std::vector<CellRequest>& requests, const std::function<bool()>& enough,
                   const std::function<void(const CellRequest&, CellArea&, pid_t)>& done,
                   double seconds) {
    size_t next = 0;
    const double start = NowSeconds();
    while (true) {
      if (seconds > 0 && NowSeconds() - start > seconds) next = requests.size();
      bool any = false;
      for (size_t n = 0; n < workers_.size(); ++n) {
        if (busy_[n] < 0 && next < requests.size()) Begin(n, requests, next++);
        any = any || busy_[n] >= 0;
      }
      if (!any) return absl::OkStatus();
      std::vector<pollfd> waits;
      for (const auto& worker : workers_) waits.push_back({worker->fd(), POLLIN, 0});
      constexpr int kLookMilliseconds = 200;
      poll(waits.data(), waits.size(), kLookMilliseconds);
      for (const auto& worker : workers_) AnswerLook(AreaOf(*worker), worker->pid());
      if (enough && enough()) return absl::CancelledError("interrupted");
      for (size_t n = 0; n < workers_.size(); ++n) {
        if (busy_[n] < 0 || waits[n].revents == 0) continue;
        const CellRequest& request = requests[static_cast<size_t>(busy_[n])];
        busy_[n] = -1;
        if (!workers_[n]->Receive()) return absl::InternalError("a worker of the sweep died");
        done(request, AreaOf(*workers_[n]), workers_[n]->pid());
      }
    }
  }

 private:
  void Begin(size_t worker, const std::vector<CellRequest>& requests, size_t request) {
    CellArea& area = AreaOf(*workers_[worker]);
    std::memset(static_cast<void*>(&area), 0, sizeof area);
    area.request = requests[request];
    area.request.cpu = cpus_[worker % cpus_.size()];
    busy_[worker] = static_cast<int64_t>(request);
    workers_[worker]->Send();
  }

  std::vector<int> cpus_;
  std::vector<std::unique_ptr<Zygote>> workers_;
  std::vector<int64_t> busy_;
};

std::string DescribeCell(const CellRequest& request, const CellArea& area, const Json& run) {
  const CellResult& result = area.result;
  std::string text = absl::StrFormat(
      "%s: %s, %s in %s, %s, stopped by %s", CellName(request),
      std::string(VerdictName(result.verdict)), CountOf(result.instructions, "instruction"),
      CountOf(result.distinct_states, "state"), CountOf(area.progress_kill_points, "kill"),
      std::string(Name(result.stopped_by)));
  if (run.contains("shape")) absl::StrAppend(&text, "\n    shape ", result.shape);
  if (result.error[0] != '\0') absl::StrAppend(&text, "\n    ", result.error);
  if (result.failures == 0) return text;
  const std::string place = TextField(run["counterexample"], "place");
  const std::string message = TextField(run["counterexample"], "message");
  const bool is_told = std::strstr(result.error, message.c_str()) != nullptr;
  absl::StrAppend(&text, place.empty() ? "" : "\n    before ", place, is_told ? "" : "\n    ",
                  is_told ? "" : message, "\n", result.failure[0].window, DescribeWaiting(run),
                  "    repeat (deterministic): ", run["repeat"].get<std::string>());
  return text;
}

// Of the cells those that are the shard's.
absl::Status KeepShare(const Shard& shard, std::vector<CellRequest>* requests, Json* result) {
  std::vector<std::string> units;
  for (const CellRequest& request : *requests) units.push_back(CellName(request));
  const absl::StatusOr<std::vector<size_t>> share = ShareOf(shard, units);
  if (!share.ok()) return share.status();
  std::vector<CellRequest> mine;
  for (const size_t unit : *share) mine.push_back((*requests)[unit]);
  *requests = std::move(mine);
  (*result)["shard"] = DescribeShard(shard, units);
  return absl::OkStatus();
}

// The kill coverage, for the result, for people and as pages.
absl::Status TellCoverage(const SweepOptions& options, const AddressSums& addresses,
                          const std::function<void(const SweepText&)>& say, Json* result) {
  // Every worker has the same program at the same addresses.
  const absl::StatusOr<std::unique_ptr<Zygote>> worker = Zygote::Start(sizeof(CellArea));
  if (!worker.ok()) return worker.status();
  KillCoverage coverage(stepper::IsOfTheObject);
  for (const auto& [of, counts] : addresses.groups()) {
    std::vector<stepper::AddressCount> sums;
    for (const auto& [address, sum] : counts) sums.push_back(sum);
    coverage.Add(of.first, of.second, sums, (*worker)->pid());
  }
  Json& figures = (*result)["coverage"] = CoverageFigures(coverage);
  if (!options.shard.whole()) AddLineSets(coverage, &figures);
  for (const Json& one : figures) say({CoverageLine(one)});
  if (options.coverage_directory.empty()) return absl::OkStatus();
  return WriteCoverage(coverage, options.coverage_directory, *result);
}

}  // namespace

std::vector<std::string> OperationNames() { return NamesOfAll(&SweepDriver::operations); }
std::vector<std::string> StateNames() { return NamesOfAll(&SweepDriver::states); }

absl::Status CheckSweepShape(const Design& design, std::string_view shape) {
  const SweepDriver* driver = FindSweepDriver(design.kind());
  if (shape == shape_text::kUsual || driver == nullptr) return absl::OkStatus();
  if (driver->shape_fields() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("scenes of the kind '", std::string(design.kind()), "' have one shape"));
  }
  if (design.role() != Design::Role::kDesign) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(design.name()), " has its usual shape only"));
  }
  if (shape == shape_text::kDrawn) return absl::OkStatus();
  if (shape.size() >= kMostShapeBytes) return absl::InvalidArgumentError("the text is too long");
  return ParseSweepShape(shape, driver->shape_fields()).status();
}

std::vector<CellRequest> PlanCells(const SweepOptions& options) {
  std::vector<CellRequest> requests;
  for (const Design* design : options.variants) {
    for (const auto& [operation, state] : SweepCellsOf(*design)) {
      if (!Contains(options.operations, operation) || !Contains(options.states, state)) continue;
      const std::string_view second =
          options.second.empty() ? FindSweepDriver(design->kind())->second() : options.second;
      requests.push_back(RequestFor(options, *design, second, operation, state));
      // Which accesses to the segment there are is known of those that are mapped.
      const bool is_own = design->role() == Design::Role::kDesign;
      if (options.samples_modes && is_own && !design->object_traits().needs_name) {
        SampleMode(&requests.back());
      }
      if (is_own) ChooseShape(options, *FindSweepDriver(design->kind()), &requests.back());
    }
  }
  const bool sampled = options.cells > 0 && options.cells < requests.size();
  if (sampled || options.seconds > 0) {
    const size_t wanted = sampled ? options.cells : requests.size();
    Random random(options.seed);
    random.DrawFirst(requests.data(), requests.size(), wanted);
    requests.resize(wanted);
  }
  return requests;
}

Json RunWithPlaces(const CellRequest& request, const CellResult& result, pid_t worker) {
  Json run = RunOf(request, result);
  if (result.failures == 0) return run;
  const Symbols symbols(worker);
  for (Json& example : run["counterexamples"]) {
    if (example.contains("address")) {
      example["place"] = symbols.Describe(example["address"].get<uint64_t>());
    }
  }
  run["counterexample"] = run["counterexamples"][0];
  return run;
}

absl::Status RunCells(const std::vector<CellRequest>& requests, uint32_t workers,
                      const std::function<bool()>& enough,
                      const std::function<void(const CellRequest&, CellArea&, pid_t)>& done,
                      double seconds) {
  Pool pool;
  if (absl::Status status = pool.Start(workers); !status.ok()) return status;
  return pool.Run(requests, enough, done, seconds);
}

absl::StatusOr<pid_t> StopForDebugger(CellRequest request,
                                      const std::function<void(pid_t worker)>& attach) {
  if (const char* why = WhySteppingCannotRun(); why != nullptr)
    return absl::PermissionDeniedError(why);
  absl::StatusOr<std::unique_ptr<Zygote>> started = Zygote::Start(sizeof(CellArea));
  if (!started.ok()) return started.status();
  Zygote& worker = **started;
  request.replay = 1;
  request.stop = 1;
  request.times = 1;
  request.cpu = Cpus().front();
  AreaOf(worker).request = request;
  worker.Send();
  const volatile CellResult& result = AreaOf(worker).result;
  while (result.stopped_pid == 0) {
    pollfd wait{worker.fd(), POLLIN, 0};
    constexpr int kLookMilliseconds = 50;
    if (poll(&wait, 1, kLookMilliseconds) > 0) {
      return absl::InternalError(AreaOf(worker).result.error[0] != '\0'
                                     ? AreaOf(worker).result.error
                                     : "the victim did not get there");
    }
  }
  attach(worker.pid());
  return worker.pid();
}

absl::StatusOr<Json> RunSweep(const SweepOptions& options,
                              const volatile std::sig_atomic_t* interrupted,
                              const std::function<void(const SweepText&)>& say,
                              const Json* earlier) {
  std::vector<CellRequest> requests = PlanCells(options);
  if (requests.empty())
    return absl::InvalidArgumentError("no operation in a state to sweep is left");
  for (const Design* variant : options.variants) {
    const bool stops_before_accesses =
        options.resume || options.kill_after_resume || options.reuse || options.three_members;
    if (stops_before_accesses && variant->object_traits().needs_name) {
      return absl::UnimplementedError(absl::StrCat(
          "--resume, --kill-after-resume, --reuse and --three-members stop before accesses to the "
          "segment; ",
          std::string(variant->name()),
          " keeps its data in files, whose places in memory the sweep does not know"));
    }
  }
  Json result = NewResultOfDesigns("sweep", options.seed);
  result["shape_classes"] = ShapeClasses(options.variants);
  if (!options.shard.whole()) {
    if (absl::Status status = KeepShare(options.shard, &requests, &result); !status.ok()) {
      return status;
    }
  }
  Continuation continuation(options, requests);
  if (earlier != nullptr) {
    if (absl::Status status = continuation.TakeOver(*earlier); !status.ok()) return status;
  }
  for (const Json& run : continuation.runs()) result["runs"].push_back(run);
  const size_t cells = requests.size();
  requests = continuation.Left(requests);
  AddressSums addresses = continuation.addresses();
  const size_t done_before = cells - requests.size();
  const double begun = NowSeconds(), start = begun - continuation.seconds();
  SweepProgress progress{
      .done = done_before, .cells = cells, .kills = continuation.kills(), .found = false};
  const auto is_interrupted = [interrupted] { return interrupted != nullptr && *interrupted != 0; };
  absl::Status status = RunCells(
      requests, options.workers,
      [&] {
        progress.seconds = NowSeconds() - start;
        if (options.progress) options.progress(progress);
        return is_interrupted() || (options.fail_fast && progress.found);
      },
      [&](const CellRequest& request, CellArea& area, pid_t worker) {
        ++progress.done;
        progress.seconds = NowSeconds() - start;
        progress.seconds_left = (NowSeconds() - begun) /
                                static_cast<double>(progress.done - done_before) *
                                static_cast<double>(cells - progress.done);
        progress.kills += area.progress_kill_points;
        const int exit_code = ExitCode(area.result.verdict);
        progress.found = progress.found || exit_code == kExitFailed;
        Json run = RunWithPlaces(request, area.result, worker);
        if (!options.shard.whole()) run["unit"] = CellName(request);
        addresses.Add(request.variant, request.operation, area.addresses);
        continuation.Note(request, area);
        if (!options.quiet || exit_code != kExitPass) {
          say({absl::StrFormat("[%d/%d %.0fs] %s", progress.done, cells, progress.seconds,
                               DescribeCell(request, area, run)),
               area.result.verdict});
        }
        result["runs"].push_back(std::move(run));
      },
      options.seconds);
  const double seconds = NowSeconds() - start;
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  const bool is_cut_short = absl::IsCancelled(status);
  result["interrupted"] = is_cut_short && is_interrupted();
  if (result["interrupted"]) result["to_continue"] = continuation.ToJson();
  result["seconds"] = seconds;
  result["kill_points"] = progress.kills;
  result["kill_points_per_second"] = static_cast<double>(progress.kills) / seconds;
  result["coverage"] = Json::array();
  // Who has interrupted it, or wanted one failure, does not wait for debug information to be read.
  if (!is_cut_short) {
    if (status = TellCoverage(options, addresses, say, &result); !status.ok()) return status;
  }
  say({absl::StrFormat("%d of %s, %s in %.1f s: %.0f kill points a second", progress.done,
                       CountOf(cells, "cell"), CountOf(progress.kills, "kill"), seconds,
                       static_cast<double>(progress.kills) / seconds)});
  return result;
}

}  // namespace kill9::sweep
