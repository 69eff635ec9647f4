// What the scenes of all kinds of objects have in common: participants whose operations are
// recorded, and the judgement of what they leave: the audit, and the history against the model.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_OBJECT_SCENE_H_
#define KILL9_HARNESS_EXPLORE_SCENES_OBJECT_SCENE_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/checker/model_checker.h"
#include "harness/explore/runtime/stage.h"
#include "harness/explore/scenes/scenario.h"
#include "harness/history/history.h"
#include "harness/store_driver/value.h"
#include "variants/deadline.h"
#include "variants/object.h"
#include "variants/segment.h"

namespace kill9::explore {

class ObjectScene : public Scene {
 public:
  int participants() const final { return static_cast<int>(scenario_.calls.size()); }
  void Make() final;
  void Act(int participant, int what) final;
  void Run(int participant) final;
  Finding Judge() final;
  std::string Told() const final;
  size_t MomentsOf(int participant) const final;

  // In memory that processes share which are forked meanwhile.
  static void* operator new(size_t bytes);
  static void operator delete(void* memory, size_t bytes);

 protected:
  // Processes of the history: who made the object, and who looks at what is left.
  static constexpr uint32_t kMaker = 100;
  static constexpr uint32_t kLooker = kMaker + 1;

  ObjectScene(const Design& design, const Scenario& scenario);

  // ---- Of each kind. All but the last are explored code.
  // Makes the object, in its state, and attaches the others, each by Stage::As; what was done to it
  // is given to Before. It runs as the participant kAuditor.
  virtual void MakeObject() = 0;
  virtual SharedObject& object(int participant) = 0;
  // One of the things that a participant does in MakeObject.
  virtual void Prepare(int participant, int what) = 0;
  // Attaches by one more handle.
  virtual absl::StatusOr<std::unique_ptr<SharedObject>> AttachOneMore(int participant) = 0;
  // From now on the participant's operations go through this handle.
  virtual void Use(int participant, SharedObject* object) = 0;
  // What the participant does as a guest, through the guest's handle (Come).
  virtual void DoAsGuest(int participant, size_t number) = 0;
  // Begins, does and ends one operation of the scenario, or several.
  virtual void Do(int participant, size_t number, size_t call) = 0;
  // Whether the call has done those that follow it, too, while it held something.
  virtual bool DoesTheRest(size_t /*call*/) const { return false; }
  // Whether the call may be one of those that a drawn scene begins with.
  virtual bool MayComeBefore(size_t call) const = 0;
  // The participants' own notes of the beginning, once all that comes before is done.
  virtual void NoteBeginning() {}
  // After recovery and audit: looks at what is left, by operations given to After. A finding ends
  // it.
  virtual Finding Look() = 0;

