// The scenes of the sweep of stores: starting states of a segment, made through store.h alone.
//
// What depends on a design's inside (which keys collide, how many entries fill it) is found by
// asking: Segment::Hash, kResourceExhausted.
#ifndef KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SCENE_H_
#define KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SCENE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/store_driver/sweep/store_operations.h"
#include "harness/sweep/driver/driver.h"
#include "variants/registry.h"

namespace kill9::sweep {

// No multiples of anything: what is rounded the wrong way shows.
inline constexpr uint32_t kValueBytes = 197;
inline constexpr uint32_t kLargerBytes = 901;
inline constexpr uint32_t kSmallerBytes = 37;
inline constexpr uint32_t kLargeBytes = 4999;
inline constexpr uint32_t kFillBytes =
    3000;  // values of this size exhaust a segment in some dozens

// Keys that are no scene's: what a judge fills the store with, and what an interferer uses space
// for. As histories number them.
inline constexpr uint64_t kFillKeys = 3072;
inline constexpr uint64_t kStrangeKey = ~uint64_t{0};
std::string FillKey(uint32_t number);
std::string InterferenceKey(uint32_t number);
bool IsInterferenceKey(std::string_view key);

// The id that a history records for the bytes read under a key: of bytes that nobody wrote, one
// that nobody writes.
uint64_t ReadId(uint64_t key, std::string_view bytes);

class StoreScene final : public Scene {
 public:
  StoreScene(const Variant& variant, StoreOperation operation, StoreState state,
             const SweepShape& shape)
      : variant_(variant), operation_(operation), state_(state), shape_(shape) {}

  const Variant& design() const override { return variant_; }
  Making making() const override;
  std::span<const Operation> beginning() const override { return beginning_; }
  Naming naming() const override;
  std::unique_ptr<Scene> In(std::shared_ptr<Segment> segment) const override;

  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                    OperationLog log) const override;
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings& findings,
                                                        OperationLog log) const override;
  std::shared_ptr<void> Hold(SharedObject& object) const override;
  std::shared_ptr<void> HoldUnseen(SharedObject& object) const override;
  std::shared_ptr<void> HoldBeside(SharedObject& object, Findings& findings) const override;
  bool OncePerProcess() const override { return traits().needs_name; }
  bool IsTried(uint32_t probe) const override;
  bool DeclaredUnblocked(uint32_t probe, Nearness where) const override;

  const Traits& traits() const { return variant_.traits(); }
  ValueSizes sizes() const {
    const ValueSizes usual = SizesOf(traits());
    return {.value = shape_.middle != 0 ? shape_.middle : usual.value,
            .larger = shape_.large != 0 ? shape_.large : usual.larger,
            .smaller = shape_.small != 0 ? shape_.small : usual.smaller};
  }
  size_t key_count() const { return keys_.size(); }
  const std::string& key(uint64_t number) const { return keys_[number]; }
  // Of the scene's keys; nothing of any other.
  std::optional<uint32_t> NumberOf(std::string_view key) const;
  uint32_t Subject(StoreOperation operation) const {
    return IsOfAbsentKey(operation) ? insert_ : target_;
  }
  uint32_t At(Nearness where) const;

 private:
  friend class SceneMaker;

  const Variant& variant_;
  StoreOperation operation_;
  StoreState state_;
  SweepShape shape_;
  std::vector<std::string> keys_;
  std::unordered_map<std::string_view, uint32_t>
      numbers_;  // of the keys, which stay where they are
  std::vector<Operation> beginning_;
  uint32_t target_ = 0;     // the key that operations on a present key take (absent in kEmpty only)
  uint32_t insert_ = 1;     // absent; shares the target's hash bits at both ends
  uint32_t elsewhere_ = 2;  // shares none of them
  uint32_t same_stripe_ = 3;  // absent; shares the low and high bits with the target
  bool full_ = false;         // filled until there was no room
};

// Creates the segment and fills it, in this process and through a participant that detaches again.
absl::StatusOr<std::unique_ptr<StoreScene>> MakeStoreScene(const Variant& variant,
                                                           StoreOperation operation,
                                                           StoreState state,
                                                           const SweepShape& shape);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_STORE_DRIVER_SWEEP_STORE_SCENE_H_
