#include "harness/store_driver/store_driver.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/result/result.h"
#include "harness/store_driver/shape/draw_shape.h"
#include "harness/store_driver/shape/shape_classes.h"
#include "harness/store_driver/store_client.h"
#include "harness/torture/shape/draw_segment.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9 {
namespace {

using shape_text::kDrawn;
using shape_text::kUsual;

// Keys that only the auditor writes, to fill the store: numbers from KeyTable::workload_keys() on.
constexpr uint64_t kFillKeys = 8192;

Scenario HotKey() {
  return {.name = "hot_key",
          .summary = "nearly all operations meet on one key",
          .timer = {.life_us = 1500, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario LargeValues() {
  return {.name = "large_values",
          .summary = "values from nothing to 64 KiB, so that deaths fall into copies",
          .segment_bytes = 16u << 20,
          .timer = {.life_us = 3000, .in_attach = 10, .in_detach = 0, .in_recovery = 30}};
}

Scenario ExpiryScenario() {
  return {.name = "expiry",
          .summary = "entries meet their deadlines all the time, and all are cleared now and then",
          .timer = {.life_us = 1500, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

Scenario LeasesScenario() {
  return {.name = "leases",
          .summary = "one computes what others wait for asleep, and dies while it does",
          .timer = {.life_us = 1500, .in_attach = 20, .in_detach = 0, .in_recovery = 30}};
}

TermsOfRun TermsOf(std::string_view scenario) {
  if (scenario == "expiry") return {.kept = true, .needs_expired = true, .needs_waits = false};
  if (scenario == "nobody_dies") {
    return {.kept = true, .needs_expired = false, .needs_waits = true, .all_wait = true};
  }
  if (scenario == "leases") return {.kept = true, .needs_expired = false, .needs_waits = true};
  return {};
}

// The work that goes on in a scenario.
Workload WorkloadOf(std::string_view scenario) {
  const auto mixed = [](KeyDistribution distribution, uint64_t keys, ValueSizes sizes) {
    Workload workload = *FindWorkload("mixed");
    workload.distribution = distribution;
    workload.keys = keys;
    workload.sizes = sizes;
    return workload;
  };
  constexpr ValueSizes kSmall = {24, 160, false};
  constexpr ValueSizes kToOnePage = {0, 4096, true};
  if (scenario == "kill_one_at_a_time") return mixed(KeyDistribution::kZipfian, 256, kToOnePage);
  if (scenario == "kill_all") return mixed(KeyDistribution::kUniform, 256, kToOnePage);
  if (scenario == "churn") return mixed(KeyDistribution::kUniform, 64, kSmall);
  if (scenario == "full_table") return mixed(KeyDistribution::kUniform, 64, kSmall);
  if (scenario == "full_segment") return mixed(KeyDistribution::kUniform, 1024, {0, 8192, false});
  if (scenario == "hot_key") return mixed(KeyDistribution::kHotspot, 100, {8, 512, true});
  if (scenario == "large_values") return mixed(KeyDistribution::kUniform, 128, {0, 64 << 10, true});
  if (scenario == "expiry") {
    return {"expiry", kExpiryMix, KeyDistribution::kUniform, 48, kSmall};
  }
  if (scenario == "nobody_dies") {
    return {"all-wait", kLeaseMix, KeyDistribution::kUniform, 6, kSmall};
  }
  if (scenario == "leases") return {"leases", kLeaseMix, KeyDistribution::kUniform, 6, kSmall};
  return mixed(KeyDistribution::kUniform, 256, kSmall);
}

// Whether a run of the scenario can prove something in the shape. Every second key never meets its
// deadline. Nobody waits for another's lease of one key that is nearly always there, nor among very
// many.
bool CanProveSomething(const Scenario& scenario, const StoreShape& shape) {
  constexpr uint64_t kFewestKeys = 2, kFewestLeasedKeys = 8, kMostLeasedKeys = 64;
  const TermsOfRun terms = TermsOf(scenario.name);
  if (!terms.kept) return true;
  if (!terms.needs_waits) return shape.keys >= kFewestKeys;
  return shape.distribution != KeyDistribution::kHotspot && shape.keys >= kFewestLeasedKeys &&
         shape.keys <= kMostLeasedKeys && shape.without == 0;
}

// Changes *shape as the request says.
absl::StatusOr<ShapeTrial> ShapeTo(const Variant& variant, const Scenario& scenario,
                                   const ShapeRequest& request, const ShapeBounds& bounds,
                                   StoreShape* shape) {
  if (request.text != kDrawn) {
    if (absl::Status status = ParseShape(request.text, shape); !status.ok()) return status;
    return FitShape(variant, *shape, request.seed, bounds);
  }
  Random random = RandomOfShape(request.seed, scenario.name, variant.name());
  absl::StatusOr<DrawnShape> drawn = DrawShape(variant, *shape, request.seed, bounds, random);
  while (drawn.ok() && !CanProveSomething(scenario, drawn->shape)) {
    drawn = DrawShape(variant, *shape, request.seed, bounds, random);
  }
  if (!drawn.ok()) return drawn.status();
  *shape = drawn->shape;
  return std::move(drawn->trial);
}

}  // namespace

StoreRun::StoreRun(const Variant& variant, const Workload& workload, const StoreShape& shape,
                   std::vector<std::string> keys, uint32_t participants, const TermsOfRun& terms)
    : traits_(variant.traits()),
      shape_(shape),
      participants_(participants),
      keys_(std::move(keys), kFillKeys),
      generator_(workload, WithoutAbsent(AdaptMix(workload.mix, traits_), shape), traits_.edges),
      boards_(keys_.size()),
      terms_(terms) {}

std::unique_ptr<Client> StoreRun::NewClient(const RunContext& context, uint32_t slot,
                                            uint32_t process) const {
  return std::make_unique<StoreClient>(context, *this, slot, process);
}

void StoreRun::CallEach(SharedObject& inherited, Told told) const {
  Store& store = static_cast<Store&>(inherited);
  const std::string_view key = keys_.text(0);
  told("Get", store.Get(key, nullptr).status());
  told("Put", store.Put(key, "not to be seen").status());
  told("Erase", store.Erase(key).status());
  told("ForEach", store.ForEach([](const EntryView&) { return true; }));
  if (traits_.has_pin) told("Pin", store.Pin(key).status());
  if (traits_.has_draft) told("Reserve", store.Reserve(key, 64).status());
}

std::string StoreRun::DescribeStep(Function function, uint64_t subject) const {
  return absl::StrCat(std::string(RowOf(function).call), " of key ", subject);
}

Json StoreRun::Counts() const {
  const StoreCounts& counts = boards_.counts();
  const auto raised = [](const std::atomic<uint64_t>& count) {
    return count.load(std::memory_order_relaxed);
  };
  Json json = {{"filled_keys", counts.filled_keys.load(std::memory_order_relaxed)},
               {"lost_writes", counts.lost_writes.load(std::memory_order_relaxed)}};
  if (traits_.moves_hot) json["moved"] = raised(counts.moved);
  if (terms_.kept) {
    json["expired"] = raised(counts.expired);
    json["waits"] = raised(counts.waits);
  }
  return json;
}

std::string StoreRun::WhatIsMissing() const {
  const StoreCounts& counts = boards_.counts();
  // Relaxed: the run is over.
  if (terms_.needs_expired && counts.expired.load(std::memory_order_relaxed) == 0) {
    return "no entry has expired";
  }
  if (terms_.needs_waits && counts.waits.load(std::memory_order_relaxed) == 0) {
    return "nobody has waited for another's lease";
  }
  return "";
}

Json StoreRun::shape_classes() const { return ToJson(ClassesOf(shape_, participants_)); }

std::span<const Scenario> StoreDriver::scenarios() const {
  static const auto* scenarios = new std::vector<Scenario>(
      CommonScenariosWith({HotKey(), LargeValues(), ExpiryScenario(), LeasesScenario()}));
  return *scenarios;
}

std::vector<std::string_view> StoreDriver::workloads() const {
  std::vector<std::string_view> names;
  for (const Workload& workload : AllWorkloads()) names.push_back(workload.name);
  return names;
}

bool StoreDriver::RecordsVersions(const Design& design) const {
  return static_cast<const Variant&>(design).traits().has_versions;
}

// The usual shape is made without a trial: so it is of other libraries, too.
absl::StatusOr<std::unique_ptr<PreparedRun>> StoreDriver::PrepareShaped(
    const Design& design, const Scenario& scenario, std::string_view workload,
    const ShapeRequest& request) const {
  const Variant& variant = static_cast<const Variant&>(design);
  const TermsOfRun terms = TermsOf(scenario.name);
  if (terms.kept && !variant.traits().can_keep_terms) {
    return absl::UnimplementedError("its segments keep no terms (deadlines, leases)");
  }
  Workload work = WorkloadOf(scenario.name);
  if (!workload.empty()) {
    const Workload* named = FindWorkload(workload);
    if (named == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("a store has no workload '", std::string(workload), "'"));
    }
    work = *named;
  }
  StoreShape shape{.segment_bytes = scenario.segment_bytes,
                   .participants = request.usual_participants,
                   .keys = work.keys,
                   .distribution = work.distribution,
                   .sizes = work.sizes};
  if (!TakesValuesOf(variant.traits(), work.sizes.largest)) {
    return absl::UnimplementedError(absl::StrCat("its values have at most ",
                                                 variant.traits().edges.value_bytes.back(),
                                                 " bytes, and here ", work.sizes.largest));
  }
  if (request.text == kUsual || variant.traits().needs_name) {
    auto usual = std::make_unique<StoreRun>(variant, work, shape, PlainKeys(shape.keys),
                                            request.least_participants, terms);
    // As a repeat line spells it out.
    if (request.text == kUsual || request.text == usual->shape()) return usual;
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(variant.name()), " has the usual shape only"));
  }
  ShapeBounds bounds = BoundsOf(scenario);
  bounds.least_participants = request.least_participants;
  bounds.most_participants = request.most_participants;
  bounds.keeps_work = !workload.empty();
  bounds.keeps_terms = terms.kept;
  const absl::StatusOr<ShapeTrial> trial = ShapeTo(variant, scenario, request, bounds, &shape);
  if (!trial.ok()) return trial.status();
  work.keys = shape.keys;
  work.distribution = shape.distribution;
  work.sizes = shape.sizes;
  std::vector<std::string> keys =
      KeysOf(shape.family, shape.keys, variant.traits().edges.max_key_bytes,
             [&](std::string_view key) { return trial->segment->Hash(key); });
  return std::make_unique<StoreRun>(variant, work, shape, std::move(keys),
                                    request.least_participants, terms);
}

Json StoreDriver::shape_classes() const { return ToJson(AllShapeClasses()); }

}  // namespace kill9
