// Scenes of channels: members that all send and receive. Nobody waits: a call that would have to
// wait says so at once.
//
//     send+receive        a message waits; one sends another, one receives
//     send+take@empty     no message waits
//     send+receive@full   as many messages wait as there is room for; of a broadcast the first one
//                         is overwritten
//
// `take` takes and acknowledges, `return` takes and gives back, `drain` does both as a batch of
// one, `draft` reserves and commits: two calls each, between which others come, or a death.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_CHANNEL_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_CHANNEL_SCENE_H_

#include <array>
#include <cstdint>
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
};
enum class ChannelBeginning : uint8_t { kOneMessage, kEmpty, kFull };

const ScenarioWords& ChannelWords();
bool HasChannelCall(const ChannelTraits& traits, size_t call);
// As LargerStoreScenes.
std::span<const std::string_view> LargerChannelScenes();

class ChannelScene final : public ObjectScene {
 public:
  ChannelScene(const ChannelDesign& design, const Scenario& scenario);
  ~ChannelScene() override;

 private:
  void MakeObject() override;
  SharedObject& object(int participant) override { return channel(participant); }
  void Do(int participant, size_t number, size_t call) override;
  Finding Look() override;

  Channel& channel(int participant) { return *channels_[static_cast<size_t>(participant)]; }
  // Sends a message of the maker. False: there is no room.
  bool SendAtBeginning(size_t bytes);
  void Fill();
  uint64_t VersionOf(const MessageInfo& info) const;

  void Send(int participant, ValueId id, bool as_draft);
  void Receive(int participant);
  void Take(int participant, bool acknowledge);
  void TakeAsBatch(int participant);
  void Close(int participant);
  // Of a whole schedule: no send that was called after a Close had returned has sent, or been told
  // of anything else; and nobody was told of a Close that nobody had called.
  Finding CheckCloses() const;
  Operation& BeginOne(int participant, const char* what, Function function, Progress progress,
                      ValueId argument);
  void EndSend(Operation& operation, const absl::StatusOr<Sequence>& sent);
  // Of a take or a receive that got nothing.
  void EndNothing(Operation& operation, const absl::Status& status);
  void EndTaken(Operation& operation, const Message& message);
  void EndGivenUp(Operation& operation, const absl::Status& status);

  const ChannelDesign& design_;
  const bool is_broadcast_;
  std::array<Channel*, kMostParticipants + 1> channels_ = {};
  uint32_t sent_at_beginning_ = 0;
  size_t message_bytes_ = 0;  // of those that participants send
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_CHANNEL_SCENE_H_
