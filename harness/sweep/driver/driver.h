// A kind's part of the sweep: its operations and starting states by name, and what its victims and
// survivors do. All else of the sweep knows no kind.
//
// A *scene* is one object in a starting state. It is made in the cell's own process, and inherited
// by all that this forks: victims, judges, probers and interferers.
#ifndef KILL9_HARNESS_SWEEP_DRIVER_DRIVER_H_
#define KILL9_HARNESS_SWEEP_DRIVER_DRIVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "harness/history/naming.h"
#include "harness/result/verdict.h"
#include "harness/sweep/driver/cell_history.h"
#include "harness/sweep/driver/sweep_shape.h"
#include "variants/object.h"

namespace kill9::sweep {

// Operations that every kind has, if its driver lists them: the sweep itself runs them.
inline constexpr std::string_view kAttachName = "attach", kDetachName = "detach",
                                  kRecoverName = "recover", kCreateName = "create";

// Where a survivor works: on what the victim works on, on what shares a part of the object with it
// (a stripe, a bucket), or elsewhere.
enum class Nearness : uint8_t { kSame, kNear, kElsewhere };
inline constexpr uint32_t kNearnessCount = 3;
std::string_view Name(Nearness nearness);  // "same_key"

// Who is told what a survivor finds besides its history.
class Findings {
 public:
  virtual ~Findings() = default;
  // Ends the process.
  [[noreturn]] virtual void Fail(Verdict verdict, const std::string& message) = 0;
  // The message's parts are put together only if there is something to say: a survivor checks
  // thousands of things.
  template <typename... Parts>
  void Check(bool holds, Verdict verdict, const Parts&... parts) {
    if (!holds) Fail(verdict, absl::StrCat(Part(parts)...));
  }

 private:
  template <typename T>
  static const T& Part(const T& part) {
    return part;
  }
  static std::string Part(const absl::Status& status) {
    return status.message().empty() ? status.ToString() : std::string(status.message());
  }
};

// One operation of one victim.
class Victim {
 public:
  virtual ~Victim() = default;
  // All that comes before (attaching, pinning, reserving); announces the operation.
  virtual absl::Status Prepare() = 0;
  // The operation and nothing else.
  virtual void Run() = 0;
  // Records what it answered.
  virtual void Record() = 0;
};

// One attached participant that works on the object and records what it does.
class Survivor {
 public:
  virtual ~Survivor() = default;  // detaches
  virtual SharedObject& object() = 0;

  // Of a judge. What the contract does not allow, and a history does not show, is a finding.
  virtual void Look() = 0;                // reads all that there is
  virtual void Work(Nearness where) = 0;  // one of each operation, at least
  virtual void Write(Nearness where) = 0;
  virtual uint32_t Fill() = 0;  // until there is no room; how often it wrote
  virtual void Empty(uint32_t filled) = 0;
  // What an audit says of the contents must be what the last look showed.
  virtual void CheckContents(const AuditReport& audit) = 0;

  // Beside a victim that stands still: works on what the victim works on, in one of several ways,
  // and uses freed room again.
  virtual void Interfere(uint32_t way) = 0;
  // Takes away again what Interfere has left, which must be as it was left.
  virtual void EndInterference() {}
  // Uses all free room once more, in other hands than before.
  virtual void Churn() = 0;
  // Tries one operation, which may be blocked.
  virtual void Probe(uint32_t probe, Nearness where) = 0;
};

class Scene {
 public:
  // What the cell does for the starting state once the object is there.
  struct Making {
    std::optional<uint32_t> half_done;  // a victim dies in the middle of this operation
    bool live_holder = false;           // a participant holds something, and lives
    uint32_t idle = 0;                  // that its process has beside it, and that do nothing
    bool dead_holder = false;
    uint32_t dead_beside = 0;             // participants that died with what HoldUnseen gave them
    bool all_participants_dead = false;   // every participant's slot is taken by a dead one
    bool all_participants_alive = false;  // every slot is taken by one that lives and does nothing
  };

  virtual ~Scene() = default;
  virtual const Design& design() const = 0;
  const SegmentOptions& options() const { return options_; }
  const std::shared_ptr<Segment>& segment() const { return segment_; }
  virtual Making making() const { return {}; }
  // What its maker did; times are from 1 on.
  virtual std::span<const Operation> beginning() const { return {}; }
  virtual Naming naming() const { return {}; }
  // The same object, empty, in a segment that somebody else has created.
  virtual std::unique_ptr<Scene> In(std::shared_ptr<Segment> segment) const = 0;