  // ---- For these.
  const Scenario& scenario() const { return scenario_; }
  // What is done now comes before the schedule.
  bool is_past() const { return is_past_; }
  // Some participant has this operation; one of which this is true.
  bool Has(size_t call) const {
    return HasAny([call](size_t one) { return one == call; });
  }
  bool HasAny(absl::FunctionRef<bool(size_t call)> is) const;
  // Of the table of participants: one for each, and the auditor. A scene in which somebody joins,
  // or comes, has a free one in its usual state.
  uint32_t Places(size_t join, size_t come) const {
    const bool has_free_one = scenario_.beginning == 0 && (Has(join) || Has(come));
    return static_cast<uint32_t>(participants()) + 1 + (has_free_one ? 1 : 0);
  }
  // Which of so many possibilities a drawn scene has in this respect. Else the first one.
  template <typename Aspect>
  uint64_t Pick(Aspect aspect, uint64_t count) const {
    return PickOf(static_cast<uint64_t>(aspect), count);
  }
  uint64_t PickOf(uint64_t aspect, uint64_t count) const;
  // Whether a call of this progress must never wait: of a design of ours.
  bool MustNotWait(Progress progress) const {
    return design_.role() == Design::Role::kDesign && progress != Progress::kBlocking;
  }
  // What the participant did in this schedule. REQUIRES: it is over.
  std::span<const Operation> OperationsOf(int participant) const {
    const Participant& of = of_[static_cast<size_t>(participant)];
    return {of.operations.data(), of.count};
  }
  // Calls Recover, as an operation of the participant.
  void Recover(int participant);
  // One more participant, of the same process, attaches and leaves again. Without a free place in
  // the table it recovers the dead for one; if there is none then, it is refused.
  void Join(int participant);
  // One more participant, of the same process, attaches, does something, and leaves again.
  void Come(int participant, size_t number);
  // As the history names it: the guest that it is at present, or itself.
  uint32_t ProcessAtPresent(int participant) const {
    const uint32_t guest = guest_[static_cast<size_t>(participant)];
    return guest != 0 ? guest : static_cast<uint32_t>(participant) + 1;
  }
  // All that follows the participant's operation of this number.
  void DoAfter(int participant, size_t number);
  // One more operation of the call that is under way, begun as the last one was; it has ended with
  // the first of them, of which it is the one of this number.
  Operation& BeginBeside(int participant, const Operation& operation);
  static void EndBeside(Operation& first, size_t number, uint64_t result, uint64_t version);
  // Asks the machine, and notes the call. What is not given is nothing.
  Operation& Begin(int participant, const char* what, bool must_not_wait,
                   const Operation& operation);
  void End(Operation& operation, Outcome outcome, uint64_t result, uint64_t version);
  // What is brief is over when the clock goes on once.
  static constexpr std::chrono::seconds kBrief{1}, kTick{2};
  // The clock goes on, as an operation.
  void Tick(int participant);
  // Whether it has, between these two moments.
  bool HasTicked(uint64_t after, uint64_t before) const;
  // For calls that wait: until when. Afterwards, if it has got what it waited for: whether somebody
  // has woken it.
  Deadline AnHour() const;
  // Of a first wait, in vain, before the scene begins: who begins to watch looks again for two
  // seconds (sleepers.h), and would find in the scene what no wake-up tells it of.
  Deadline LongEnough() const;
  void CheckWoken(Deadline deadline) const;
  // Of a wait that ended without what it waited for.
  void CheckPatience(Deadline deadline) const;
  // For calls that wait so, or for a second (`briefly`). Afterwards: how it ended.
  Deadline Until(bool briefly) const { return briefly ? Deadline::After(kBrief) : AnHour(); }
  void CheckWait(const absl::Status& ended, Deadline deadline, bool briefly) const;
  [[noreturn]] void FailStatus(const absl::Status& status);
  static std::span<char> MemoryOf(const std::shared_ptr<Segment>* segment) {
    return {(*segment)->base(), (*segment)->size()};
  }
  // Of a participant's write: its name.
  static ValueId IdOfWrite(int participant, size_t number) {
    return MakeValueId(static_cast<uint32_t>(participant) + 1, static_cast<uint32_t>(number) + 1);
  }
  // An operation that was complete before all others, and one after all others. Of nobody's
  // process: the maker's, and the looker's.
  void Before(const Operation& operation);
  void After(const Operation& operation);

 private:
  static constexpr size_t kMostOperations = 48;
  static constexpr size_t kMostBefore = 8;  // calls that a drawn scene begins with
  static constexpr uint32_t kFirstGuest = 200;
  struct Participant {
    std::array<Operation, kMostOperations> operations;
    size_t count = 0;
  };

  // Histories know no clock: that it went on is recorded as a Recover with this argument.
  static constexpr uint64_t kOfATick = 2;
  // Acts from here on: a call of what comes before, and its number.
  static constexpr int kCallBefore = 1 << 16;
  void MakePast();
  // Notes an operation that was called at that time and has not ended yet.
  Operation& Append(int participant, const Operation& operation, uint64_t invoke);
  void DoFrom(int participant, size_t number);
  // Of what is brief and began then: from when on it may be over.
  uint64_t MayEndAt(uint64_t invoke) const;
  static bool IsTick(const Operation& operation) {
    return operation.function == Function::kRecover && operation.argument == kOfATick;
  }
  Finding CheckAudit();
  Finding CheckHistoryNow();

  const Design& design_;
  const Scenario scenario_;
  const ModelChecker* model_;
  bool is_past_ = false;  // what is done now comes before the schedule
  std::array<Participant, kMostParticipants> of_;
  std::array<SharedObject*, kMostParticipants> own_ = {};
  std::array<uint32_t, kMostParticipants> guest_ = {};
  std::vector<Operation> before_, after_, history_;
  absl::flat_hash_set<uint64_t> legal_;
};

[[noreturn]] void CannotMake(const absl::Status& status);

// An anonymous segment of the design, as small as it can be; `options` says all but its size.
absl::StatusOr<std::shared_ptr<Segment>> SmallestSegment(const Design& design,
                                                         SegmentOptions options);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_OBJECT_SCENE_H_
