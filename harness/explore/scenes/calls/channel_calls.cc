// Which calls scenes of channels have, which scenes there are, what a guest does, and what must
// hold of closes and ends.
#include <algorithm>
#include <iterator>

#include "harness/explore/scenes/channel_scene.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kChannelNames[] = {
    "send",      "receive", "take",       "return",     "drain",        "draft",
    "close",     "recover", "return_two", "join",       "wait_receive", "wait_send",
    "keep",      "batch",   "drain_all",  "return_all", "come",         "soon_receive",
    "soon_send", "tick",    "ask",        "serve",      "told_receive"};
constexpr std::string_view kChannelBeginnings[] = {"", "@empty", "@full", "@closed"};
constexpr std::string_view kLargerChannelScenes[] = {
    "send,send,receive+receive,send", "send,receive+send,receive@empty", "send,take+send,return",
    "take,send+receive,send@full", "return+receive,recover", "take+send,receive,recover",
    "draft,draft+drain,receive", "send+receive+receive", "send+send+receive@empty",
    "send,send+take+recover@full", "receive,send+receive,send@full",
    "return,take+receive,send@full", "close,send+send,send", "close,receive+send",
    "return_two,take,take+send@full", "return_two,drain+take,send@full",
    // Two messages are shown while others are overwritten, and the ring comes round.
    "return_two+send,send,send@full", "return_two,receive+send,send,send,send,send,send@full"};
constexpr std::string_view kWiderChannelScenes[] = {
    "send+receive+take",   "send+send+drain@full", "take+return+recover",   "send+join+recover",
    "close+send+receive",  "send+receive@closed",  "take+drain@closed",     "draft+return@closed",
    "receive+join@closed", "send+close@closed",    "receive+receive@closed"};
constexpr std::string_view kWaitingChannelScenes[] = {
    "wait_receive+send@empty", "wait_receive+draft@empty", "wait_receive,receive+send@empty",
    "wait_receive+return", "take,recover+wait_receive", "wait_receive+wait_receive+send@empty",
    // Who waits again, while the last is woken.
    "wait_receive,wait_receive+send,send@empty", "wait_receive+wait_receive+send,send@empty",
    "wait_send+receive@full", "wait_send+take@full", "wait_send+drain@full",
    "wait_receive+wait_send@full", "wait_receive+wait_send@empty", "soon_receive+tick,send@empty",
    "soon_receive+send+tick@empty", "soon_receive+wait_receive+tick,send@empty",
    "soon_send+tick,receive@full", "soon_send+take+tick@full", "ask+serve@empty", "ask+ask@empty",
    "ask+serve+recover@empty", "ask+ask+serve@empty", "ask+serve", "take+wait_receive",
    "take+wait_receive@new", "wait_receive+wait_receive+send@empty@new", "ask+serve@empty@new",
    // Beside who waits, one who does not and is in its way.
    "wait_send+send+receive@full", "wait_receive+return+send@empty",
    "wait_send+wait_send+take@full", "told_receive+send@empty"};

bool IsTakeOrReceive(const Operation& one) {
  return one.function == Function::kTake || one.function == Function::kReceive;
}

}  // namespace

const ScenarioWords& ChannelWords() {
  static constexpr ScenarioWords kWords = {kChannelNames, kChannelBeginnings};
  return kWords;
}

bool HasChannelCall(const ChannelTraits& traits, size_t call) {
  switch (static_cast<ChannelCall>(call)) {
    case ChannelCall::kTake:
    case ChannelCall::kReturn:
    case ChannelCall::kReturnTwo:
    case ChannelCall::kDrain:
    case ChannelCall::kKeep:
    case ChannelCall::kDrainAll:
    case ChannelCall::kReturnAll:
      return traits.has_take;
    case ChannelCall::kDraft:
      return traits.has_draft;
    case ChannelCall::kRecover:
    case ChannelCall::kCome:
      return traits.has_recovery;
    case ChannelCall::kWaitReceive:
    case ChannelCall::kSoonReceive:
    case ChannelCall::kTick:
    case ChannelCall::kToldReceive:
      return traits.has_readiness;
    case ChannelCall::kWaitSend:
    case ChannelCall::kSoonSend:
      return traits.has_readiness && traits.when_full == ChannelTraits::WhenFull::kWait;
    case ChannelCall::kAsk:
    case ChannelCall::kServe:
      return traits.has_readiness && traits.has_take &&
             traits.delivery != ChannelTraits::Delivery::kBroadcast;
    default:
      return true;
  }
}

bool IsTimedChannelCall(size_t call) {
  const auto of_channel = static_cast<ChannelCall>(call);
  return of_channel == ChannelCall::kSoonReceive || of_channel == ChannelCall::kSoonSend ||
         of_channel == ChannelCall::kTick;
}

std::span<const std::string_view> LargerChannelScenes() { return kLargerChannelScenes; }

std::span<const std::string_view> WiderChannelScenes() { return kWiderChannelScenes; }