  // `operation`: an index of the driver's. `number`: which of the victims (kNewOwner works
  // elsewhere). `tells_all`: it records
  // each thing that it visits.
  virtual std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                            OperationLog log) const = 0;
  virtual absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process,
                                                                Findings& findings,
                                                                OperationLog log) const = 0;
  // The participant that a holder of the starting state is.
  virtual absl::StatusOr<std::unique_ptr<SharedObject>> AttachHolder() const {
    return design().AttachObject(segment());
  }
  // What a holder holds. Null: nothing can be held.
  virtual std::shared_ptr<void> Hold(SharedObject& object) const = 0;
  // What who has died beside all others holds: nothing that a history would have to show.
  virtual std::shared_ptr<void> HoldUnseen(SharedObject& /*object*/) const { return nullptr; }
  // What the next owner of a dead one's slot holds beside a victim that stands still: nothing that
  // a history would have to show. That it stays what it was is checked when it is let go.
  virtual std::shared_ptr<void> HoldBeside(SharedObject& /*object*/, Findings& /*findings*/) const {
    return nullptr;
  }
  // Whether the object may be attached once in a process: the survivors of a judge, which take
  // turns, are two processes then.
  virtual bool OncePerProcess() const { return false; }

  // Whether the probe says anything about the object.
  virtual bool IsTried(uint32_t probe) const = 0;
  // Whether the design declares that it is never blocked by a victim that is stopped.
  virtual bool DeclaredUnblocked(uint32_t probe, Nearness where) const = 0;

 protected:
  static constexpr uint64_t kHashSeed = 9;  // a creation must be the same every time

  // Of a segment for so many participants of the cell, and those of the shape.
  void SetOptions(uint64_t size_bytes, uint32_t participants, const SweepShape& shape) {
    const Making made = making();
    const bool all_taken = made.all_participants_dead || made.all_participants_alive;
    options_.size_bytes = size_bytes + shape.spare;
    options_.max_participants = participants + (all_taken ? 0 : shape.room);
    options_.hash_seed = kHashSeed;
  }

  SegmentOptions options_;
  std::shared_ptr<Segment> segment_;
};

struct ProbeName {
  std::string_view name;
  bool has_place = true;  // it works on something: at each nearness
};

// What a design claims of some operations, and the probes that measure it.
struct ProgressClaim {
  std::string_view of;  // "read"
  Progress progress;
  std::vector<std::string_view> probes;
};
struct Claims {
  std::vector<ProgressClaim> progress;
  std::string_view blocks;  // in words: where a stopped process is felt
};

class SweepDriver {
 public:
  virtual ~SweepDriver() = default;
  virtual std::string_view kind() const = 0;  // as Design::kind
  virtual std::span<const std::string_view> operations() const = 0;
  // What a second victim does, where nobody says: one of the operations.
  virtual std::string_view second() const = 0;
  virtual std::span<const std::string_view> states() const = 0;
  virtual std::span<const ProbeName> probes() const = 0;
  virtual uint32_t interferences() const { return 2; }
  // Whether the operation says something in this state that it does not say in another, and the
  // design has it.
  virtual bool Applies(const Design& design, uint32_t operation, uint32_t state) const = 0;
  // Which fields the shapes of its scenes have (sweep_shape.h). None: they have one shape.
  virtual uint32_t shape_fields() const { return 0; }
  virtual absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Design& design, uint32_t operation,
                                                           uint32_t state,
                                                           const SweepShape& shape) const = 0;
  // Whether the operation is on one thing. Beside a victim that goes through the whole object there
  // is no elsewhere.
  virtual bool HasPlace(uint32_t /*operation*/) const { return true; }
  virtual Claims ClaimsOf(const Design& /*design*/) const { return {}; }
};

inline constexpr uint32_t kMostProbes = 16;

// What a cell calls its segments in /dev/shm: one name a process, always of the same length.
inline constexpr std::string_view kSceneName = "scene", kCreatedName = "create";
std::string SegmentNameOf(std::string_view what);

// The index of a name; nothing if there is none.
std::optional<uint32_t> IndexOf(std::span<const std::string_view> names, std::string_view name);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_DRIVER_DRIVER_H_
