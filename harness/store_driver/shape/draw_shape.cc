#include "harness/store_driver/shape/draw_shape.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/torture/shape/draw_segment.h"

namespace kill9 {
namespace {

constexpr uint64_t kKiB = 1u << 10;
constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kLeastCapacity = 48 * kKiB;
constexpr uint64_t kLeastLargestValue = 1 * kKiB;
constexpr uint64_t kMostDrawnValue = 4 * kMiB;
constexpr uint64_t kMostUniformKeys = 512;
constexpr int kTries = 24;

uint64_t DrawSegment(Random& random, const ShapeBounds& bounds) {
  constexpr SegmentRange kAny[] = {{50, kMiB, 8 * kMiB},
                                   {30, 8 * kMiB, 32 * kMiB},
                                   {14, 32 * kMiB, 96 * kMiB},
                                   {5, 96 * kMiB, 256 * kMiB},
                                   {1, 256 * kMiB, 3072 * kMiB}};
  constexpr SegmentRange kFull[] = {{100, 320 * kKiB, 2 * kMiB}};
  const std::span<const SegmentRange> ranges =
      bounds.always_full ? std::span<const SegmentRange>(kFull) : kAny;
  return DrawSegmentBytes(random, ranges, bounds.most_segment_bytes);
}

uint64_t DrawEntries(Random& random, const StoreShape& shape) {
  const uint64_t few = std::max<uint64_t>(1, shape.keys / Between(random, 16, 256));
  const uint64_t many = std::min(shape.keys * Between(random, 16, 256), shape.segment_bytes / 128);
  return Draw<uint64_t>(random, std::array{uint64_t{0}, few, few, many}, 2);
}

uint64_t DrawKeys(Random& random, const ShapeBounds& bounds) {
  if (bounds.always_full) return Between(random, 512, 4096);
  const std::array<uint64_t, 4> choices = {Between(random, 1, 16), Between(random, 17, 256),
                                           Between(random, 257, 1024), Between(random, 1025, 4096)};
  return Draw(random, choices);
}

ValueSizes DrawSizes(Random& random, const ShapeBounds& bounds, uint64_t max_value_bytes) {
  const uint64_t most = std::min(max_value_bytes, kMostDrawnValue);
  const std::array<uint64_t, 5> large = {64 * kKiB, 64 * kKiB, 256 * kKiB, kMiB, most};
  const std::array<uint64_t, 8> any = {200, 8, 197, 1000, 4 * kKiB, 9000, 64 * kKiB, kMiB};
  const std::array<uint64_t, 4> full = {9000, 2000, 8 * kKiB, 16 * kKiB};
  const uint64_t largest = bounds.large_values  ? Draw(random, large)
                           : bounds.always_full ? Draw(random, full)
                                                : Draw(random, any);
  ValueSizes sizes{0, static_cast<uint32_t>(std::min(largest, most)), false, false};
  const uint64_t how = random.Below(10);
  sizes.at_edges = how < 5;
  sizes.spread = how >= 5 && (how < 8 || sizes.largest > 64 * kKiB);
  if (how == 9 && !bounds.large_values) sizes.smallest = sizes.largest;
  return sizes;
}

uint32_t DrawAbsent(Random& random) {
  uint32_t without = 0;
  for (const Action action : kOptionalActions) {
    const bool rare = action == Action::kGet || action == Action::kPut;
    if (random.Chance(rare ? 100 : 250)) without |= 1u << static_cast<int>(action);
  }
  // Something is written, most often by Put.
  StoreShape drawn;
  drawn.without = without;
  if (CheckShape(drawn).ok()) return without;
  return without & ~(1u << static_cast<int>(Action::kPut));
}

// More room, or room in larger parts.
void Enlarge(Random& random, StoreShape& shape) {
  if (shape.stripes > 1 && random.Chance(600)) {
    shape.stripes /= 2;
  } else if (shape.expected_entries > 64 && random.Chance(500)) {
    shape.expected_entries /= 4;
  } else {
    shape.segment_bytes += shape.segment_bytes / 2;
  }
}

}  // namespace

ShapeBounds BoundsOf(const Scenario& scenario) {
  return {.keeps_choice = scenario.name == "hot_key",
          .always_full = scenario.needs.refusals,
          .large_values = scenario.name == "large_values"};
}

absl::StatusOr<ShapeTrial> TryShape(const Variant& variant, const StoreShape& shape, uint64_t seed,
                                    bool keeps_terms) {
  SegmentOptions options;
  ApplyTo(shape, &options);
  options.size_bytes = std::min(options.size_bytes, kMostTrialBytes);
  options.expected_entries = std::min(options.expected_entries, options.size_bytes);
  options.hash_seed = seed;
  options.keeps_terms = keeps_terms;
  absl::StatusOr<std::shared_ptr<Segment>> segment = variant.Create(options);
  if (!segment.ok()) return segment.status();
  absl::StatusOr<std::unique_ptr<Store>> store = variant.Attach(*segment);
  if (!store.ok()) return store.status();
  ShapeTrial trial{.segment = *std::move(segment), .max_value_bytes = (*store)->max_value_bytes()};
  trial.capacity_bytes = trial.max_value_bytes;
  if (!variant.traits().has_audit) return trial;
  const absl::StatusOr<AuditReport> audit = (*store)->Audit();
  if (!audit.ok()) return audit.status();
  trial.capacity_bytes = audit->capacity.bytes;
  return trial;
}

absl::StatusOr<ShapeTrial> FitShape(const Variant& variant, const StoreShape& shape, uint64_t seed,
                                    const ShapeBounds& bounds) {
  if (absl::Status status = CheckParticipants(shape.participants, bounds.least_participants,
                                              bounds.most_participants);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<ShapeTrial> trial = TryShape(variant, shape, seed, bounds.keeps_terms);
  if (!trial.ok() || shape.sizes.largest <= trial->max_value_bytes) return trial;
  return absl::InvalidArgumentError(absl::StrCat("values: of up to ", shape.sizes.largest,
                                                 " bytes; such a segment takes ",
                                                 trial->max_value_bytes, " at most"));
}

absl::StatusOr<DrawnShape> DrawShape(const Variant& variant, const StoreShape& usual,
                                     uint64_t hash_seed, const ShapeBounds& bounds,
                                     Random& random) {
  StoreShape shape = usual;
  if (random.Chance(850)) shape.segment_bytes = DrawSegment(random, bounds);
  if (random.Chance(850)) {
    shape.participants = DrawParticipants(random, usual.participants, bounds.least_participants,
                                          bounds.most_participants);
  }
  if (!bounds.keeps_work) {
    shape.keys = DrawKeys(random, bounds);
    shape.without = DrawAbsent(random);
    if (!bounds.keeps_choice) {
      shape.distribution = Draw(random,
                                std::array{KeyDistribution::kUniform, KeyDistribution::kZipfian,
                                           KeyDistribution::kHotspot, KeyDistribution::kOneHot},
                                2);
    }
  }
  // Many keys, all alike: no two operations would ever meet on one.
  if (shape.keys > kMostUniformKeys && shape.distribution == KeyDistribution::kUniform) {
    shape.distribution = KeyDistribution::kZipfian;
  }
  shape.family = kKeyFamilies[random.Below(std::size(kKeyFamilies))];
  shape.expected_entries = DrawEntries(random, shape);
  if (variant.traits().blocks == Traits::Reach::kStripe) {
    shape.stripes =
        Draw<uint32_t>(random, std::array{0u, 1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 256u}, 2);
  }
  const uint64_t least_value = bounds.keeps_work ? shape.sizes.largest : kLeastLargestValue;
  for (int tries = 0;; ++tries) {
    absl::StatusOr<ShapeTrial> trial = TryShape(variant, shape, hash_seed, bounds.keeps_terms);
    if (trial.ok() && trial->capacity_bytes >= kLeastCapacity &&
        trial->max_value_bytes >= least_value) {
      if (!bounds.keeps_work) shape.sizes = DrawSizes(random, bounds, trial->max_value_bytes);
      return DrawnShape{shape, *std::move(trial)};
    }
    if (!trial.ok() && !absl::IsInvalidArgument(trial.status())) return trial.status();
    if (tries == kTries) {
      return absl::InternalError(
          absl::StrCat("no room is enough for the shape ", ShapeText(shape)));
    }
    Enlarge(random, shape);
  }
}

}  // namespace kill9
