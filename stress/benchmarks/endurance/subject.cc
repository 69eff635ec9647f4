// Stores, channels and heaps under wear. Each knows what must be there.
#include "stress/benchmarks/endurance/subject.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "variants/channel.h"
#include "variants/heap.h"
#include "variants/registry.h"
#include "variants/store.h"

namespace kill9::endurance {
namespace {

constexpr size_t kRoomBytes = 200;  // of what Room asks for
constexpr uint64_t kRoomKeys = uint64_t{1} << 40;

uint32_t Draw(Random& random, const Sizes& sizes) {
  return sizes.least + static_cast<uint32_t>(random.Below(sizes.most - sizes.least + 1));
}

SegmentOptions OptionsOf(uint64_t size_bytes) {
  SegmentOptions options;
  options.size_bytes = size_bytes;
  options.max_participants = 8;
  return options;
}

absl::Status NoRoom(const char* what) { return absl::ResourceExhaustedError(what); }

absl::Status Lost(const char* what, uint64_t number) {
  return absl::DataLossError(absl::StrCat(what, " ", number, " is not as it was left"));
}

class StoreSubject final : public Subject {
 public:
  StoreSubject(const Variant& design, uint64_t size_bytes, std::unique_ptr<Store> store)
      : design_(design),
        size_bytes_(size_bytes),
        store_(std::move(store)),
        sizes_(size_bytes / 1024) {}

