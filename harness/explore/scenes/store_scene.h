// Scenes of stores: each participant does a few operations on one key; in a drawn scene on one of
// up to three, with values of several sizes.
//
//     put+get          one participant puts, another gets
//     put+put@empty    in an empty store; without it, the key is there
//     get+put@full     the key is there, and room for one more entry of its size; in a store that
//                      forgets, as many others as leave the key there
//
// `keep` pins, does all that follows, and then releases; `come`: one more participant attaches,
// puts and gets, and leaves again; `modify` puts by Modify, `add` puts what is absent, `visit` is a
// visit of all keys; `glance`: one more participant attaches, pins the key, and leaves again.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_STORE_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_STORE_SCENE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "harness/explore/scenes/object_scene.h"
#include "variants/registry.h"

namespace kill9::explore {

enum class StoreCall : uint8_t {
  kPut,
  kGet,
  kErase,
  kSwap,   // a compare-and-swap that expects what the key has at the beginning
  kPin,    // pins, reads, releases
  kDraft,  // reserves, fills, commits
  kRecover,
  kJoin,  // one more participant attaches and leaves again (object_scene.h)
  // Of a segment that keeps terms, as one is that has any of these:
  kClear,  // all is forgotten
  kLapse,  // puts an entry whose deadline is over: the first who finds it removes it
  kLease,  // gets the value, or the lease of the key and then puts one
  // Of drawn scenes, and who asks for them:
  kModify,
  kAdd,
  kVisit,
  kKeep,
  kCome,
  // Of a segment that keeps terms, and of a clock that goes on by `tick`:
  kTick,
  kBrief,       // puts an entry that lives for a second
  kWaitLease,   // as lease, and waits while another has it
  kBriefLease,  // as lease, but in a second another may have it
  kGlance,      // one more participant attaches, pins the key, and leaves again
};
enum class StoreBeginning : uint8_t { kOneEntry, kEmpty, kFull };

const ScenarioWords& StoreWords();
bool HasStoreCall(const Traits& traits, size_t call);
bool IsTimedStoreCall(size_t call);
bool IsStoreCallOfTerms(size_t call);
bool IsLease(size_t call);
// Whether one scene can have all of these: where there are leases no versions are recorded, and who
// expects one expects nothing.
bool FitStoreCalls(std::span<const size_t> calls);
// Of two or three participants that do several things: too large to be exhausted, and large enough
// that room is used again and a ring comes round.
std::span<const std::string_view> LargerStoreScenes();
// Of three participants with one operation each.
std::span<const std::string_view> WiderStoreScenes();
std::span<const std::string_view> StoreScenesOfTerms();

class StoreScene final : public ObjectScene {
 public:
  StoreScene(const Variant& variant, const Scenario& scenario);
  ~StoreScene() override;

 private:
  static constexpr uint64_t kKey = 0;
  static constexpr size_t kMostKeys = 3;
  static constexpr char kShownLate[] = "an entry is shown though its deadline was over";
  enum class Aspect : uint64_t { kKeys, kEntries, kStripes, kPlaces, kTerms, kKeyOf = 100, kBytes };

  // What a participant does in the making.
  enum : int { kAttach, kGetKey, kAskForLease };

  void MakeObject() override;
  void Prepare(int participant, int what) override;
  std::span<char> memory() const override { return MemoryOf(segment_); }
  bool moves_clock() const override { return HasAny(IsTimedStoreCall); }
  SharedObject& object(int participant) override {
    return *stores_[static_cast<size_t>(participant)];
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachOneMore(int participant) override;
  void Use(int participant, SharedObject* object) override {
    stores_[static_cast<size_t>(participant)] = static_cast<Store*>(object);
  }
  void DoAsGuest(int participant, size_t number) override;
  uint64_t CountOf(StoreCall call) const;
  bool IsGlance(int participant, size_t number) const;
  void Do(int participant, size_t number, size_t call) override;
  bool DoesTheRest(size_t call) const override {
    return static_cast<StoreCall>(call) == StoreCall::kKeep;
  }
  bool MayComeBefore(size_t call) const override;
  void NoteBeginning() override { expected_ = newest_; }
  Finding Look() override;

  StoreBeginning beginning() const { return static_cast<StoreBeginning>(scenario().beginning); }
  // As it is recorded.
  Version Recorded(Version version) const { return tells_versions_ ? version : 0; }
  bool KeepsTerms() const;
  // Of the operation: on which key, and how long a value.
  uint64_t KeyOf(int participant, size_t number) const;
  size_t BytesOf(ValueId id) const;
  std::string ValueOf(ValueId id, uint64_t key) const;
  ValueId Named(ValueId id) const;  // as the history names what was written
  void Lease(int participant, size_t number, StoreCall call);
  static std::string_view KeyText(uint64_t key);
  // That nobody is shown an entry whose deadline was over when he asked.
  Finding CheckDeadlines() const;
  bool IsShownLate(const Operation& got) const;
  static absl::StatusOr<Version> PutByDraft(Store& store, std::string_view key,
                                            std::string_view value);
  // Those that there may be.
  uint64_t Keys() const { return scenario().drawn == 0 ? 1 : kMostKeys; }
  void Clear(int participant);
  void Visit(int participant);
  void Keep(int participant, size_t number);
  absl::StatusOr<std::shared_ptr<Segment>> NewSegment() const;
  absl::StatusOr<Version> PutKey(Store& store) const;
  void Fill(Store& store) const;
  void AskForTakenLease();
  bool IsForgottenAfter(size_t entries) const;
  size_t MostBesideTheKey() const;
  absl::Status PutFiller(Store& store, size_t number) const;
  void Finish(Operation& operation, const absl::Status& status, uint64_t result, Version version);
  Progress ProgressOf(StoreCall call) const;
  uint64_t IdOf(uint64_t key, std::string_view value) const;

  const Variant& variant_;
  const bool tells_versions_;  // a lease is a version of its own, which nobody tells
  std::array<Store*, kMostParticipants + 1> stores_ = {};
  std::shared_ptr<Segment>* segment_ = nullptr;  // in the arena
  // Of each key: as the last call has left it that came before the schedule; at its beginning.
  std::array<Version, kMostKeys> newest_ = {}, expected_ = {};
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_STORE_SCENE_H_
