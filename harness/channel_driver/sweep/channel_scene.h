// A channel in a starting state, and who works on it in the sweep.
#ifndef KILL9_HARNESS_CHANNEL_DRIVER_SWEEP_CHANNEL_SCENE_H_
#define KILL9_HARNESS_CHANNEL_DRIVER_SWEEP_CHANNEL_SCENE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/channel_driver/sweep/channel_sweep.h"
#include "harness/store_driver/value.h"

namespace kill9::sweep {

inline constexpr uint32_t kSmallMessageBytes = 64;
inline constexpr uint32_t kLargeMessageBytes = 6000;
inline constexpr uint32_t kManyMessages = 90;  // of a batch, and of the state
inline constexpr uint32_t kFillMessageBytes = 1000;

// The bytes of a message, and what they name.
std::string MessageOf(ValueId id, uint32_t bytes);
ValueId IdOf(std::string_view bytes);

// Records what was received, or, of a broadcast, where the process begins.
void EndReceived(OperationLog& log, Operation& operation, std::string_view bytes,
                 const MessageInfo& info);
void RecordSubscription(const Channel& channel, uint32_t process, OperationLog& log);

class ChannelScene final : public Scene {
 public:
  ChannelScene(const ChannelDesign& channel_design, ChannelOperation operation, ChannelState state,
               const SweepShape& shape)
      : design_(channel_design), operation_(operation), state_(state), shape_(shape) {}

  // REQUIRES: once.
  absl::Status Make(uint64_t size_bytes);

  const ChannelDesign& design() const override { return design_; }
  Making making() const override;
  std::span<const Operation> beginning() const override { return beginning_; }
  Naming naming() const override;
  std::unique_ptr<Scene> In(std::shared_ptr<Segment> other) const override;
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                    OperationLog log) const override;
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings& findings,
                                                        OperationLog log) const override;
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachHolder() const override;
  std::shared_ptr<void> Hold(SharedObject& object) const override;
  std::shared_ptr<void> HoldUnseen(SharedObject& object) const override;
  bool IsTried(uint32_t probe) const override;
  bool DeclaredUnblocked(uint32_t probe, Nearness where) const override;

  // What a victim sends. Each state has other sizes: at the edges of lines, granules, pages, and at
  // none.
  uint32_t small_bytes() const {
    constexpr uint32_t kBytes[] = {64, 65, 129, 8, 197, 127, 1021, 257, 1032};
    return SizeIn(static_cast<size_t>(state_), shape_.small, kBytes);
  }
  uint32_t large_bytes() const {
    return SizeIn(static_cast<size_t>(state_), shape_.large, kLargeSizes);
  }
  // What a channel is filled with.
  uint32_t fill_bytes() const { return shape_.middle != 0 ? shape_.middle : kFillMessageBytes; }

  bool is_broadcast() const {
    return design_.traits().delivery == ChannelTraits::Delivery::kBroadcast;
  }
  // Whether a Close has returned, or somebody was told of one; of the present run. Processes of a
  // cell share it.
  std::atomic<uint32_t>& closed() const { return *closed_; }
  // Of a broadcast: at the oldest message that is there.
  absl::StatusOr<std::unique_ptr<Channel>> Attach() const;

 private:
  // Fills it and takes all out once, so that what grows has its full length. kFull: leaves it full.
  absl::Status FillOnce(Channel& channel);
  absl::Status ReturnEach(Channel& channel, size_t messages);
  // Sends and receives until many messages go round the end of whatever ring they are in.
  absl::Status GoRound(Channel& channel);
  // What the holders will take, each the oldest message that is left (Hold); `first`: the first
  // message's record.
  void RecordHolders(size_t first);
  // Sends a message and records it. False: there is no room.
  absl::StatusOr<bool> Send(Channel& channel, uint32_t bytes);
  void Record(Function function, uint64_t argument, uint64_t result, uint64_t version);

  const ChannelDesign& design_;
  const ChannelOperation operation_;
  const ChannelState state_;
  const SweepShape shape_;
  std::shared_ptr<std::atomic<uint32_t>> closed_;
  std::vector<Operation> beginning_;
  uint64_t time_ = 0;
  uint32_t sequence_ = 0;  // of the maker's messages
};

// What a victim runs between the markers.
class ChannelVictim final : public Victim {
 public:
  ChannelVictim(const ChannelScene& scene, ChannelOperation operation, uint32_t number,
                OperationLog log);

  absl::Status Prepare() override;
  void Run() override;
  void Record() override;

 private:
  // Takes what the operation needs: a draft, a message, a batch.
  absl::Status GetReady();
  void Announce(Function function, uint64_t argument = kNothing) {
    announced_.push_back(&log_.Begin(process_, function, 0, argument));
  }
  void NoteTaken(const Message& message);

  const ChannelScene& scene_;
  const ChannelOperation operation_;
  const uint32_t process_;
  OperationLog log_;
  const std::string message_, second_;
  std::vector<std::string> row_;
  std::unique_ptr<Channel> channel_;
  MessageDraft draft_;
  TakenMessage taken_;
  MessageBatch batch_;
  std::vector<Operation*> announced_;
  std::string read_;
  absl::Status status_;
  MessageInfo info_;
  Sequence sequence_ = 0;
  bool got_ = false;  // a message
};

class ChannelSurvivor final : public Survivor {
 public:
  ChannelSurvivor(const ChannelScene& scene, CellProcess process, std::unique_ptr<Channel> channel,
                  Findings& findings, OperationLog log)
      : scene_(scene),
        process_(process),
        findings_(findings),
        log_(log),
        channel_(std::move(channel)) {
    if (scene_.is_broadcast()) RecordSubscription(*channel_, process_, log_);
  }

  SharedObject& object() override { return *channel_; }
  // Takes all that waits, and returns it.
  void Look() override;
  void Work(Nearness where) override;
  void Write(Nearness) override { Send(kSmallMessageBytes); }
  uint32_t Fill() override;
  void Empty(uint32_t filled) override;
  void CheckContents(const AuditReport& audit) override;
  void Interfere(uint32_t way) override;
  void Churn() override;
  void Probe(uint32_t probe, Nearness where) override;

 private:
  static constexpr uint32_t kMostFills = 400;

  bool Send(uint32_t bytes);
  void SendDraft(bool commit);
  // False: there was nothing.
  bool Receive();
  bool Take(TakenMessage* taken);
  void GiveUp(TakenMessage taken, bool acknowledge);
  void Allow(const char* what, const absl::Status& status);
  // Of a send: what has been closed stays so.
  void AllowSend(const char* what, bool was_closed, const absl::Status& status);

  const ChannelScene& scene_;
  const CellProcess process_;
  Findings& findings_;
  OperationLog log_;
  std::unique_ptr<Channel> channel_;
  std::string read_;
  uint32_t sequence_ = 0;
  uint64_t seen_ = 0;     // by the last look
  bool sees_all_ = true;  // false: it ran out of holds
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_CHANNEL_DRIVER_SWEEP_CHANNEL_SCENE_H_
