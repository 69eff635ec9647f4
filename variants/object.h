// What all shared objects have in common, and all that the harness knows of one.
//
// An object lies in one segment that any number of processes share. A process takes part through a
// SharedObject: one attached handle, one *participant*. A handle is used by one thread at a time
// and dies with its process. What it held then is given back by whichever survivor calls Recover().
//
// An object *kind* is a contract: a header with a class derived from SharedObject (store.h is one).
// A *design* is one implementation of a kind.
//
// Errors are absl::Status, the same in every kind and design:
//
//   kFailedPrecondition  the handle was inherited through fork (attach one of your own),
//                        or the program has closed a descriptor that it needs (below),
//                        or the segment belongs to another design,
//                        or to another version of it
//   kDataLoss            the segment is damaged
//
// A program may close descriptors that it does not know (closefrom(3), as daemons do). An object
// goes on without its segment's; but then this process cannot attach once more, nor tell who is
// dead, so Recover() is refused. No number that stands for another file by then is ever closed.
// Where the segment lies on a file system that keeps locks by descriptor only (overlayfs), closing
// all descriptors ends the participant: each later operation is refused, and what it held is given
// back by others. An operation that is under way in another thread meanwhile is not protected.
//
// Of a file that was copied in the middle of an operation, or that is of before a restart of the
// machine, a mutex may name a holder that never held it here, or that lives and is another process.
// Attach waits for none of these: who attaches while no participant lives resets them, and what was
// under way in the copy is repaired as after the deaths of its processes. No participant of the
// original lives in a copy: a life is a lock on the file's own bytes.
#ifndef KILL9_VARIANTS_OBJECT_H_
#define KILL9_VARIANTS_OBJECT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment.h"
#include "variants/segment/participants.h"

namespace kill9 {

// What one Recover() did.
struct RecoveryReport {
  uint64_t participants = 0;    // dead participants whose holds were returned
  uint64_t blocks = 0;          // blocks that came back
  uint64_t rolled_back = 0;     // half-done operations undone
  uint64_t rolled_forward = 0;  // half-done operations completed
};

// The exact account of a quiet segment. A sound one has free + live + held = capacity, for blocks
// and for bytes, with leaked = 0, doubly_owned = 0 and no violations.
struct AuditReport {
  struct Account {
    uint64_t blocks = 0;
    uint64_t bytes = 0;
  };
  Account capacity;  // all blocks of the segment's space
  Account free;      // findable by the allocator
  Account live;      // reachable by whoever looks: by a key, as a message that waits
  Account held;      // neither, but a participant (living or dead) holds it: pin, draft, in flight
  Account leaked;    // none of these: nobody can ever free it
  uint64_t doubly_owned = 0;            // blocks found twice
  uint64_t entries = 0;                 // what it contains: keys present, messages that wait
  uint64_t participants = 0;            // attached, dead but not yet recovered ones included
  std::vector<std::string> violations;  // each a broken invariant, by name and place

  // A few of many are enough.
  void AddViolation(std::string_view invariant, std::string_view what, uint64_t where);
  bool clean() const { return leaked.blocks == 0 && doubly_owned == 0 && violations.empty(); }
};

// The progress guarantee of an operation (Herlihy and Shavit): what a process stopped at any
// instruction can do to the others. The sweep measures it; this is what the design claims.
enum class Progress : uint8_t { kBlocking, kLockFree, kWaitFree };

// What every kind's designs say of themselves. The harness asks it before it expects anything.
struct ObjectTraits {
  bool lossless =
      true;  // false: what it contains may be forgotten at any time (never brought back)
  bool has_audit = true;
  bool has_recovery = true;     // false: there is nothing to call, and Recover() reports nothing
  bool tells_recovered = true;  // false: Recover() does not tell all that was recovered
  bool needs_name = false;      // its data are files: the segment cannot be anonymous
  bool bounded = true;          // false: it takes room beyond the segment's size, and is never full
  std::string_view recovery_trigger;  // a sentence: who starts recovery, and when
  std::string_view recovery_cost;     // a sentence: what its time depends on
};

// One participant of a segment. A kind's public operations check what is common to its designs, the
// handle first of all, and hand over to the design's Do… functions, as these do.
class SharedObject {
 public:
  // Detaches: what is still held is given back. In a process that inherited the handle through fork
  // it does nothing to the segment.
  virtual ~SharedObject() = default;
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  // Repairs after every dead participant. Any participant may call it at any time, several may at
  // once, and it may die halfway.
  absl::StatusOr<RecoveryReport> Recover();
  // The account. REQUIRES: no operation is under way (participants may be attached, and hold
  // things).
  absl::StatusOr<AuditReport> Audit();

 protected:
  explicit SharedObject(const ForkGuard& guard) : guard_(guard) {}
  const ForkGuard& guard() const { return guard_; }
  // That the handle is this process's own, and not lost.
  absl::Status CheckHandle() const;

 private:
  virtual absl::StatusOr<RecoveryReport> DoRecover() = 0;
  virtual absl::StatusOr<AuditReport> DoAudit() = 0;

  ForkGuard guard_;
};

// One implementation of a kind: how to make and open its segments, and how to take part in one.
class Design {
 public:
  // The project's own designs, the naive ones that people really ship, and other libraries. Runs
  // that must pass take designs only.
  enum class Role : uint8_t { kDesign, kBaseline, kPeer };

  virtual ~Design() = default;
  virtual std::string_view name() const = 0;     // of one design only, whatever its kind
  virtual std::string_view summary() const = 0;  // one sentence
  virtual std::string_view kind() const = 0;     // "store"
  virtual Role role() const { return Role::kDesign; }
  // The model (harness/checker/models/) that says which of its histories are legal.
  virtual std::string_view model() const = 0;
  virtual const ObjectTraits& object_traits() const = 0;
  // What the testbed is expected to say ("pass" of what is meant to be right; `|` between
  // alternatives), and which command of kill9 says so surely, on every machine: random kills hardly
  // ever hit a window of one instruction, which the sweep finds at once.
  virtual std::string_view expected_verdict() const { return "pass"; }
  // Empty of what is meant to be right.
  virtual std::string_view shown_by() const { return ""; }
  // Why its operations cannot be followed instruction by instruction; empty: they can.
  virtual std::string_view why_not_stepped() const { return ""; }

  virtual absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const = 0;
  virtual absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const = 0;
  virtual absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const = 0;
  // A new participant, of the class that the kind's contract defines. It keeps the segment mapped.
  // kResourceExhausted: no slot is free, even after the dead have been recovered.
  virtual absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const = 0;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_OBJECT_H_
