#include "harness/sweep/scene.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9::sweep {
namespace {

constexpr std::array<std::string_view, kOperationCount> kOperationNames = {
    "put_insert", "put_same", "put_larger", "put_smaller", "get",     "get_again", "erase",
    "cas_hit",    "cas_miss", "pin",        "release",     "reserve", "commit",    "drop",
    "for_each",   "attach",   "detach",     "recover",     "create"};
constexpr std::array<std::string_view, kStateCount> kStateNames = {
    "empty",        "one_entry",      "collision_pair", "collision_chain", "full_table",
    "full_segment", "pinned_by_live", "pinned_by_dead", "half_done_put",   "half_done_erase",
    "split",        "merge",          "first_block",    "last_block",      "all_participants_dead"};

constexpr uint64_t kHashSeed = 9;
constexpr uint32_t kParticipants = 8;
constexpr uint64_t kSmallestBytes = 64 << 10;
constexpr uint64_t kLargestBytes = 4 << 20;
constexpr uint32_t kValueBytes = 200;
constexpr uint32_t kLargerBytes = 900;
constexpr uint32_t kSmallerBytes = 40;
constexpr uint32_t kFillBytes = 3000;
constexpr uint32_t kMostFillers = 2000;
constexpr uint32_t kLossyFillers = 48;  // a lossy store is never full

// Designs choose buckets and stripes by some bits of the hash. Keys that agree in all of these
// share both in a segment as small as a scene's: the highest (multiply and shift), those from the
// 12th (masks above a tag), the lowest (masks; stripes). Searching for one costs half a million
// hashes, so only pair and chain do it; elsewhere a few bits are enough to be near the target.
constexpr uint64_t kChainBits = 0xFF80'0000'0003'F00F;
constexpr uint64_t kNearBits = 0xF000'000F'0000'00FF;
constexpr uint64_t kStripeGroups[] = {0xF000'0000'0000'0000, 0x0000'000F'0000'0000, 0x000F};

bool Apart(uint64_t a, uint64_t b) {
  return std::all_of(std::begin(kStripeGroups), std::end(kStripeGroups),
                     [a, b](uint64_t group) { return ((a ^ b) & group) != 0; });
}

// Fills a scene through one participant.
class SceneMaker {
 public:
  explicit SceneMaker(Scene& scene) : scene_(scene) {}

  absl::Status Make();

 private:
  template <typename Fits>
  uint32_t NewKey(std::string_view prefix, Fits fits) {
    for (uint32_t n = 0;; ++n) {
      std::string key = absl::StrCat(std::string(prefix), "-", n);
      if (fits(scene_.segment->Hash(key)) &&
          std::find(scene_.keys.begin(), scene_.keys.end(), key) == scene_.keys.end()) {
        scene_.keys.push_back(std::move(key));
        return static_cast<uint32_t>(scene_.keys.size() - 1);
      }
    }
  }
  absl::Status Put(uint32_t key, uint32_t bytes) {
    std::string value(bytes, '\0');
    FillValue(value, key + 1);
    return store_->Put(scene_.keys[key], value).status();
  }
  absl::Status Erase(uint32_t key) { return store_->Erase(scene_.keys[key]).status(); }
  // Puts new keys until there is no room; the last one put in *last.
  absl::Status FillWith(uint32_t bytes, uint32_t* last);
  absl::Status Fill();

