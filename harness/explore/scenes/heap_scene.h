// Scenes of heaps: each participant owns a block of its own, and all of them a common one.
//
//     alloc+free         one allocates a block, another frees its own
//     drop+drop          both let go of the common block: who is last frees it
//     share+drop         one makes the next participant an owner of its own block
//     pass+grab          one passes its own block on; the next one lets go of that, if it has it by
//                        then
//     free+alloc@full    there is no room but what is freed
//     alloc+alloc@empty  nobody owns anything
//
// `use` reserves a block ahead, allocates it and releases what is left; `owners` asks
// who owns the common block. Nobody waits for room, but by `wait_alloc` (channel_scene.h says how):
// a call that would have to says so at once. What a participant was given it does not know of, and
// keeps. `join`: one more participant attaches and leaves again (object_scene.h); `come`: it
// allocates and frees a block in between. `keep` reserves a block ahead, does all that follows, and
// then allocates it and releases what is left. In a drawn scene blocks are of several sizes.
// `soon_alloc` waits for a second; `tick` moves the clock on by two.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_HEAP_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_HEAP_SCENE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "harness/explore/scenes/object_scene.h"
#include "variants/heap.h"

namespace kill9::explore {

enum class HeapMove : uint8_t {
  kAlloc,
  kFree,
  kDrop,
  kShare,
  kPass,
  kGrab,
  kUse,
  kOwners,
  kRecover,
  kJoin,
  kWaitAlloc,
  // Of drawn scenes, and who asks for them:
  kKeep,
  kCome,
  kSoonAlloc,
  kTick
};
enum class HeapBeginning : uint8_t { kOwners, kEmpty, kFull };

const ScenarioWords& HeapWords();
bool HasHeapCall(const HeapDesign& design, size_t call);
bool IsTimedHeapCall(size_t call);
// As LargerStoreScenes.
std::span<const std::string_view> LargerHeapScenes();
std::span<const std::string_view> WiderHeapScenes();
std::span<const std::string_view> WaitingHeapScenes();

class HeapScene final : public ObjectScene {
 public:
  HeapScene(const HeapDesign& design, const Scenario& scenario);
  ~HeapScene() override;

 private:
  static constexpr size_t kMostBlocks = 24;  // of one participant
  // `result_version` of one that waited for an hour in which nobody could go on, and got nothing.
  static constexpr uint64_t kInVain = 1;
  struct Block {
    ValueId id = kNothing;
    BlockHandle handle;
    size_t bytes = 0;
  };
  // The newest last; those of the beginning first.
  struct Blocks {
    std::array<Block, kMostBlocks> all;
    size_t count = 0;
    void Push(const Block& block) { all[count++] = block; }
  };

  // What a participant has done in this schedule, as far as it knows.
  struct Did {
    Blocks held;       // of its own
    Blocks allocated;  // of held, and those that it let go of since
    size_t gave = 0;   // to the next one: shared or passed on
    bool dropped = false;
  };

  // What a participant does in the making.
  enum : int { kAttach, kAllocateAndFree, kMakeBlock, kShareCommon, kFillUp };

  void MakeObject() override;
  void Prepare(int participant, int what) override;
  std::span<char> memory() const override { return MemoryOf(segment_); }
  bool moves_clock() const override { return HasAny(IsTimedHeapCall); }
  SharedObject& object(int participant) override { return heap(participant); }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachOneMore(int participant) override;
  void Use(int participant, SharedObject* object) override {
    heaps_[static_cast<size_t>(participant)] = static_cast<Heap*>(object);
  }
  void DoAsGuest(int participant, size_t number) override;
  void Do(int participant, size_t number, size_t call) override;
  bool DoesTheRest(size_t call) const override {
    return static_cast<HeapMove>(call) == HeapMove::kKeep;
  }
  bool MayComeBefore(size_t call) const override;
  void NoteBeginning() override { at_beginning_ = of_; }
  Finding Look() override;

  Heap& heap(int participant) { return *heaps_[static_cast<size_t>(participant)]; }
  int Next(int participant) const { return (participant + 1) % participants(); }
  enum class Aspect : uint64_t { kPlaces, kBytes = 100 };
  size_t BytesOf(ValueId id) const;
  uint64_t BitsOf(std::span<const ParticipantId> owners);
  // Its content is what its allocator wrote, or the caller is no owner of it.
  void CheckContent(Heap& heap, const Block& block);

  Block MakeBlock(int participant, uint32_t number);
  void Fill();
  void WaitInVain();
  void Allocate(int participant, ValueId id, HeapReserve* reserve);
  void WaitAndAllocate(int participant, ValueId id, bool briefly);
  void EndAllocated(int participant, Operation& operation, const Block& block);
  void LetGo(int participant, const char* what, const Block& block);
  void HandOver(int participant, bool shares);
  // `keeps`: all that follows comes before the reserve is used.
  void UseReserve(int participant, size_t number, bool keeps);
  void AskOwners(int participant);
  Finding CheckWaits();
  Finding CountBlocks();
  Finding LookAtBlock(const Block& block);
  Finding LookAtAll();

  const HeapDesign& design_;
  std::array<Heap*, kMostParticipants + 1> heaps_ = {};  // each in its own process
  std::array<ParticipantId, kMostParticipants + 1> ids_ = {};
  std::shared_ptr<Segment>* segment_ = nullptr;    // in the arena
  std::array<Block, kMostParticipants> own_ = {};  // at the beginning
  Block common_;
  uint64_t fillers_ = 0;
  BlockHandle last_filler_;
  Block made_;  // by the last Act
  std::array<Did, kMostParticipants> of_ = {}, at_beginning_ = {};
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_HEAP_SCENE_H_
