// Which calls scenes of stores have, and which scenes there are.
#include <algorithm>
#include <iterator>

#include "harness/explore/scenes/store_scene.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kStoreNames[] = {
    "put",  "get",   "erase", "swap",  "pin",        "draft",       "recover",
    "join", "clear", "lapse", "lease", "modify",     "add",         "visit",
    "keep", "come",  "tick",  "brief", "wait_lease", "brief_lease", "glance"};
constexpr std::string_view kStoreBeginnings[] = {"", "@empty", "@full"};
constexpr std::string_view kLargerStoreScenes[] = {
    "put,put,put+get@full", "put,put,put+pin@full", "put,put+put,put@full",
    "put,put,put+get,get@full", "put,swap,put+swap,pin@full", "erase,put+swap,get@full",
    "put,erase+put,erase@full", "put,erase,put+pin@full", "swap,swap+pin,pin", "swap+swap+get",
    "put+put+get@full", "put,erase,put+put+get@full", "put,put+get@fences",
    "put,put,put+pin@full@fences", "swap,erase,put+pin,get@full@fences",
    // Nothing is there, and an entry is staged.
    "put+erase@empty", "put,erase+put,get@empty",
    // Who has just come, and holds what makes room.
    "put+glance@full", "put,put,put+glance@full@fences",
    // Two who recover the same victim, of whom one then has its place; a draft where all room is
    // among what was given up.
    "put+recover+join@empty", "erase,draft+put@full"};

constexpr std::string_view kWiderStoreScenes[] = {"put+get+erase",  "put+put+get",
                                                  "swap+draft+get", "put+erase+recover",
                                                  "put+pin+join",   "put+get+recover@full"};
constexpr std::string_view kScenesOfTerms[] = {"clear+put",
                                               "clear+get",
                                               "clear+erase",
                                               "clear+swap",
                                               "clear+draft",
                                               "lapse+get",
                                               "lapse+put",
                                               "lapse+erase",
                                               "lapse+lapse",
                                               "lapse+draft",
                                               "lapse+swap",
                                               "lapse,get+put@full",
                                               "lease+get",
                                               "lease+put",
                                               "lease+erase@empty",
                                               "lease+clear",
                                               "lease+lapse",
                                               "lease+lease@empty",
                                               "lease+clear@empty",
                                               "brief,get+tick,get",
                                               "brief+tick,put",
                                               "brief,put+tick,get",
                                               "brief,get+tick,draft",
                                               "brief,add+tick,get",
                                               "brief,erase+tick",
                                               "brief+tick+get",
                                               "brief,tick,get+put",
                                               "brief,tick,get+get",
                                               "brief+tick,clear",
                                               "brief_lease+tick,lease@empty",
                                               "brief_lease+tick,wait_lease@empty",
                                               "wait_lease+lease@empty",
                                               "wait_lease+wait_lease+wait_lease@empty"};

}  // namespace

const ScenarioWords& StoreWords() {
  static constexpr ScenarioWords kWords = {kStoreNames, kStoreBeginnings};
  return kWords;
}

bool HasStoreCall(const Traits& traits, size_t call) {
  switch (static_cast<StoreCall>(call)) {
    case StoreCall::kSwap:
      return traits.has_compare_and_swap;
    case StoreCall::kPin:
    case StoreCall::kKeep:
      return traits.has_pin;
    case StoreCall::kDraft:
      return traits.has_draft;
    case StoreCall::kRecover:
    case StoreCall::kJoin:
    case StoreCall::kCome:
      return traits.has_recovery;
    case StoreCall::kGlance:
      return traits.has_recovery && traits.has_pin;
    case StoreCall::kModify:
    case StoreCall::kAdd:
      return traits.has_modify;
    default:
      return !IsStoreCallOfTerms(call) || traits.can_keep_terms;
  }
}

bool IsTimedStoreCall(size_t call) {
  const auto of_store = static_cast<StoreCall>(call);
  return of_store == StoreCall::kTick || of_store == StoreCall::kBrief ||
         of_store == StoreCall::kBriefLease;
}

bool IsLease(size_t call) {
  const auto of_store = static_cast<StoreCall>(call);
  return of_store == StoreCall::kLease || of_store == StoreCall::kWaitLease ||
         of_store == StoreCall::kBriefLease;
}

bool IsStoreCallOfTerms(size_t call) {
  const auto of_store = static_cast<StoreCall>(call);
  return of_store == StoreCall::kClear || of_store == StoreCall::kLapse || IsLease(call) ||
         IsTimedStoreCall(call);
}

bool FitStoreCalls(std::span<const size_t> calls) {
  const auto has = [calls](StoreCall call) {
    return std::find(calls.begin(), calls.end(), static_cast<size_t>(call)) != calls.end();
  };
  const bool leases = std::any_of(calls.begin(), calls.end(), IsLease);
  return !leases || (!has(StoreCall::kSwap) && !has(StoreCall::kAdd));
}

std::span<const std::string_view> LargerStoreScenes() { return kLargerStoreScenes; }

std::span<const std::string_view> WiderStoreScenes() { return kWiderStoreScenes; }

std::span<const std::string_view> StoreScenesOfTerms() { return kScenesOfTerms; }

bool StoreScene::MayComeBefore(size_t call) const {
  if (call >= std::size(kStoreNames) || !HasStoreCall(variant_.traits(), call)) return false;
  switch (static_cast<StoreCall>(call)) {
    case StoreCall::kClear:
    case StoreCall::kLapse:
    case StoreCall::kLease:
      return Has(call);
    case StoreCall::kSwap:
    case StoreCall::kAdd:
      return tells_versions_;
    case StoreCall::kKeep:
    case StoreCall::kWaitLease:
    case StoreCall::kGlance:
      return false;
    default:
      return !IsTimedStoreCall(call);
  }
}

}  // namespace kill9::explore
