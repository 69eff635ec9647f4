#include "harness/store_driver/sweep/store_operations.h"

#include <algorithm>

#include "harness/store_driver/shape/shape.h"
#include "harness/store_driver/sweep/store_scene.h"
#include "harness/store_driver/value.h"

namespace kill9::sweep {
namespace {

constexpr std::string_view kOperationNames[] = {"put_insert",
                                                "put_same",
                                                "put_larger",
                                                "put_smaller",
                                                "put_longest_key",
                                                "get_longest_key",
                                                "erase_longest_key",
                                                "get",
                                                "get_again",
                                                "get_large",
                                                "get_aging",
                                                "erase",
                                                "erase_large",
                                                "cas_hit",
                                                "cas_miss",
                                                "pin",
                                                "release",
                                                "reserve",
                                                "reserve_large",
                                                "commit",
                                                "commit_large",
                                                "drop",
                                                "for_each",
                                                "put_terms",
                                                "get_expired",
                                                "modify",
                                                "get_many",
                                                "get_or_lease",
                                                "put_leased",
                                                "drop_lease",
                                                "clear",
                                                "attach",
                                                "detach",
                                                "recover",
                                                "create"};
constexpr std::string_view kStateNames[] = {"empty",
                                            "one_entry",
                                            "collision_pair",
                                            "collision_chain",
                                            "full_table",
                                            "full_segment",
                                            "pinned_by_live",
                                            "pinned_by_dead",
                                            "half_done_put",
                                            "half_done_erase",
                                            "split",
                                            "merge",
                                            "first_block",
                                            "last_block",
                                            "emptied",
                                            "all_participants_dead",
                                            "all_participants_alive"};

constexpr ProbeName kProbeNames[] = {
    {"get"},          {"put"},   {"erase"},           {"cas"},
    {"pin"},          {"draft"}, {"for_each", false}, {"recover", false},
    {"attach", false}};

bool IsFull(StoreState state) {
  return state == StoreState::kFullTable || state == StoreState::kFullSegment ||
         state == StoreState::kFirstBlock || state == StoreState::kLastBlock ||
         state == StoreState::kEmptied;
}

}  // namespace

std::span<const std::string_view> StoreOperationNames() { return kOperationNames; }
std::span<const std::string_view> StoreStateNames() { return kStateNames; }
std::span<const ProbeName> StoreProbeNames() { return kProbeNames; }

ValueSizes SizesOf(const Traits& traits) {
  if (TakesValuesOf(traits, kLargerBytes)) return {kValueBytes, kLargerBytes, kSmallerBytes};
  const uint32_t longest = traits.edges.value_bytes.back();
  const uint32_t value = std::min(kValueBytes, longest - longest / 3);
  return {value, longest, std::min(kSmallerBytes, value - value / 3)};
}

uint32_t BytesWritten(const ValueSizes& sizes, StoreOperation operation) {
  if (operation == StoreOperation::kPutLarger) return sizes.larger;
  if (IsOfLargeValues(operation)) return kLargeBytes;
  return operation == StoreOperation::kPutSmaller ? sizes.smaller : sizes.value;
}

bool Applies(const Traits& traits, StoreOperation operation, StoreState state) {
  if (IsOfLargeValues(operation) && !TakesValuesOf(traits, kLargeBytes)) return false;
  // Each tells who wrote it, and no two of them are of one length.
  const ValueSizes sizes = SizesOf(traits);
  if (sizes.smaller < kSmallestNamedValue || sizes.smaller == sizes.value) return false;
  switch (operation) {
    case StoreOperation::kCompareAndSwapHit:
    case StoreOperation::kCompareAndSwapMiss:
      if (!traits.has_compare_and_swap) return false;
      break;
    case StoreOperation::kPin:
    case StoreOperation::kRelease:
      if (!traits.has_pin) return false;
      break;
    case StoreOperation::kReserve:
    case StoreOperation::kReserveLarge:
    case StoreOperation::kCommit:
    case StoreOperation::kCommitLarge:
    case StoreOperation::kDrop:
      if (!traits.has_draft) return false;
      break;
    case StoreOperation::kRecover:
      if (!traits.has_recovery) return false;
      break;
    default:
      break;
  }
  if ((state == StoreState::kPinnedByLive || state == StoreState::kPinnedByDead) &&
      !traits.has_pin) {
    return false;
  }
  if (!traits.bounded && IsFull(state)) return false;
  if (state == StoreState::kEmptied) {
    return operation == StoreOperation::kPutLarger || operation == StoreOperation::kReserveLarge;
  }
  if (operation == StoreOperation::kGetAging) {
    return traits.moves_hot && state == StoreState::kOneEntry;
  }
  if (IsOfTerms(operation)) {
    return traits.can_keep_terms &&
           (state == StoreState::kOneEntry ||
            (state == StoreState::kCollisionChain && operation != StoreOperation::kClear));
  }
  // In one scene, and without the copying of their bytes, of which each would be a state of its
  // own: that is torture's.
  if (IsOfLargeValues(operation) || IsOfTheLongestKey(operation)) {
    return state == StoreState::kOneEntry;
  }
  if (state == StoreState::kAllParticipantsDead || state == StoreState::kAllParticipantsAlive) {
    return operation == StoreOperation::kAttach && traits.has_recovery && !traits.needs_name;
  }
  // While a segment is made, only its name and what is behind that are looked at, no other files.
  if (operation == StoreOperation::kCreate)
    return state == StoreState::kEmpty && !traits.needs_name;
  if (state != StoreState::kEmpty) return true;
  return operation != StoreOperation::kPutSame && operation != StoreOperation::kPutLarger &&
         operation != StoreOperation::kPutSmaller && operation != StoreOperation::kRelease;
}

bool IsOfLargeValues(StoreOperation operation) {
  return operation == StoreOperation::kReserveLarge || operation == StoreOperation::kCommitLarge ||
         operation == StoreOperation::kGetLarge || operation == StoreOperation::kEraseLarge;
}

bool IsOfTerms(StoreOperation operation) {
  return operation >= StoreOperation::kPutTerms && operation <= StoreOperation::kClear;
}

bool IsOfAbsentKey(StoreOperation operation) {
  return operation == StoreOperation::kPutInsert || operation == StoreOperation::kGetOrLease ||
         operation == StoreOperation::kPutLeased || operation == StoreOperation::kDropLease;
}

bool IsOfTheLongestKey(StoreOperation operation) {
  return operation == StoreOperation::kPutLongestKey ||
         operation == StoreOperation::kGetLongestKey ||
         operation == StoreOperation::kEraseLongestKey;
}

bool TakesNoKey(StoreOperation operation) {
  return operation == StoreOperation::kForEach || operation == StoreOperation::kRecover ||
         operation == StoreOperation::kAttach || operation == StoreOperation::kDetach;
}

}  // namespace kill9::sweep
