// Channels, heaps and pools of buffers, as property/segment has it of stores: whatever bytes an
// operation finds, it returns (KILL9_FUZZ_INPUTS: so many inputs of each design); and whatever
// options are asked for, Create refuses them or makes an object that works.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/base/shared_mapping.h"
#include "property/scaffold/children.h"
#include "property/segment/segment_damage.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr uint64_t kUsualInputs = 1500, kInputsOfAChild = 50;
constexpr rlim_t kMostCpuSeconds = 10;  // of a child, which needs a fraction of one
constexpr Deadline kNow = Deadline::None();

std::vector<const Design*> ObjectsButStores() {
  std::vector<const Design*> designs;
  for (const Design* design : AllDesigns()) {
    const bool is_store = design->kind() == Variant::kKind;
    if (!is_store && design->role() == Design::Role::kDesign) designs.push_back(design);
  }
  return designs;
}

// Some of all that its kind can do.
void Use(Channel& channel, std::mt19937_64& random) {
  for (int i = 0; i < 6; ++i) channel.Send(std::string(random() % 600, 'm'), kNow).IgnoreError();
  absl::StatusOr<MessageDraft> draft = channel.Reserve(random() % 300, kNow);
  std::string message;
  channel.Receive(&message, kNow).IgnoreError();
  if (draft.ok()) channel.Commit(*std::move(draft)).IgnoreError();
  if (absl::StatusOr<TakenMessage> taken = channel.Take(kNow); taken.ok()) {
    message.assign(taken->bytes());
    channel.Return(*std::move(taken)).IgnoreError();
  }
  if (absl::StatusOr<MessageBatch> batch = channel.Drain(3, kNow); batch.ok()) {
    for (const Message& one : *batch) message.assign(one.bytes);
  }
  while (channel.Receive(&message, kNow).ok()) {
    if (random() % 64 == 0) break;
  }
  channel.Look().IgnoreError();
  if (random() % 2 == 0) channel.Close().IgnoreError();
}

void Use(Heap& heap, std::mt19937_64& random) {
  std::vector<BlockHandle> blocks;
  heap.ForEach([&](const HeapBlock& block) {
        blocks.push_back(block.handle);
        return blocks.size() < 10'000;
      })
      .IgnoreError();
  for (int i = 0; i < 12; ++i) {
    const absl::StatusOr<BlockHandle> block = heap.Allocate(random() % 3000, kNow);
    if (!block.ok()) continue;
    blocks.push_back(*block);
    if (const auto data = heap.Data(*block); data.ok()) std::memset(data->data(), 1, data->size());
  }
  absl::StatusOr<HeapReserve> reserve = heap.Reserve(1 + random() % 4, 100, kNow);
  if (reserve.ok()) heap.Allocate(*reserve, 60).IgnoreError();
  for (const BlockHandle& block : blocks) {
    heap.Owners(block).IgnoreError();
    if (random() % 3 != 0) heap.Free(block).IgnoreError();
  }
  heap.Look().IgnoreError();
  heap.Account().IgnoreError();
}

void Use(BufferPool& pool, std::mt19937_64& random) {
  std::vector<Buffer> buffers;
  for (int i = 0; i < 6; ++i) {
    absl::StatusOr<Buffer> buffer = pool.Allocate(random() % 2000, kNow);
    if (!buffer.ok()) continue;
    buffers.push_back(*std::move(buffer));
  }
  pool.DropSent(0).IgnoreError();
  pool.TakeSeat(0).IgnoreError();
  pool.Account().IgnoreError();
}

// Each of these is the process's when it ends.
void Hold(Channel& channel) {
  static MessageDraft draft;
  static TakenMessage taken;
  static MessageBatch batch;
  for (size_t i = 0; i < 9; ++i) channel.Send(std::string(90 * i, 'w'), kNow).IgnoreError();
  if (auto one = channel.Take(kNow); one.ok()) taken = *std::move(one);
  if (auto some = channel.Drain(2, kNow); some.ok()) batch = *std::move(some);
  if (auto one = channel.Reserve(200, kNow); one.ok()) draft = *std::move(one);
}

void Hold(BufferPool& pool) {
  static std::vector<Buffer> buffers;
  for (size_t i = 0; i < 9; ++i) {
    if (auto one = pool.Allocate(90 * i, kNow); one.ok()) buffers.push_back(*std::move(one));
  }
}

void UseAny(SharedObject& object, std::mt19937_64& random) {
  if (random() % 2 == 0) object.Audit().IgnoreError();
  if (random() % 2 == 0) object.Recover().IgnoreError();
  if (auto* const channel = dynamic_cast<Channel*>(&object)) Use(*channel, random);
  if (auto* const heap = dynamic_cast<Heap*>(&object)) Use(*heap, random);
  if (auto* const pool = dynamic_cast<BufferPool*>(&object)) Use(*pool, random);
  object.Recover().IgnoreError();
  object.Audit().IgnoreError();
}