  Scene& scene_;
  std::unique_ptr<Store> store_;
};

absl::Status SceneMaker::FillWith(uint32_t bytes, uint32_t* last) {
  bytes = static_cast<uint32_t>(std::min<size_t>(bytes, store_->max_value_bytes()));
  const uint32_t most = scene_.variant->traits().lossless ? kMostFillers : kLossyFillers;
  for (uint32_t count = 0; count < most; ++count) {
    uint32_t key = NewKey(absl::StrCat("filler", bytes), [](uint64_t) { return true; });
    absl::Status status = Put(key, bytes);
    if (absl::IsResourceExhausted(status)) {
      scene_.keys.pop_back();
      return absl::OkStatus();
    }
    if (!status.ok()) return status;
    if (last != nullptr) *last = key;
  }
  return absl::OkStatus();
}

absl::Status SceneMaker::Fill() {
  scene_.full = true;
  const StateKind state = scene_.state;
  if (state == StateKind::kFullTable) {
    if (absl::Status status = Put(scene_.target, kValueBytes); !status.ok()) return status;
    return FillWith(16, nullptr);
  }
  if (state == StateKind::kFirstBlock) {
    if (absl::Status status = Put(scene_.target, kValueBytes); !status.ok()) return status;
  }
  uint32_t last = scene_.elsewhere;
  if (absl::Status status = FillWith(kFillBytes, nullptr); !status.ok()) return status;
  if (state == StateKind::kFullSegment) {
    // In the middle: an early filler makes room for the target.
    if (absl::Status status = Erase(5); !status.ok()) return status;
    if (absl::Status status = Put(scene_.target, kValueBytes); !status.ok()) return status;
  }
  if (absl::Status status = FillWith(kValueBytes, &last); !status.ok()) return status;
  if (state == StateKind::kLastBlock) {
    if (absl::Status status = Erase(last); !status.ok()) return status;
    return Put(scene_.target, kValueBytes);
  }
  return FillWith(1, nullptr);
}

absl::Status SceneMaker::Make() {
  auto any = [](uint64_t) { return true; };
  scene_.target = NewKey("target", any);
  const uint64_t hash = scene_.segment->Hash(scene_.keys[scene_.target]);
  const bool collide =
      scene_.state == StateKind::kCollisionPair || scene_.state == StateKind::kCollisionChain;
  const uint64_t bits = collide ? kChainBits : kNearBits;
  auto beside = [hash, bits](uint64_t other) { return ((hash ^ other) & bits) == 0; };
  scene_.insert = NewKey("insert", beside);
  scene_.elsewhere = NewKey("elsewhere", [hash](uint64_t other) { return Apart(hash, other); });
  scene_.same_stripe = NewKey("same-stripe", beside);
  absl::StatusOr<std::unique_ptr<Store>> store = scene_.variant->Attach(scene_.segment);
  if (!store.ok()) return store.status();
  store_ = *std::move(store);

  // In the order in which they are put: neighbours in most heaps.
  struct Step {
    uint32_t key;
    uint32_t bytes;  // 0: erase
  };
  std::vector<Step> steps;
  switch (scene_.state) {
    case StateKind::kEmpty:
      break;
    case StateKind::kCollisionPair: {
      uint32_t before = NewKey("pair", beside);
      steps = {{before, kValueBytes}, {scene_.target, kValueBytes}};
      break;
    }
    case StateKind::kCollisionChain: {
      uint32_t before = NewKey("chain", beside);
      uint32_t after = NewKey("chain", beside);
      steps = {{before, kValueBytes}, {scene_.target, kValueBytes}, {after, kValueBytes}};
      break;
    }
    case StateKind::kSplit: {
      uint32_t hole = NewKey("hole", any);
      uint32_t other = NewKey("hole", any);
      uint32_t wall = NewKey("wall", any);
      steps = {{hole, 1500},  {scene_.target, kValueBytes},
               {other, 1500}, {wall, kValueBytes},
               {hole, 0},     {other, 0}};
      break;
    }
    case StateKind::kMerge: {
      uint32_t before = NewKey("before", any);
      uint32_t after = NewKey("after", any);
      uint32_t wall = NewKey("wall", any);
      steps = {{before, kValueBytes}, {scene_.target, kValueBytes},
               {after, kValueBytes},  {wall, kValueBytes},
               {before, 0},           {after, 0}};
      break;
    }
    case StateKind::kFullTable:
    case StateKind::kFullSegment:
    case StateKind::kFirstBlock:
    case StateKind::kLastBlock:
      if (absl::Status status = Fill(); !status.ok()) return status;
      break;
    default:
      steps = {{scene_.elsewhere, kValueBytes}, {scene_.target, kValueBytes}};
      break;
  }
  if (scene_.state == StateKind::kOneEntry) steps = {{scene_.target, kValueBytes}};
  for (const Step& step : steps) {
    absl::Status status = step.bytes == 0 ? Erase(step.key) : Put(step.key, step.bytes);
    if (!status.ok()) return status;
  }
  store_.reset();
  scene_.entries.resize(scene_.keys.size());
  for (uint32_t key = 0; key < scene_.keys.size(); ++key) scene_.numbers[scene_.keys[key]] = key;
  scene_.hold_live = scene_.state == StateKind::kPinnedByLive;
  scene_.hold_dead = scene_.state == StateKind::kPinnedByDead;
  scene_.all_participants_dead = scene_.state == StateKind::kAllParticipantsDead;
  return absl::OkStatus();
}

// One a process that makes scenes, always of the same length.
std::string NameOf(std::string_view what) {
  return absl::StrFormat("kill9-sweep-%s-%08d", std::string(what), getpid());
}

uint64_t Word(uint32_t id, uint64_t index) {
  uint64_t x = (uint64_t{id} << 32 | index) * 0x9E3779B97F4A7C15;
  return x ^ x >> 29;
}

}  // namespace

