// The checker of channels: messages that are sent, taken, acknowledged or given up, and come again
// if their taker dies. Each message is sent once, and its sequence says where it stands; so no
// order is searched for, and the checker goes along with a run. Operations come by invoke, each
// complete.
//
// A message is *surely there* from the return of its send, or of its last Return, until the call of
// the next take of it. What must hold:
//
//   H1  what is taken was sent, and was not acknowledged before;
//   H2  of two sends of which one returned before the other was called, that one has the smaller
//       sequence; no sequence is used twice;
//   H3  no message is overtaken: while it is surely there, nothing with a greater sequence is
//       taken, by a take that lies wholly in that time;
//   H4  nobody finds nothing at a time at each moment of which some message was surely there;
//   H5  what comes again is marked, and what is marked comes again;
//   H6  a message is taken from nobody who acknowledges or returns it later;
//   H7  where a quiet channel is counted, all messages are there that were sent and not
//       acknowledged.
//
// A send cut off by a death took place, before the death, if its message is seen. A receive cut off
// may have removed any message that is missing: one each, the one that died first takes the message
// that must be explained first. What a take cut off had may be missing for a while (H3, H4), but is
// not lost: it comes again (H7).
//
// Under a weaker condition than strict the end of what was cut off is later; of a stream, none is
// shown to hold.
#ifndef KILL9_HARNESS_CHECKER_MODELS_MESSAGES_CHANNEL_CHECKER_H_
#define KILL9_HARNESS_CHECKER_MODELS_MESSAGES_CHANNEL_CHECKER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/models/messages/recent_operations.h"

namespace kill9 {

// Among which messages there is an order. Of one sender are the messages of one process whose
// sequences agree in all but the low 40 bits: a process that attaches anew is a new sender, and the
// recorder puts the number of its attachment above them.
enum class ChannelOrder : uint8_t { kTotal, kPerSender };

class ChannelStream final : public StreamChecker {
 public:
  ChannelStream(std::string_view model, ChannelOrder order) : model_(model), order_(order) {}

  SearchResult Add(const Operation& operation) override;
  void Keep(const Operation&) override {}
  SearchResult Finish() override;
  bool HoldsUnder(Condition, const Recoveries&) const override { return false; }
  Counterexample Explain() const override { return recent_.Explain(model_, fault_); }
  uint64_t overlapping() const override { return overlapping_; }

 private:
  static constexpr uint64_t kNobody = ~0ull;

  struct Life {
    uint64_t sequence = 0;
    uint64_t send_invoke = 0;
    uint64_t send_finish = 0;
    uint32_t sender = 0;
    bool send_is_optional = false;
    bool send_has_returned = false;
    bool seen = false;             // by a take
    uint32_t takes_under_way = 0;  // called, not returned
    uint64_t since = kNever;       // surely there since then
    uint64_t from = kNever;        // and perhaps from then on: the call of what made it be there
    uint64_t owner = kNobody;      // the process that took it last and has not given it up
    uint64_t first_take = kNever;  // when the first take of it returned
    uint64_t owner_take_finish = 0;
    bool may_be_gone = false;  // an acknowledgement of it was cut off, or a receive
  };
  using Lives = absl::flat_hash_map<uint64_t, Life>;

  // Of takes that have returned: for each sequence the latest call of a take of a greater one. Only
  // those are kept that no other makes needless.
  class TakenFront {
   public:
    void Add(uint64_t sequence, uint64_t invoke);
    // The latest call among those of greater sequences; 0: none.
    uint64_t LatestAbove(uint64_t sequence) const;

   private:
    std::map<uint64_t, uint64_t> by_sequence_;
  };

  struct ByFinish {
    bool operator()(const Operation& a, const Operation& b) const { return a.finish > b.finish; }
  };

  bool ReturnAllBefore(uint64_t time);
  bool OnInvoke(const Operation& operation);
  bool OnReturn(const Operation& operation);
  bool OnSendCalled(const Operation& operation);
  bool OnSendReturned(const Operation& operation);
  bool OnTakeCalled(const Operation& operation);
  bool OnTakeReturned(const Operation& operation);
  bool OnGivenUp(const Operation& operation);
  bool OnNothing(const Operation& operation);
  bool OnCount(const Operation& operation);

  uint64_t GroupOf(const Life& life) const {
    if (order_ == ChannelOrder::kTotal) return 0;
    return uint64_t{WhoseCompanion(life.sender)} << 24 | life.sequence >> 40;
  }
  // From the call to the return of what made it be there others may have taken it already.
  void BecomeSure(uint64_t message, Life& life, uint64_t call, uint64_t time);
  void BecomeUnsure(uint64_t message, Life& life);
  void Forget(uint64_t message);
  // That a receive that was cut off has removed the message. False: none is left that could have.
  bool Explain(Life& life);
  // Whether a take that was cut off may have had the message since it was there.
  bool MayHaveBeenHeld(const Life& life) const { return last_cut_off_ >= life.from; }
  bool WasOvertaken(const Life& life) const;
  bool Fail(uint64_t message, const Operation& operation, std::string why);

  const std::string_view model_;
  const ChannelOrder order_;
  Lives lives_;
  std::map<uint64_t, std::map<uint64_t, uint64_t>> by_sequence_;  // group: sequence: message
  absl::flat_hash_map<uint64_t, uint32_t>
      early_takes_;                         // of messages whose send was not called yet
  std::set<uint64_t> sure_;                 // messages that are surely there
  uint64_t sure_since_ = kNever;            // since when some message has been
  uint64_t sure_from_ = kNever;             // the earliest `from` of those since then
  std::map<uint64_t, uint64_t> sent_most_;  // group: the greatest sequence of a send that returned
  std::map<uint64_t, TakenFront> taken_;
  // The process of each message that was there at the call: several, of a batch.
  std::multiset<uint32_t> returns_under_way_;
  std::multiset<uint64_t> cut_off_receives_;  // their deaths; each explains one missing message
  uint64_t last_cut_off_ = 0;  // the latest death in a take or receive that was called so far
  uint64_t last_nothing_ = 0;  // the latest call of those that found nothing and have returned
  std::priority_queue<Operation, std::vector<Operation>, ByFinish> under_way_;
  uint64_t overlapping_ = 0;

  RecentOperations recent_;
  MessageFault fault_;
};

class ChannelChecker : public ModelChecker {
 public:
  ChannelChecker(std::string_view name, std::string_view summary, ChannelOrder order)
      : name_(name), summary_(summary), order_(order) {}
  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return summary_; }
  bool Accepts(Function function) const override {
    return function >= Function::kSend && function <= Function::kCount;
  }
  SearchResult Check(Condition condition, const Recoveries& recoveries, const EngineLimits& limits,
                     const KeyHistory& recorded, Counterexample* counterexample) const override;
  std::unique_ptr<StreamChecker> NewStream(bool has_versions,
                                           const EngineLimits& limits) const override;

 private:
  std::string_view name_;
  std::string_view summary_;
  ChannelOrder order_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_MESSAGES_CHANNEL_CHECKER_H_
