// Scenes of channels: members that all send and receive. Most calls do not wait: one that would
// have to says so at once.
//
//     send+receive        a message waits; one sends another, one receives
//     send+take@empty     no message waits
//     send+receive@full   as many messages wait as there is room for; of a broadcast the first one
//                         is overwritten
//
// `take` takes and acknowledges, `return` takes and gives back, `return_two` two of them, the first
// one last, `drain` does both as a batch of one, `draft` reserves and commits: two calls each,
// between which others come, or a death. `wait_receive` and `wait_send` wait for a message, or for
// room, for an hour of the machine's time: that is over only when nobody else can go on. Who then
// finds what it waited for has overslept it: nobody had woken it. `join`: one more member attaches
// and leaves again (object_scene.h); `come`: it sends and receives in between. `keep` takes, does
// all that follows, and then acknowledges. `batch` sends two messages at once, `drain_all` takes up
// to three as one batch, `return_all` gives those back. In a drawn scene messages are of several
// sizes.
//
// `soon_receive` and `soon_send` wait for a second. `tick` moves the clock on by two: at any place.
// `ask` sends a request and waits until it has taken an answer; what it takes that is a request it
// answers. `serve` waits for one request and answers it, before it acknowledges it.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_CHANNEL_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_CHANNEL_SCENE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "harness/explore/scenes/object_scene.h"
#include "variants/channel.h"

namespace kill9::explore {

enum class ChannelCall : uint8_t {
  kSend,
  kReceive,
  kTake,
  kReturn,
  kDrain,
  kDraft,
  kClose,
  kRecover,
  kReturnTwo,
  kJoin,
  kWaitReceive,
  kWaitSend,
  // Of drawn scenes, and who asks for them:
  kKeep,
  kBatch,
  kDrainAll,
  kReturnAll,
  kCome,
  kSoonReceive,
  kSoonSend,
  kTick,
  kAsk,
  kServe,
  kToldReceive  // waits by its descriptor, as a loop around poll(2) does
};
enum class ChannelBeginning : uint8_t { kOneMessage, kEmpty, kFull, kClosed };

const ScenarioWords& ChannelWords();
bool HasChannelCall(const ChannelTraits& traits, size_t call);
bool IsTimedChannelCall(size_t call);
// As LargerStoreScenes.
std::span<const std::string_view> LargerChannelScenes();
// Of three participants with one operation each, and of channels that are closed.
std::span<const std::string_view> WiderChannelScenes();
std::span<const std::string_view> WaitingChannelScenes();

class ChannelScene final : public ObjectScene {
 public:
  ChannelScene(const ChannelDesign& design, const Scenario& scenario);
  ~ChannelScene() override;

 private:
  // Histories know no Close: it is recorded as a Recover with this argument, which says nothing of
  // messages; and that a call was told of one, as this in `expected` of what it was refused, or of
  // what it found nothing by.
  static constexpr uint64_t kOfAClose = 1;
  // `expected` of one that waited for an hour in which nobody could go on, and got nothing.
  static constexpr uint64_t kInVain = 2;
  static constexpr char kAfterTheEnd[] = "a message is received after the end was told";
  static constexpr char kOverslept[] =
      "a death was overslept: the dead had the message that somebody waited for in vain";

  // What a participant does in the making.
  enum : int { kAttach, kWaitForNothing, kReceiveOne };

  void MakeObject() override;
  void Prepare(int participant, int what) override;
  std::span<char> memory() const override { return MemoryOf(segment_); }
  bool moves_clock() const override { return HasAny(IsTimedChannelCall); }
  void Attach(int participant);
  static uint32_t ProcessOf(int participant) {
    return participant == kAuditor ? kLooker : static_cast<uint32_t>(participant) + 1;
  }
  enum class Aspect : uint64_t { kPlaces, kGuest, kBytes = 100 };
  SharedObject& object(int participant) override { return channel(participant); }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachOneMore(int participant) override;
  void Use(int participant, SharedObject* object) override {
    channels_[static_cast<size_t>(participant)] = static_cast<Channel*>(object);
  }
  void DoAsGuest(int participant, size_t number) override;
  void Do(int participant, size_t number, size_t call) override;
  bool DoesTheRest(size_t call) const override {
    return static_cast<ChannelCall>(call) == ChannelCall::kKeep;
  }
  bool MayComeBefore(size_t call) const override;
  Finding Look() override;

  Channel& channel(int participant) { return *channels_[static_cast<size_t>(participant)]; }
  void WaitInVain();
  // Sends a message of the maker. False: there is no room.
  bool SendAtBeginning(size_t bytes);
  void Fill();
  size_t ReadWhole() const;
  size_t MostOfABatch() const;
  uint64_t VersionOf(const MessageInfo& info) const;

  size_t BytesOf(ValueId id) const;
  std::string MessageOf(ValueId id) const;
  // Whether it was sent.
  bool Send(int participant, ValueId id, bool as_draft);
  void SendTwo(int participant, ValueId first);
  void Keep(int participant, size_t number);
  void Receive(int participant);
  void WaitAndReceive(int participant, bool briefly);
  void ReceiveAsTold(int participant);
  void WaitAndSend(int participant, ValueId id, bool briefly);
  void Ask(int participant, size_t number);
  void Serve(int participant, size_t number);
  void Take(int participant, bool acknowledge);
  void TakeAsBatch(int participant, size_t most, bool acknowledge);
  void Close(int participant);
  // Of a whole schedule: no send that was called after a Close had returned has sent, or been told
  // of anything else; and nobody was told of a Close that nobody had called.
  Finding CheckCloses() const;
  // Nor is a message received that was not before the end was told: of a broadcast, to the same
  // subscriber. But what who was told held then, and returns after it.
  Finding CheckEnds() const;
  bool IsAfterAnEnd(const Operation& taken) const;
  bool HeldAt(uint64_t time, int participant, uint64_t message) const;
  // Whether somebody waited in vain for this message, which is there after recovery.
  bool WasOverslept(uint64_t message) const;
  // Whether who lived then had it, or has sent it or given it back since.
  bool CameAfter(uint64_t time, uint64_t message) const;
  void ReturnTwo(int participant);
  struct Taken {
    TakenMessage message;
    ValueId id;
  };
  // Takes a message, as an operation. Nullopt: there was none.
  std::optional<Taken> TakeOne(int participant);
  std::optional<Taken> WaitAndTake(int participant);
  void GiveUp(int participant, Taken taken, bool acknowledge);
  Operation& BeginOne(int participant, const char* what, Function function, Progress progress,
                      ValueId argument);
  void EndSend(Operation& operation, const absl::StatusOr<Sequence>& sent);
  // Of a take or a receive that got nothing.
  void EndNothing(Operation& operation, const absl::Status& status);
  void EndWait(Operation& operation, const absl::Status& status);
  void EndTaken(Operation& operation, const Message& message);
  void EndGivenUp(Operation& operation, const absl::Status& status);

  const ChannelDesign& design_;
  const bool is_broadcast_;
  std::array<Channel*, kMostParticipants + 1> channels_ = {};
  std::shared_ptr<Segment>* segment_ = nullptr;  // in the arena
  uint32_t sent_at_beginning_ = 0;
  uint64_t found_ = 0;        // by the last Act
  size_t message_bytes_ = 0;  // of those that participants send
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_CHANNEL_SCENE_H_