std::string_view Name(OperationKind operation) {
  return kOperationNames[static_cast<size_t>(operation)];
}
std::string_view Name(StateKind state) { return kStateNames[static_cast<size_t>(state)]; }

std::optional<OperationKind> FindOperation(std::string_view name) {
  auto found = std::find(kOperationNames.begin(), kOperationNames.end(), name);
  if (found == kOperationNames.end()) return std::nullopt;
  return static_cast<OperationKind>(found - kOperationNames.begin());
}

std::optional<StateKind> FindState(std::string_view name) {
  auto found = std::find(kStateNames.begin(), kStateNames.end(), name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<StateKind>(found - kStateNames.begin());
}

namespace {
bool IsFull(StateKind state) {
  return state == StateKind::kFullTable || state == StateKind::kFullSegment ||
         state == StateKind::kFirstBlock || state == StateKind::kLastBlock;
}
}  // namespace

bool Applies(const Traits& traits, OperationKind operation, StateKind state) {
  switch (operation) {
    case OperationKind::kCompareAndSwapHit:
    case OperationKind::kCompareAndSwapMiss:
      if (!traits.has_compare_and_swap) return false;
      break;
    case OperationKind::kPin:
    case OperationKind::kRelease:
      if (!traits.has_pin) return false;
      break;
    case OperationKind::kReserve:
    case OperationKind::kCommit:
    case OperationKind::kDrop:
      if (!traits.has_draft) return false;
      break;
    case OperationKind::kRecover:
      if (!traits.has_recovery) return false;
      break;
    default:
      break;
  }
  if ((state == StateKind::kPinnedByLive || state == StateKind::kPinnedByDead) && !traits.has_pin) {
    return false;
  }
  if (!traits.bounded && IsFull(state)) return false;
  if (state == StateKind::kAllParticipantsDead) {
    return operation == OperationKind::kAttach && traits.has_recovery && !traits.needs_name;
  }
  // While a segment is made, only its name and what is behind that are looked at, no other files.
  if (operation == OperationKind::kCreate) return state == StateKind::kEmpty && !traits.needs_name;
  if (state != StateKind::kEmpty) return true;
  return operation != OperationKind::kPutSame && operation != OperationKind::kPutLarger &&
         operation != OperationKind::kPutSmaller && operation != OperationKind::kRelease;
}

void FillValue(std::span<char> bytes, uint32_t id) {
  // The first bytes are the id itself, where there is room for it.
  size_t done = std::min(bytes.size(), sizeof id);
  std::memcpy(bytes.data(), &id, done);
  uint64_t index = 0;
  for (; done + sizeof(uint64_t) <= bytes.size(); ++index, done += sizeof(uint64_t)) {
    uint64_t word = Word(id, index);
    std::memcpy(bytes.data() + done, &word, sizeof word);
  }
  uint64_t last = Word(id, index);
  std::memcpy(bytes.data() + done, &last, bytes.size() - done);
}

bool IsValue(std::string_view bytes, uint32_t id, uint32_t size) {
  if (bytes.size() != size) return false;
  size_t done = std::min(bytes.size(), sizeof id);
  if (std::memcmp(bytes.data(), &id, done) != 0) return false;
  uint64_t index = 0;
  for (; done + sizeof(uint64_t) <= bytes.size(); ++index, done += sizeof(uint64_t)) {
    uint64_t found = 0;
    std::memcpy(&found, bytes.data() + done, sizeof found);
    if (found != Word(id, index)) return false;
  }
  uint64_t last = Word(id, index);
  return std::memcmp(bytes.data() + done, &last, bytes.size() - done) == 0;
}

bool ReadValue(std::string_view bytes, uint32_t* id) {
  *id = 0;
  std::memcpy(id, bytes.data(), std::min(bytes.size(), sizeof *id));
  return IsValue(bytes, *id, static_cast<uint32_t>(bytes.size()));
}

void ReadKeys(const Scene& scene, Store& store, Entry* entries) {
  std::string value;
  value.reserve(size_t{16} << 10);
  for (size_t key = 0; key < scene.keys.size(); ++key) {
    absl::StatusOr<Version> version = store.Get(scene.keys[key], &value);
    Entry entry;
    if (version.ok()) {
      entry = {true, 0, static_cast<uint32_t>(value.size()), *version};
      ReadValue(value, &entry.id);
    }
    entries[key] = entry;
  }
}

absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Variant& variant, StateKind state) {
  absl::Status status = absl::InternalError("no size was tried");
  // The smallest segment that a design can do something with: each byte is compared at each
  // instruction.
  for (uint64_t size = kSmallestBytes; size <= kLargestBytes; size *= 2) {
    auto scene = std::make_unique<Scene>();
    scene->variant = &variant;
    scene->state = state;
    scene->created_name = NameOf("create");
    scene->value_bytes = kValueBytes;
    scene->fill_bytes = kFillBytes;
    scene->options.size_bytes = size;
    scene->options.max_participants = kParticipants;
    scene->options.expected_entries = 16;
    scene->options.stripes = 4;
    scene->options.hash_seed = kHashSeed;
    if (variant.traits().needs_name) {
      scene->options.location = {SegmentKind::kNamed, NameOf("scene")};
      Segment::Unlink(scene->options.location).IgnoreError();  // of a cell that was cut off
    }
    absl::StatusOr<std::shared_ptr<Segment>> segment = variant.Create(scene->options);
    status = segment.status();
    if (!status.ok()) continue;
    scene->segment = *std::move(segment);
    status = SceneMaker(*scene).Make();
    if (status.ok()) return scene;
  }
  return absl::Status(
      status.code(),
      absl::StrCat("cannot make the state ", std::string(Name(state)), " for ",
                   std::string(variant.name()), ": ", std::string(status.message())));
}

std::optional<Entry> EffectOf(const Scene& scene, OperationKind operation, uint32_t id) {
  auto value = [id](uint32_t size) { return Entry{true, id, size, kAbsent}; };
  switch (operation) {
    case OperationKind::kPutInsert:
    case OperationKind::kPutSame:
    case OperationKind::kCompareAndSwapHit:
    case OperationKind::kCommit:
      return value(kValueBytes);
    case OperationKind::kPutLarger:
      return value(kLargerBytes);
    case OperationKind::kPutSmaller:
      return value(kSmallerBytes);
    case OperationKind::kErase:
      if (!scene.entries[scene.target].present) return std::nullopt;
      return Entry{};
    default:
      return std::nullopt;
  }
}

}  // namespace kill9::sweep
