// Scenes of stores: each participant does a few operations on one key, or on two.
//
//     put+get          one participant puts, another gets
//     put,get+erase    the first does two things
//     put+put@empty    in an empty store; without it, the key is there
//     get+put@full     the key is there, and room for one more entry of its size; in a store that
//                      forgets, as many others as leave the key there
#ifndef KILL9_HARNESS_EXPLORE_SCENES_STORE_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_STORE_SCENE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "harness/checker/model_checker.h"
#include "harness/explore/runtime/machine.h"
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
};
std::span<const std::string_view> StoreCallNames();

struct StoreScenario {
  std::string name;
  std::vector<std::vector<StoreCall>> calls;  // of each participant
  enum class Beginning : uint8_t { kOneEntry, kEmpty, kFull } beginning = Beginning::kOneEntry;
};
// kInvalidArgument: there is no such scenario; says what there is.
absl::StatusOr<StoreScenario> ParseStoreScenario(std::string_view name);
// Every two operations on one key.
std::vector<std::string> AllPairs(const Traits& traits);

class StoreScene : public Scene {
 public:
  StoreScene(const Variant& variant, const StoreScenario& scenario);
  ~StoreScene() override;

  void Make() override;
  int participants() const override { return static_cast<int>(scenario_.calls.size()); }
  void Run(int participant) override;
  Finding Judge() override;

 private:
  static constexpr uint32_t kMaker = 100;  // a process of the history
  static constexpr uint64_t kKey = 0;
  static constexpr size_t kMostCalls = 8;

  struct Participant {
    Store* store = nullptr;
    std::array<Operation, kMostCalls> operations;
    size_t count = 0;
    uint64_t schedule = 0;  // which of the runs wrote the operations
  };

  absl::StatusOr<std::shared_ptr<Segment>> NewSegment() const;
  absl::StatusOr<Version> PutKey(Store& store) const;
  void Fill(Store& store) const;
  bool IsForgottenAfter(size_t entries) const;
  size_t MostBesideTheKey() const;
  absl::Status PutFiller(Store& store, size_t number) const;
  void Do(int participant, size_t number, StoreCall call);
  void Finish(Operation& operation, const absl::Status& status, uint64_t result, Version version);
  bool MustNotWait(StoreCall call) const;
  uint64_t IdOf(std::string_view value) const;
  Finding CheckAudit();
  Finding CheckHistoryNow(uint64_t shown, Version version);

  const Variant& variant_;
  const StoreScenario scenario_;
  const ModelChecker* model_;
  std::array<Participant, kMostParticipants + 1> of_;
  std::vector<Operation> history_;
  absl::flat_hash_set<uint64_t> legal_;
  Version version_at_beginning_ = kAbsent;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_STORE_SCENE_H_
