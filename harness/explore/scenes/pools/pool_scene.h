// Scenes of buffer pools: each participant holds a buffer of its own, and all of them a common one;
// one more waits in a box (note_box.h).
//
//     alloc+free        one allocates a buffer, another lets go of its newest
//     share+drop        one more hold of the newest; the common one is let go of
//     write+write       both write to the common one: each into a copy, unless it is the last owner
//     grow+grow         both add to the end of the common one, in its room or in a copy
//     send+receive      the newest is passed on by a message
//     post+drop         another hold of the common one is passed on
//     receive+void      all that was sent to the box is dropped
//     seat+seat         at most one of those who live has it
//     alloc+drop@full   there is no room but what is let go of
//     send+send@empty   nobody holds anything, and nothing waits
//
// Nobody waits for room. `join`: one more participant attaches and leaves again; `come`: it
// allocates a buffer in between, and lets go of it. What each living
// participant holds is known, and so are the bytes of each buffer: the pool's account says the
// same, hold by hold; each message that was sent is received once.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_POOLS_POOL_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_POOLS_POOL_SCENE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "harness/explore/scenes/object_scene.h"
#include "harness/explore/scenes/pools/note_box.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/buffers/buffer_pool_design.h"

namespace kill9::explore {

enum class PoolCall : uint8_t {
  kAlloc,
  kFree,
  kShare,
  kDrop,
  kWrite,
  kGrow,
  kSend,
  kPost,
  kReceive,
  kVoid,
  kSeat,
  kRecover,
  kJoin,
  // Of drawn scenes, and who asks for them:
  kCome
};
enum class PoolBeginning : uint8_t { kOwners, kEmpty, kFull };

const ScenarioWords& PoolWords();
std::span<const std::string_view> LargerPoolScenes();
std::span<const std::string_view> WiderPoolScenes();

class PoolScene final : public ObjectScene {
 public:
  PoolScene(const Design& design, const Scenario& scenario);
  ~PoolScene() override;

  const char* why_not_shipped() const override {
    return "the shipped program has no box for the messages of a pool";
  }

 private:
  static constexpr size_t kMostHeld = 24;  // of one participant
  static constexpr size_t kCommon = 0;     // which of them it is
  // What a buffer shows: a value, and behind it what it has grown by, if it has.
  struct Content {
    ValueId id = kNothing, tail = kNothing;
  };
  // Of one participant, in the arena.
  struct Holds {
    std::array<Buffer, kMostHeld> buffers;
    std::array<Content, kMostHeld> shown = {};  // by each
    size_t count = 0;
    bool is_seated = false;
    std::array<ValueId, kMostHeld> sent = {}, received = {};
    size_t sent_count = 0, received_count = 0;

    void Push(Buffer buffer, const Content& content) {
      buffers[count] = std::move(buffer);
      shown[count++] = content;
    }
  };
  enum class Aspect : uint64_t { kPlaces, kBytes = 100 };

  // What a participant does in the making.
  enum : int { kAttach, kMakeOwn, kReceiveOne };

  void MakeObject() override;
  void Prepare(int participant, int what) override;
  std::span<char> memory() const override { return MemoryOf(segment_); }
  SharedObject& object(int participant) override { return pool(participant); }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachOneMore(int participant) override;
  void Use(int participant, SharedObject* object) override {
    pools_[static_cast<size_t>(participant)] = static_cast<BufferPool*>(object);
  }
  void DoAsGuest(int participant, size_t number) override;
  void Do(int participant, size_t number, size_t call) override;
  bool MayComeBefore(size_t call) const override;
  Finding Look() override;

  BufferPool& pool(int participant) const { return *pools_[static_cast<size_t>(participant)]; }
  Holds& holds(int participant) const { return *holds_[static_cast<size_t>(participant)]; }
  Channel& box(int participant) const { return *boxes_[static_cast<size_t>(participant)]; }
  size_t BytesOf(ValueId id) const;
  static void Fill(std::span<char> bytes, ValueId id);
  static void CheckBytes(const Buffer& buffer, const Content& content);
  absl::Status Grow(Holds& of, ValueId id);
  // The header of a message, which names what the buffer shows, and back.
  static std::string HeaderOf(const Content& content) {
    return {reinterpret_cast<const char*>(&content), sizeof content};
  }
  // False: there is no room.
  bool Allocate(int participant, ValueId id);
  void FillUp();
  absl::Status Change(int participant, ValueId id, PoolCall call);
  absl::Status SendNewest(int participant);
  absl::Status SendCommon(int participant);
  absl::Status ReceiveOne(int participant);
  Finding CheckHolds();
  Finding CheckMessages();

  const Design& design_;
  std::array<BufferPool*, kMostParticipants + 1> pools_ = {};
  std::array<Channel*, kMostParticipants + 1> boxes_ = {};
  std::array<Holds*, kMostParticipants + 1> holds_ = {};
  std::shared_ptr<Segment>* segment_ = nullptr;  // in the arena
  NoteTexts texts_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_POOLS_POOL_SCENE_H_
