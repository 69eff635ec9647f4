// Every registered channel.
#include <unistd.h>

#include <algorithm>
#include <span>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "stress/benchmarks/channels/transport.h"
#include "variants/receives_all.h"
#include "variants/registry.h"

namespace kill9::transports {
namespace {

constexpr uint64_t kSegmentBytes = 64 << 20;
// For those whose room is a number of messages.
constexpr uint64_t kMessages = 1024;

class ChannelPort final : public PortOf<ChannelPort> {
 public:
  ChannelPort(std::unique_ptr<Channel> channel, const ChannelTraits& traits, Wait wait)
      : channel_(std::move(channel)),
        all_(dynamic_cast<ReceivesAll*>(channel_.get())),
        takes_(traits.has_take),
        wait_(wait) {}

  void Send(std::string_view message) override {
    Again([&](Deadline deadline) { return channel_->Send(message, deadline); });
  }
  void Receive(std::string* message) override {
    missed_ +=
        Again([&](Deadline deadline) { return channel_->Receive(message, deadline); }).missed;
  }
  uint64_t missed() const override { return missed_; }
  void SendBatch(const Load& load, size_t begin, size_t count) {
    if (count == 1) return Send(load.message(begin));
    batch_.clear();
    for (size_t i = begin; i < begin + count; ++i) batch_.push_back(load.message(i));
    for (std::span<const std::string_view> rest = batch_; !rest.empty();) {
      rest = rest.subspan(
          Again([&](Deadline deadline) { return channel_->SendMany(rest, deadline); }));
    }
  }
  template <typename See>
  size_t ReceiveBatch(size_t most, See see) {
    if (most == 1 || (all_ == nullptr && !takes_)) return PortOf::ReceiveBatch(1, see);
    if (all_ != nullptr) {
      const std::span<const Message> messages =
          Again([&](Deadline deadline) { return all_->ReceiveAll(deadline); });
      for (const Message& message : messages) see(message.bytes);
      return messages.size();
    }
    MessageBatch taken = Again([&](Deadline deadline) { return channel_->Drain(most, deadline); });
    const size_t count = taken.size();
    for (const Message& message : taken) see(message.bytes);
    Must(channel_->Acknowledge(std::move(taken)));
    return count;
  }
  void SendInPlace(size_t bytes, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      MessageDraft draft =
          Again([&](Deadline deadline) { return channel_->Reserve(bytes, deadline); });
      draft.bytes()[0] = static_cast<char>(i);
      Must(channel_->Commit(std::move(draft)));
    }
  }
  void ReceiveInPlace(size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      TakenMessage taken = Again([&](Deadline deadline) { return channel_->Take(deadline); });
      if (taken.bytes()[0] != static_cast<char>(i)) Die("a wrong message came");
      Must(channel_->Acknowledge(std::move(taken)));
    }
  }
  void Use(absl::FunctionRef<void(std::string_view, bool)> use) override {
    if (!takes_) return Port::Use(use);
    TakenMessage taken = Again([&](Deadline deadline) { return channel_->Take(deadline); });
    use(taken.bytes(), taken.info().redelivered);
    Must(channel_->Acknowledge(std::move(taken)));
  }

 private:
  // Calls until there is a result. A spinning end is one that waits: a design looks for some
  // microseconds before it sleeps. That the other side has gone
  // is no result: another one may come.
  template <typename Call>
  typename std::invoke_result_t<Call, Deadline>::value_type Again(Call call) {
    for (;;) {
      auto result = call(wait_ == Wait::kPolling ? Deadline::None() : Deadline::Never());
      if (result.ok()) return *std::move(result);
      if (!absl::IsDeadlineExceeded(result.status()) && !absl::IsUnavailable(result.status())) {
        Die(result.status().ToString());
      }
      if (wait_ == Wait::kPolling) CpuRelax();
    }
  }

  std::unique_ptr<Channel> channel_;
  ReceivesAll* const all_;
  const bool takes_;
  const Wait wait_;
  std::vector<std::string_view> batch_;
  uint64_t missed_ = 0;
};

class ChannelTransport final : public Transport {
 public:
  ChannelTransport(const ChannelDesign& design, size_t largest_bytes) : design_(design) {
    SegmentOptions options;
    options.size_bytes = kSegmentBytes;
    if (design.role() == Design::Role::kPeer) {
      options.expected_entries = kMessages;
      options.size_bytes = kMessages * largest_bytes;
    }
    if (design.traits().needs_name) {
      options.location = location_ = {SegmentKind::kNamed,
                                      absl::StrCat("kill9-benchmark-", getpid(), "-", ++made_)};
    }
    segment_ = Must(design.Create(options));
    made_by_ = getpid();
  }
  ~ChannelTransport() override {
    segment_.reset();
    if (location_.kind == SegmentKind::kNamed && getpid() == made_by_) {
      Segment::Unlink(location_).IgnoreError();
    }
  }
  std::unique_ptr<Port> Open(Side side, Wait wait) override {
    const MemberRole role = side == Side::kSends ? MemberRole::kSender : MemberRole::kReceiver;
    return std::make_unique<ChannelPort>(Must(design_.Attach(segment_, {.role = role})),
                                         design_.traits(), wait);
  }

 private:
  inline static int made_ = 0;
  const ChannelDesign& design_;
  SegmentLocation location_;
  std::shared_ptr<Segment> segment_;
  pid_t made_by_ = 0;
};

}  // namespace

std::vector<TransportKind> Designs() {
  std::vector<TransportKind> kinds;
  for (const ChannelDesign* design : AllChannels()) {
    const ChannelTraits& traits = design->traits();
    const bool is_queue = traits.delivery == ChannelTraits::Delivery::kQueue;
    const Design::Role role = design->role();
    kinds.push_back({.name = std::string(design->name()),
                     .role = role == Design::Role::kDesign     ? "design"
                             : role == Design::Role::kBaseline ? "baseline"
                                                               : "peer",
                     .batches = role != Design::Role::kPeer,
                     .many = is_queue,
                     .spins = true,
                     .polls = true,
                     .sleeps = true,
                     .in_place = traits.has_draft && traits.has_take,
                     .broadcasts = !is_queue,
                     .make = [design](size_t largest_bytes) {
                       return std::make_unique<ChannelTransport>(*design, largest_bytes);
                     }});
  }
  return kinds;
}

}  // namespace kill9::transports