  absl::Status Work(Random& random, const Sizes& sizes, uint64_t operations,
                    Counts* counts) override {
    for (uint64_t n = 0; n < operations; ++n, ++counts->operations) {
      const uint64_t key = random.Below(sizes_.size());
      const bool is_full = live_bytes_ > size_bytes_ / 2;
      if (is_full || random.Chance(300)) {
        if (absl::Status status = Erase(key); !status.ok()) return status;
      } else if (absl::Status status = Put(key, Draw(random, sizes)); !status.ok()) {
        if (!absl::IsResourceExhausted(status)) return status;
        ++counts->refused;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Subject>> Fresh(Random& random) const override {
    absl::StatusOr<std::unique_ptr<Subject>> made = MakeSubject(design_, size_bytes_);
    if (!made.ok()) return made;
    std::vector<uint64_t> keys;
    for (uint64_t key = 0; key < sizes_.size(); ++key) {
      if (sizes_[key] != 0 && store_->Get(Key(key), nullptr).ok()) keys.push_back(key);
    }
    random.DrawFirst(keys.data(), keys.size(), keys.size());
    for (const uint64_t key : keys) {
      absl::Status status = static_cast<StoreSubject&>(**made).Put(key, sizes_[key]);
      if (!status.ok()) return Failed("a put into a fresh store", status);
    }
    return made;
  }

  absl::Status Probe(Random& random, uint64_t operations) override {
    for (uint64_t n = 0; n < operations; ++n) {
      const uint64_t key = random.Below(sizes_.size());
      if (n % 4 == 0 && sizes_[key] != 0) {
        const absl::Status status = Put(key, sizes_[key]);
        if (!status.ok() && !absl::IsResourceExhausted(status)) return status;
      } else if (absl::Status status = Look(key); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Room() override {
    if (!design_.traits().lossless) return 0;
    uint64_t fit = 0;
    for (;; ++fit) {
      const absl::Status status =
          store_->Put(Key(kRoomKeys + fit), BytesOf(kRoomKeys + fit, kRoomBytes)).status();
      if (absl::IsResourceExhausted(status)) break;
      if (!status.ok()) return Failed("put", status);
    }
    for (uint64_t n = 0; n < fit; ++n) {
      if (absl::StatusOr<bool> erased = store_->Erase(Key(kRoomKeys + n)); !erased.ok()) {
        return Failed("erase", erased.status());
      } else if (!*erased) {
        return Lost("key", kRoomKeys + n);
      }
    }
    return fit;
  }

  absl::Status Check() override {
    for (uint64_t key = 0; key < sizes_.size(); ++key) {
      if (absl::Status status = Look(key); !status.ok()) return status;
    }
    uint64_t strangers = 0;
    const absl::Status seen = store_->ForEach([&](const EntryView& entry) {
      uint64_t key = 0;
      std::memcpy(&key, entry.key.data(), std::min(sizeof key, entry.key.size()));
      strangers += key >= sizes_.size() || !AreBytesOf(key, entry.value) ||
                   entry.value.size() != sizes_[key];
      return true;
    });
    if (!seen.ok()) return Failed("for_each", seen);
    return strangers == 0 ? absl::OkStatus() : Lost("what for_each shows,", strangers);
  }

  SharedObject& object() override { return *store_; }

 private:
  static std::string Key(uint64_t key) {
    return std::string(reinterpret_cast<const char*>(&key), sizeof key);
  }
  absl::Status Put(uint64_t key, uint32_t size) {
    const absl::Status status = store_->Put(Key(key), BytesOf(key, size)).status();
    if (absl::IsResourceExhausted(status)) return status;
    if (!status.ok()) return Failed("put", status);
    live_bytes_ += size - uint64_t{sizes_[key]};
    sizes_[key] = size;
    return status;
  }
  absl::Status Erase(uint64_t key) {
    const absl::StatusOr<bool> erased = store_->Erase(Key(key));
    if (!erased.ok()) return Failed("erase", erased.status());
    if (*erased != (sizes_[key] != 0) && (*erased || design_.traits().lossless)) {
      return Lost("key", key);
    }
    live_bytes_ -= sizes_[key];
    sizes_[key] = 0;
    return absl::OkStatus();
  }
  absl::Status Look(uint64_t key) {
    const absl::StatusOr<Version> version = store_->Get(Key(key), &value_);
    if (absl::IsNotFound(version.status())) {
      return sizes_[key] == 0 || !design_.traits().lossless ? absl::OkStatus() : Lost("key", key);
    }
    if (!version.ok()) return Failed("get", version.status());
    return value_.size() == sizes_[key] && AreBytesOf(key, value_) ? absl::OkStatus()
                                                                   : Lost("key", key);
  }

  const Variant& design_;
  const uint64_t size_bytes_;
  std::unique_ptr<Store> store_;
  std::vector<uint32_t> sizes_;  // by key; 0: absent
  uint64_t live_bytes_ = 0;
  std::string value_;
};

class ChannelSubject final : public Subject {
 public:
  ChannelSubject(const ChannelDesign& design, uint64_t size_bytes, std::unique_ptr<Channel> channel)
      : design_(design), size_bytes_(size_bytes), channel_(std::move(channel)) {}

  absl::Status Work(Random& random, const Sizes& sizes, uint64_t operations,
                    Counts* counts) override {
    // An eighth: who falls behind in a broadcast misses messages.
    for (uint64_t n = 0; n < operations; ++n, ++counts->operations) {
      const bool is_full = live_bytes_ > size_bytes_ / 8;
      if (!waiting_.empty() && (is_full || random.Chance(500))) {
        if (absl::Status status = Receive(); !status.ok()) return status;
      } else if (absl::StatusOr<bool> sent = Send(Draw(random, sizes)); !sent.ok()) {
        return sent.status();
      } else {
        counts->refused += !*sent;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Subject>> Fresh(Random& random) const override {
    static_cast<void>(random);  // messages have an order
    absl::StatusOr<std::unique_ptr<Subject>> made = MakeSubject(design_, size_bytes_);
    if (!made.ok()) return made;
    for (const uint32_t size : waiting_) {
      const absl::StatusOr<bool> sent = static_cast<ChannelSubject&>(**made).Send(size);
      if (!sent.ok()) return sent.status();
      if (!*sent) return NoRoom("a fresh channel has no room for what a worn one has");
    }
    return made;
  }

  absl::Status Probe(Random& random, uint64_t operations) override {
    static_cast<void>(random);
    for (uint64_t n = 0; n < operations && !waiting_.empty(); ++n) {
      const uint32_t size = waiting_.front();
      if (absl::Status status = Receive(); !status.ok()) return status;
      if (absl::StatusOr<bool> sent = Send(size); !sent.ok()) return sent.status();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Room() override {
    if (design_.traits().when_full == ChannelTraits::WhenFull::kOverwrite) return 0;
    const std::deque<uint32_t> before = waiting_;
    if (absl::Status status = Empty(); !status.ok()) return status;
    for (bool fits = true; fits;) {
      const absl::StatusOr<bool> sent = Send(kRoomBytes);
      if (!sent.ok()) return sent.status();
      fits = *sent;
    }
    const uint64_t fit = waiting_.size();
    if (absl::Status status = Empty(); !status.ok()) return status;
    for (const uint32_t size : before) {
      if (absl::StatusOr<bool> sent = Send(size); !sent.ok()) return sent.status();
    }
    return fit;
  }

  absl::Status Check() override {
    const std::deque<uint32_t> before = waiting_;
    if (absl::Status status = Empty(); !status.ok()) return status;
    if (channel_->Receive(&message_, Deadline::None()).ok()) return Lost("message", received_);
    for (const uint32_t size : before) {
      if (absl::StatusOr<bool> sent = Send(size); !sent.ok()) return sent.status();
    }
    return absl::OkStatus();
  }

  SharedObject& object() override { return *channel_; }

 private:
  absl::StatusOr<bool> Send(uint32_t size) {
    const absl::StatusOr<Sequence> sent = channel_->Send(BytesOf(sent_, size), Deadline::None());
    if (absl::IsResourceExhausted(sent.status()) || absl::IsDeadlineExceeded(sent.status())) {
      return false;
    }
    if (!sent.ok()) return Failed("send", sent.status());
    ++sent_;
    live_bytes_ += size;
    waiting_.push_back(size);
    return true;
  }
  absl::Status Receive() {
    const absl::StatusOr<MessageInfo> got = channel_->Receive(&message_, Deadline::None());
    if (!got.ok()) return Failed("receive", got.status());
    if (got->missed != 0 || message_.size() != waiting_.front() ||
        !AreBytesOf(received_, message_)) {
      return Lost("message", received_);
    }
    ++received_;
    live_bytes_ -= waiting_.front();
    waiting_.pop_front();
    return absl::OkStatus();
  }
  absl::Status Empty() {
    while (!waiting_.empty()) {
      if (absl::Status status = Receive(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  const ChannelDesign& design_;
  const uint64_t size_bytes_;
  std::unique_ptr<Channel> channel_;
  std::deque<uint32_t> waiting_;  // their sizes
  uint64_t sent_ = 0, received_ = 0;
  uint64_t live_bytes_ = 0;
  std::string message_;
};

class HeapSubject final : public Subject {
 public:
  HeapSubject(const HeapDesign& design, uint64_t size_bytes, std::unique_ptr<Heap> heap)
      : design_(design), size_bytes_(size_bytes), heap_(std::move(heap)) {}

  absl::Status Work(Random& random, const Sizes& sizes, uint64_t operations,
                    Counts* counts) override {
    for (uint64_t n = 0; n < operations; ++n, ++counts->operations) {
      const bool is_full = live_bytes_ > size_bytes_ / 2;
      if (!blocks_.empty() && (is_full || random.Chance(450))) {
        if (absl::Status status = Free(random.Below(blocks_.size())); !status.ok()) return status;
      } else if (absl::StatusOr<bool> made = Allocate(Draw(random, sizes)); !made.ok()) {
        return made.status();
      } else {
        counts->refused += !*made;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Subject>> Fresh(Random& random) const override {
    absl::StatusOr<std::unique_ptr<Subject>> made = MakeSubject(design_, size_bytes_);
    if (!made.ok()) return made;
    std::vector<Block> blocks = blocks_;
    random.DrawFirst(blocks.data(), blocks.size(), blocks.size());
    for (const Block& block : blocks) {
      const absl::StatusOr<bool> fits = static_cast<HeapSubject&>(**made).Allocate(block.size);
      if (!fits.ok()) return fits.status();
      if (!*fits) return NoRoom("a fresh heap has no room for what a worn one has");
    }
    return made;
  }

  absl::Status Probe(Random& random, uint64_t operations) override {
    for (uint64_t n = 0; n < operations && !blocks_.empty(); ++n) {
      const size_t at = random.Below(blocks_.size());
      const uint32_t size = blocks_[at].size;
      if (absl::Status status = Free(at); !status.ok()) return status;
      if (absl::StatusOr<bool> made = Allocate(size); !made.ok()) return made.status();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Room() override {
    const size_t before = blocks_.size();
    for (bool fits = true; fits;) {
      const absl::StatusOr<bool> made = Allocate(kRoomBytes);
      if (!made.ok()) return made.status();
      fits = *made;
    }
    const uint64_t fit = blocks_.size() - before;
    while (blocks_.size() > before) {
      if (absl::Status status = Free(blocks_.size() - 1); !status.ok()) return status;
    }
    return fit;
  }

  absl::Status Check() override {
    for (const Block& block : blocks_) {
      if (absl::Status status = Look(block); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  SharedObject& object() override { return *heap_; }

 private:
  struct Block {
    BlockHandle handle;
    uint64_t number = 0;
    uint32_t size = 0;
  };

  absl::StatusOr<bool> Allocate(uint32_t size) {
    const absl::StatusOr<BlockHandle> made = heap_->Allocate(size, Deadline::None());
    if (absl::IsResourceExhausted(made.status()) || absl::IsDeadlineExceeded(made.status())) {
      return false;
    }
    if (!made.ok()) return Failed("allocate", made.status());
    const absl::StatusOr<std::span<char>> data = heap_->Data(*made);
    if (!data.ok()) return Failed("data", data.status());
    BytesOf(made_, size).copy(data->data(), size);
    blocks_.push_back({*made, made_++, size});
    live_bytes_ += size;
    return true;
  }
  absl::Status Look(const Block& block) {
    const absl::StatusOr<std::span<char>> data = heap_->Data(block.handle);
    if (!data.ok()) return Failed("data", data.status());
    return AreBytesOf(block.number, {data->data(), block.size}) ? absl::OkStatus()
                                                                : Lost("block", block.number);
  }
  absl::Status Free(size_t at) {
    if (absl::Status status = Look(blocks_[at]); !status.ok()) return status;
    if (absl::Status status = heap_->Free(blocks_[at].handle); !status.ok()) {
      return Failed("free", status);
    }
    live_bytes_ -= blocks_[at].size;
    blocks_[at] = blocks_.back();
    blocks_.pop_back();
    return absl::OkStatus();
  }

  const HeapDesign& design_;
  const uint64_t size_bytes_;
  std::unique_ptr<Heap> heap_;
  std::vector<Block> blocks_;
  uint64_t made_ = 0;
  uint64_t live_bytes_ = 0;
};

template <typename OneSubject, typename OneDesign, typename... Attaching>
absl::StatusOr<std::unique_ptr<Subject>> Make(const OneDesign& design, uint64_t size_bytes,
                                              const Attaching&... attaching) {
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(OptionsOf(size_bytes));
  if (!segment.ok()) return segment.status();
  auto attached = design.Attach(*segment, attaching...);
  if (!attached.ok()) return attached.status();
  return std::make_unique<OneSubject>(design, size_bytes, *std::move(attached));
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

absl::Status Failed(const char* what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", std::string(status.message())));
}

absl::Status CheckAccount(SharedObject& object) {
  const absl::StatusOr<AuditReport> report = object.Audit();
  if (!report.ok()) return Failed("audit", report.status());
  if (report->clean()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "audit: ", report->leaked.blocks, " blocks leaked, ", report->doubly_owned, " doubly owned",
      report->violations.empty() ? "" : ": " + report->violations.front()));
}

absl::StatusOr<double> CpuSecondsOf(absl::FunctionRef<absl::Status()> work) {
  const double begin = CpuSeconds();
  if (absl::Status status = work(); !status.ok()) return status;
  return CpuSeconds() - begin;
}

double Rounded(double number) {
  return static_cast<double>(static_cast<int64_t>(number * 1000 + 0.5)) / 1000;
}

Verdict VerdictOf(const absl::Status& end) {
  if (end.ok()) return Verdict::kPass;
  return absl::IsResourceExhausted(end) ? Verdict::kUndecided : Verdict::kViolation;
}

std::string BytesOf(uint64_t number, size_t size) {
  std::string bytes(size, static_cast<char>('a' + number % 26));
  std::memcpy(bytes.data(), &number, std::min(size, sizeof number));
  return bytes;
}

bool AreBytesOf(uint64_t number, std::string_view bytes) {
  const size_t named = std::min(bytes.size(), sizeof number);
  return std::memcmp(bytes.data(), &number, named) == 0 &&
         bytes.find_first_not_of(static_cast<char>('a' + number % 26), named) ==
             std::string_view::npos;
}

absl::StatusOr<std::unique_ptr<Subject>> MakeSubject(const Design& design, uint64_t size_bytes) {
  if (const auto* store = dynamic_cast<const Variant*>(&design)) {
    return Make<StoreSubject>(*store, size_bytes);
  }
  if (const auto* channel = dynamic_cast<const ChannelDesign*>(&design)) {
    return Make<ChannelSubject>(*channel, size_bytes, Membership{});
  }
  if (const auto* heap = dynamic_cast<const HeapDesign*>(&design)) {
    return Make<HeapSubject>(*heap, size_bytes);
  }
  return absl::UnimplementedError("no wear is known for this kind");
}

}  // namespace kill9::endurance
