#include "harness/store_driver/workload.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "harness/torture/shape/large_rarely.h"

namespace kill9 {
namespace {

constexpr Mix kMixed = Mix{}
                           .With(Action::kGet, 309)
                           .With(Action::kPut, 230)
                           .With(Action::kErase, 100)
                           .With(Action::kCompareAndSwap, 110)
                           .With(Action::kPin, 120)
                           .With(Action::kDraft, 125)
                           .With(Action::kForEach, 5)
                           .With(Action::kIdle, 1);
}  // namespace

const Mix kExpiryMix = Mix{}
                           .With(Action::kGet, 220)
                           .With(Action::kPut, 80)
                           .With(Action::kPutUntil, 280)
                           .With(Action::kErase, 50)
                           .With(Action::kCompareAndSwap, 80)
                           .With(Action::kReplace, 80)
                           .With(Action::kPin, 80)
                           .With(Action::kDraft, 60)
                           .With(Action::kGetMany, 60)
                           .With(Action::kClear, 4)
                           .With(Action::kForEach, 5)
                           .With(Action::kIdle, 1);
const Mix kLeaseMix = Mix{}
                          .With(Action::kLease, 600)
                          .With(Action::kPutUntil, 100)
                          .With(Action::kErase, 199)
                          .With(Action::kGet, 100)
                          .With(Action::kIdle, 1);

namespace {

constexpr uint64_t kYcsbKeys = 1000;
constexpr ValueSizes kYcsbSizes = {100, 100, false};

constexpr std::array kWorkloads = {
    Workload{"mixed", kMixed, KeyDistribution::kUniform, 256, {0, 4096, true}},
    Workload{"ycsb-a", Mix{}.With(Action::kGet, 500).With(Action::kPut, 500),
             KeyDistribution::kZipfian, kYcsbKeys, kYcsbSizes},
    Workload{"ycsb-b", Mix{}.With(Action::kGet, 950).With(Action::kPut, 50),
             KeyDistribution::kZipfian, kYcsbKeys, kYcsbSizes},
    Workload{"ycsb-c", Mix{}.With(Action::kGet, 1000), KeyDistribution::kZipfian, kYcsbKeys,
             kYcsbSizes},
    Workload{"ycsb-d", Mix{}.With(Action::kGet, 950).With(Action::kInsert, 50),
             KeyDistribution::kLatest, kYcsbKeys, kYcsbSizes},
    Workload{"ycsb-f", Mix{}.With(Action::kGet, 500).With(Action::kReadModifyWrite, 500),
             KeyDistribution::kZipfian, kYcsbKeys, kYcsbSizes},
};

// Nothing, beside a word, what ends within one; a page, and what is no power of two; the sizes at
// which C libraries, kernels and processors go another way.
constexpr uint32_t kCommonEdges[] = {0,    1,    8,    9,       24,      64,     197,
                                     1024, 4096, 9000, 1 << 15, 1 << 16, 1 << 20};

constexpr bool SharesAddUp() {
  for (const Workload& workload : kWorkloads) {
    int sum = 0;
    for (uint16_t share : workload.mix.per_mille) sum += share;
    if (sum != 1000) return false;
  }
  return true;
}
static_assert(SharesAddUp());

}  // namespace

std::span<const Workload> AllWorkloads() { return kWorkloads; }

const Workload* FindWorkload(std::string_view name) {
  for (const Workload& workload : kWorkloads) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

Mix AdaptMix(const Mix& mix, const Traits& traits) {
  Mix adapted = mix;
  auto replace = [&adapted](Action from, Action to) {
    auto& shares = adapted.per_mille;
    shares[static_cast<size_t>(to)] =
        static_cast<uint16_t>(shares[static_cast<size_t>(to)] + shares[static_cast<size_t>(from)]);
    shares[static_cast<size_t>(from)] = 0;
  };
  if (!traits.has_compare_and_swap) replace(Action::kCompareAndSwap, Action::kPut);
  if (!traits.has_pin) replace(Action::kPin, Action::kGet);
  if (!traits.has_draft) replace(Action::kDraft, Action::kPut);
  return adapted;
}

WorkloadGenerator::WorkloadGenerator(const Workload& workload, const Mix& mix,
                                     const SizeEdges& edges)
    : chooser_(workload.distribution, workload.keys),
      keys_(workload.keys),
      sizes_(workload.sizes),
      edges_(edges) {
  size_t at = 0;
  for (size_t action = 0; action < kActions; ++action) {
    for (uint16_t i = 0; i < mix.per_mille[action]; ++i) {
      actions_[at++ % actions_.size()] = static_cast<Action>(action);
    }
  }
}

Action WorkloadGenerator::NextAction(Random& random) const {
  return actions_[random.Below(actions_.size())];
}

uint64_t WorkloadGenerator::ErasableKey(uint64_t key) const {
  const uint64_t odd = key | 1;
  return odd < keys_ ? odd : keys_ > 1 ? 1 : keys_;
}

// One of the edges, or its neighbour.
uint32_t WorkloadGenerator::EdgeSize(Random& random, size_t key_bytes, uint32_t largest) const {
  const uint64_t common = std::size(kCommonEdges), own = edges_.value_bytes.size();
  const uint64_t drawn = random.Below(common + own + edges_.entry_bytes.size() + 1);
  const uint64_t beside = random.Below(3);  // 0: one less; 1: the edge; 2: one more
  uint64_t size = largest;
  if (drawn < common) {
    size = kCommonEdges[drawn];
  } else if (drawn < common + own) {
    size = edges_.value_bytes[drawn - common];
  } else if (drawn < common + own + edges_.entry_bytes.size()) {
    const uint64_t unit = edges_.key_unit_bytes;
    const uint64_t before = edges_.overhead_bytes + (key_bytes + unit - 1) / unit * unit;
    const uint64_t entry = edges_.entry_bytes[drawn - common - own];
    size = entry > before ? entry - before : 0;
  }
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(size + beside, sizes_.smallest + uint64_t{1}, uint64_t{largest} + 1) -
      1);
}

uint32_t WorkloadGenerator::NextSize(Random& random, size_t key_bytes) const {
  if (sizes_.smallest == sizes_.largest) return sizes_.smallest;
  return DrawLargeRarely(random, sizes_.smallest, sizes_.largest, [&](uint32_t largest) {
    if (sizes_.at_edges) return EdgeSize(random, key_bytes, largest);
    const uint32_t span = largest - sizes_.smallest;
    if (!sizes_.spread) return sizes_.smallest + static_cast<uint32_t>(random.Below(span + 1u));
    const uint64_t doublings = static_cast<uint64_t>(std::bit_width(span));
    const uint64_t limit = uint64_t{1} << random.Below(doublings + 1);
    return sizes_.smallest +
           static_cast<uint32_t>(random.Below(std::min<uint64_t>(limit, span + 1u)));
  });
}

}  // namespace kill9