std::span<const std::string_view> WaitingChannelScenes() { return kWaitingChannelScenes; }

absl::StatusOr<std::unique_ptr<SharedObject>> ChannelScene::AttachOneMore(int participant) {
  constexpr MemberRole kRoles[] = {MemberRole::kBoth, MemberRole::kSender, MemberRole::kReceiver};
  const uint64_t guest = static_cast<uint64_t>(Aspect::kGuest) + static_cast<uint64_t>(participant);
  return design_.Attach(*segment_, {.role = kRoles[PickOf(guest, std::size(kRoles))]});
}

void ChannelScene::DoAsGuest(int participant, size_t number) {
  if (is_broadcast_) {
    Operation asked = {};
    asked.function = Function::kSubscribe;
    Operation& subscribed = Begin(participant, "subscribed", /*must_not_wait=*/false, asked);
    End(subscribed, Outcome::kOk, channel(participant).began_after(), 0);
  }
  const MemberRole role = channel(participant).role();
  if (Sends(role)) Send(participant, IdOfWrite(participant, number), /*as_draft=*/false);
  if (Receives(role)) Receive(participant);
}

bool ChannelScene::MayComeBefore(size_t call) const {
  if (call >= std::size(kChannelNames) || !HasChannelCall(design_.traits(), call)) return false;
  switch (static_cast<ChannelCall>(call)) {
    case ChannelCall::kClose:
    case ChannelCall::kWaitReceive:
    case ChannelCall::kWaitSend:
    case ChannelCall::kKeep:
    case ChannelCall::kSoonReceive:
    case ChannelCall::kSoonSend:
    case ChannelCall::kTick:
    case ChannelCall::kAsk:
    case ChannelCall::kServe:
    case ChannelCall::kToldReceive:
      return false;
    default:
      return true;
  }
}

Finding ChannelScene::CheckCloses() const {
  const bool is_closed =
      static_cast<ChannelBeginning>(scenario().beginning) == ChannelBeginning::kClosed;
  uint64_t first_call = is_closed ? 0 : kNever, first_return = first_call;
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (one.function != Function::kRecover || one.argument != kOfAClose) continue;
      first_call = std::min(first_call, one.invoke);
      if (one.outcome == Outcome::kOk) first_return = std::min(first_return, one.finish);
    }
  }
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (one.function != Function::kSend || one.outcome == Outcome::kOpen) continue;
      const bool was_told = one.expected == kOfAClose;
      if (was_told && one.finish < first_call) {
        return {Verdict::kViolation, "a send was told of a Close that nobody had called"};
      }
      if (!was_told && one.invoke > first_return) {
        return {Verdict::kViolation, "a send after a Close had returned was not told of it"};
      }
    }
  }
  return CheckEnds();
}

bool ChannelScene::HeldAt(uint64_t time, int participant, uint64_t message) const {
  bool held = false;
  for (const Operation& one : OperationsOf(participant)) {
    if (one.function == Function::kTake && one.result == message && one.invoke < time) held = true;
    const bool gives_up =
        one.function == Function::kAcknowledge || one.function == Function::kReturn;
    if (gives_up && one.argument == message && one.finish < time) held = false;
  }
  return held;
}

bool ChannelScene::IsAfterAnEnd(const Operation& taken) const {
  for (int told = 0; told < participants(); ++told) {
    for (const Operation& end : OperationsOf(told)) {
      const bool is_end = IsTakeOrReceive(end) && end.outcome == Outcome::kOk &&
                          end.result == kNothing && end.expected == kOfAClose;
      const bool concerns = !is_broadcast_ || taken.process == end.process;
      if (is_end && concerns && taken.invoke > end.finish &&
          !HeldAt(end.invoke, told, taken.result)) {
        return true;
      }
    }
  }
  return false;
}

bool ChannelScene::CameAfter(uint64_t time, uint64_t message) const {
  for (int i = 0; i < participants(); ++i) {
    if (Stage::Get().died(i) && Stage::Get().time_of_death(i) < time) continue;
    if (HeldAt(time, i, message)) return true;
    for (const Operation& one : OperationsOf(i)) {
      if (one.finish > time && (one.argument == message || one.result == message)) return true;
    }
  }
  return false;
}

bool ChannelScene::WasOverslept(uint64_t message) const {
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      const bool in_vain = IsTakeOrReceive(one) && one.outcome == Outcome::kOk &&
                           one.result == kNothing && one.expected == kInVain;
      if (in_vain && !CameAfter(one.finish, message)) return true;
    }
  }
  return false;
}

Finding ChannelScene::CheckEnds() const {
  for (int i = 0; i < participants(); ++i) {
    for (const Operation& one : OperationsOf(i)) {
      if (!IsTakeOrReceive(one) || one.result == kNothing || !IsAfterAnEnd(one)) continue;
      return {Verdict::kViolation, kAfterTheEnd};
    }
  }
  return {};
}

}  // namespace kill9::explore