class Objects : public ::testing::TestWithParam<const Design*> {
 protected:
  static SegmentOptions Small() {
    SegmentOptions options;
    options.size_bytes = 256 << 10;
    options.max_participants = 4;
    options.hash_seed = 7;
    return options;
  }
  // As a process leaves one that ended with whatever it held.
  static std::string Left(uint64_t seed) {
    const std::shared_ptr<Segment> segment = *GetParam()->Create(Small());
    Child victim([&](Line&) {
      std::mt19937_64 random(seed);
      SharedObject* const object = GetParam()->AttachObject(segment)->release();
      if (auto* const channel = dynamic_cast<Channel*>(object)) Hold(*channel);
      if (auto* const heap = dynamic_cast<Heap*>(object)) Use(*heap, random);
      if (auto* const pool = dynamic_cast<BufferPool*>(object)) Hold(*pool);
      return 0;
    });
    EXPECT_EQ(victim.ExitStatus(), 0);
    struct stat file = {};  // of one that grows: what it has by now
    EXPECT_EQ(fstat(segment->fd(), &file), 0);
    return std::string(segment->base(), static_cast<size_t>(file.st_size));
  }

  // What one input does to it, in a process that may not survive it.
  // How many members of two could attach.
  static uint64_t Try(const std::string& bytes, uint64_t seed) {
    const int fd = memfd_create("kill9-damaged", MFD_CLOEXEC);
    if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) _exit(2);
    std::mt19937_64 random(seed);
    absl::StatusOr<std::shared_ptr<Segment>> segment = GetParam()->FromFd(fd);
    if (!segment.ok()) return 0;
    uint64_t attached = 0;
    for (int member = 0; member < 2; ++member) {
      const auto object = GetParam()->AttachObject(*segment);
      if (!object.ok()) continue;
      ++attached;
      UseAny(**object, random);
    }
    close(fd);
    return attached;
  }
};

// Where a child is, for its parent to tell.
struct Place {
  uint64_t input, attached;
};

TEST_P(Objects, SurviveWhateverBytesTheyAreMadeOf) {
  const std::string bases[] = {Left(1), Left(2)};
  const char* const given = std::getenv("KILL9_FUZZ_INPUTS");
  const uint64_t inputs = given != nullptr ? std::strtoull(given, nullptr, 10) : kUsualInputs;
  const SharedMapping<Place> place = MapShared<Place>();
  ASSERT_NE(place, nullptr);
  for (uint64_t next = 0; next < inputs;) {
    const uint64_t last = std::min(next + kInputsOfAChild, inputs);
    Child child([&](Line&) {
      const rlimit cpu = {kMostCpuSeconds, kMostCpuSeconds}, no_core = {0, 0};
      setrlimit(RLIMIT_CPU, &cpu);
      setrlimit(RLIMIT_CORE, &no_core);
      for (place->input = next; place->input < last; ++place->input) {
        std::string bytes = bases[place->input % 2];
        const uint64_t seed = TestSeed() * 1'000'003 + place->input;
        // The first ones are as they were left.
        if (place->input >= 2) SegmentDamage(bytes, bases[(place->input + 1) % 2], seed).Do();
        place->attached += Try(bytes, seed);
      }
      return 0;
    });
    const int status = child.ExitStatus();
    if (status != 0) {
      ADD_FAILURE() << "input " << place->input << " ended its process: " << status
                    << "; KILL9_SEED=" << TestSeed();
    }
    next = status == 0 ? last : place->input + 1;
  }
  EXPECT_GT(place->attached, inputs) << "the premise: what lies behind attach is reached";
}

// Near each power of two, where products and roundings overflow, and small numbers.
uint64_t Extreme(std::mt19937_64& random, int highest_bit) {
  const uint64_t power = uint64_t{1} << random() % static_cast<uint64_t>(highest_bit + 1);
  const uint64_t values[] = {random() % 3, power - 1, power + random() % 3,
                             ~uint64_t{0} - random() % 3};
  return values[random() % std::size(values)];
}

TEST_P(Objects, AreRefusedOrWorkWhateverTheirOptions) {
  std::mt19937_64 random(TestSeed());
  int made = 0, refused = 0;
  for (int i = 0; i < 200; ++i) {
    SegmentOptions options = Small();
    for (uint64_t which = 1 + random() % 15; which != 0; which &= which - 1) {
      if (which & 1) options.expected_entries = Extreme(random, 63);
      if (which & 2) options.stripes = static_cast<uint32_t>(Extreme(random, 31));
      if (which & 4) options.max_participants = static_cast<uint32_t>(Extreme(random, 31));
      if (which & 8) options.size_bytes = Extreme(random, 17);
    }
    SCOPED_TRACE(absl::StrCat(options.size_bytes, " bytes, ", options.max_participants,
                              " participants, ", options.expected_entries, " entries, ",
                              options.stripes, " stripes; KILL9_SEED=", TestSeed()));
    const absl::StatusOr<std::shared_ptr<Segment>> segment = GetParam()->Create(options);
    ++(segment.ok() ? made : refused);
    if (!segment.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(segment.status()) ||
                  absl::IsResourceExhausted(segment.status()))
          << segment.status();
      continue;
    }
    const auto object = GetParam()->AttachObject(*segment);
    ASSERT_TRUE(object.ok()) << object.status();
    UseAny(**object, random);
    const absl::StatusOr<AuditReport> report = (*object)->Audit();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->leaked.blocks + report->doubly_owned, 0u);
    EXPECT_TRUE(report->violations.empty());
  }
  EXPECT_GT(made, 10) << "vacuous";
  EXPECT_GT(refused, 10) << "vacuous";
}

INSTANTIATE_TEST_SUITE_P(Designs, Objects, ::testing::ValuesIn(ObjectsButStores()),
                         [](const auto& test) { return std::string(test.param->name()); });

}  // namespace
}  // namespace kill9
