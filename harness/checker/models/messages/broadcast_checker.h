// The checker of broadcasts with gaps. Messages have consecutive numbers in the one order of their
// sends, so no order is searched for, and the checker goes along with a run. Each subscriber goes
// through the numbers for itself, and says of each gap how long it is. What must hold:
//
//   G1  what is received was sent, with the number with which it is received;
//   G2  of two messages of which one was there (its send had returned, or somebody had received it)
//       before the other's send was called, that one has the smaller number; each number is of one
//       message;
//   G3  a subscriber receives greater and greater numbers, from the one on after which it began;
//       nothing comes twice, but for what it returned, which is marked;
//   G4  what it is told to have missed is exactly what it did not get: the numbers in between, and
//       what it returned and did not get again;
//   G5  each number is of a message, also where nobody received it: of a send that returned, or was
//       cut off by a death, at a time that fits the numbers around it; and each send that returned
//       has a number;
//   G6  who finds nothing has nothing more to come of what was there when it asked: the next that
//       it receives was sent later;
//   G7  who acknowledges or returns a message holds it;
//   G8  what a subscriber was told to have missed is gone: nobody receives it by a later call, but
//       who had returned it.
//
// A send that was cut off took place, before the death, if its message is seen, or its number is
// needed (G5). Of a receive that was cut off nothing is left: its subscriber has died.
//
// G2, G5 and G6 are checked when a number is *settled*: behind what any subscriber may still
// receive, or at the end. Of a whole history all are settled at the end.
//
// Under a weaker condition than strict the end of what was cut off is later; of a stream, none is
// shown to hold.
#ifndef KILL9_HARNESS_CHECKER_MODELS_MESSAGES_BROADCAST_CHECKER_H_
#define KILL9_HARNESS_CHECKER_MODELS_MESSAGES_BROADCAST_CHECKER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/models/messages/recent_operations.h"

namespace kill9 {

class BroadcastStream final : public StreamChecker {
 public:
  // `window`: how far behind the last number a subscriber is at most. One that is further behind
  // may make the answer wrong.
  explicit BroadcastStream(uint64_t window = kWindow) : window_(window) {}

  SearchResult Add(const Operation& operation) override;
  void Keep(const Operation&) override {}
  SearchResult Finish() override;
  bool HoldsUnder(Condition, const Recoveries&) const override { return false; }
  Counterexample Explain() const override { return recent_.Explain("broadcast", fault_); }
  uint64_t overlapping() const override { return overlapping_; }

 private:
  // More messages than any scenario's segment has room for.
  static constexpr uint64_t kWindow = uint64_t{1} << 18;

  // What stands at a number.
  struct Place {
    uint64_t message = kNothing;  // kNothing: not known
    uint64_t send_invoke = 0;
    uint64_t there_by = kNever;  // when its send, or the first receive of it, returned
    uint64_t gone_by = kNever;   // when a receive returned that told a subscriber that it missed it
  };
  // A send of which no number is known: it tells none, or was cut off. A number that nobody
  // received must be one of theirs, and each that returned must have one. If each such number can
  // be given to a send of its own, and each send that returned can get a number of its own, then
  // both at once is possible (Mendelsohn and Dulmage, 1958). So the two are looked at apart; and
  // greedily, since what fits is an interval: who must have a number soonest comes first.
  struct Unplaced {
    uint64_t invoke = 0;
    bool is_optional = false;
  };
  // Those that are left to be given, by their end and by their beginning.
  class Sends {
   public:
    struct Send {
      uint64_t invoke, finish, message;
    };
    void Add(const Send& send);
    void Remove(const Send& send);
    bool Has(const Send& send) const { return by_finish_.contains(ByFinish(send)); }
    // Takes away the one that ended first, of those that were called by then. False: none is left.
    bool TakeFirst(uint64_t called_by);

   private:
    using Key = std::tuple<uint64_t, uint64_t, uint64_t>;
    static Key ByFinish(const Send& send) { return {send.finish, send.message, send.invoke}; }
    static Key ByInvoke(const Send& send) { return {send.invoke, send.message, send.finish}; }

    std::set<Key> by_finish_, by_invoke_;
  };
  // The numbers of one channel: what is above their low 40 bits, where a run goes through several.
  struct Channel {
    uint64_t base = 0;  // the first number that is not settled
    std::deque<Place> places;
  };
  struct Subscriber {
    bool has_begun = false;
    uint64_t last = 0;     // the number of the last that it got, or after which it began
    uint64_t missed = 0;   // since then, of those that it had returned
    uint64_t nothing = 0;  // when it asked last and found nothing, since then; 0: it did not
    std::set<uint64_t> returned;
    absl::flat_hash_map<uint64_t, uint64_t> held;  // message: number
  };
  struct ByFinish {
    bool operator()(const Operation& a, const Operation& b) const { return a.finish > b.finish; }
  };

  bool ReturnAllBefore(uint64_t time);
  bool OnReturn(const Operation& operation);
  bool OnSend(const Operation& operation);
  // The number of what was received: as told, or as its send was; 0: not known.
  uint64_t NumberOfReceived(const Operation& operation) const;
  // The message of a number, as who received it was told.
  bool OnSeen(uint64_t number, const Operation& operation);
  bool OnReceived(const Operation& operation);
  bool OnGivenUp(const Operation& operation);
  void OnNothing(const Operation& operation);
  bool OnSubscribed(const Operation& operation);
  // That the subscriber may receive this next; how many it must have missed before.
  bool Advance(Subscriber& subscriber, uint64_t number, const Operation& operation,
               uint64_t* missed);
  // Notes that it missed what is between, and looks whether others missed this one.
  bool PassOver(uint64_t last, uint64_t number, const Operation& operation);
  // What was received is of a send whose number nobody knows.
  bool OnReceivedUnplaced(const Operation& operation);
  void NoteNothingBefore(uint64_t number, uint64_t called);

  // Null: it is settled already, or absurd.
  Place* PlaceOf(uint64_t number);
  bool IsSettled(uint64_t number);
  // Settles the first numbers of a channel, and all of those before it.
  bool Settle(uint64_t channel_number, size_t count);
  bool SettleIn(Channel& channel, size_t count);
  // That a message can have the number which nobody received. `there_by`: when a later one was
  // there.
  bool FillHole(uint64_t number, uint64_t there_by);
  // Of sends that are over before the settled numbers end: that each that returned has one.
  bool DropUnplacedBefore(uint64_t time);
  bool Fail(uint64_t message, const Operation& operation, std::string why);

  const uint64_t window_;
  std::map<uint64_t, Channel> channels_;
  absl::flat_hash_map<uint32_t, Subscriber> subscribers_;       // by process
  std::map<std::pair<uint64_t, uint64_t>, Unplaced> unplaced_;  // by finish and message
  Sends to_fill_holes_;                                         // where each number has a send
  Sends to_be_placed_;                                 // where each send that returned has a number
  absl::flat_hash_map<uint64_t, uint64_t> number_of_;  // by message; not settled
  absl::flat_hash_map<uint64_t, uint64_t> unplaced_finish_;  // by message
  uint64_t called_before_ = 0;  // the latest call that a settled number was sent, or not there, at
  // Who had found nothing, and what number it received next: the call, by that number.
  std::map<uint64_t, uint64_t> nothing_before_;
  std::priority_queue<Operation, std::vector<Operation>, ByFinish> under_way_;
  bool is_undecided_ = false;
  uint64_t overlapping_ = 0;

  RecentOperations recent_;
  MessageFault fault_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_MESSAGES_BROADCAST_CHECKER_H_
