// An object that is no store in a starting state, and who works on it in the sweep.
#ifndef KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SCENE_H_
#define KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SCENE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/plugin/object_design.h"
#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

enum class ObjectState : uint32_t {
  kNew,
  kUsed,  // three of what it holds; a lock is a dead one's, a lease was, and is over
  kHalfDone,
};

class ObjectScene;

// One participant, its calls and their records.
class ObjectUser {
 public:
  // What it does has the log's times. So have objects whose times count (ObjectScene::IsLease):
  // they are told them.
  ObjectUser(const ObjectScene& scene, uint32_t process, OperationLog log);

  absl::Status Attach(const std::shared_ptr<Segment>& segment);
  void Detach() { object_.reset(); }
  SharedObject& object() { return *object_; }

  // A call on a key; kNothing: with the argument that such a call has if nobody says another one.
  Operation& Announce(Function function, uint64_t key, uint64_t argument = kNothing);
  // The call that was announced, and nothing else.
  void Call();
  // Records what it answered. The error says what is no answer.
  absl::StatusOr<Operation> Record();
  absl::StatusOr<Operation> Do(Function function, uint64_t key, uint64_t argument = kNothing);
  // Longer than a lease is lent for.
  void LetTermsEnd();
  // That this process, whose hold others may see end, may die with it.
  void TellThatItMayDie();
  // Gives back what the recorded call took. It is told as if it had begun with that: the call that
  // was announced stays the last one.
  void GiveBack();

 private:
  const PluginObjectDesign& object_design_;
  const uint32_t process_;
  OperationLog log_;
  std::unique_ptr<PluginObject> object_;
  Operation* announced_ = nullptr;
  std::string key_, value_;
  ObjectAnswer answer_;
  uint32_t values_ = 0;
};

class ObjectScene final : public Scene {
 public:
  ObjectScene(const Design& object_design, std::vector<Function> functions, ObjectState state)
      : design_(object_design), functions_(std::move(functions)), state_(state) {}

  // REQUIRES: once.
  absl::Status Make();

  const Design& design() const override { return design_; }
  Making making() const override;
  std::span<const Operation> beginning() const override { return beginning_; }
  Naming naming() const override;
  std::unique_ptr<Scene> In(std::shared_ptr<Segment> other) const override;
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool tells_all,
                                    OperationLog log) const override;
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings& findings,
                                                        OperationLog log) const override;
  std::shared_ptr<void> Hold(SharedObject& object) const override;
  bool OncePerProcess() const override { return true; }  // as a store's files may be
  bool IsTried(uint32_t) const override { return true; }
  bool DeclaredUnblocked(uint32_t, Nearness) const override { return false; }

  std::span<const Function> functions() const { return functions_; }
  bool Has(Function function) const;
  // Whether who has it keeps others from it.
  bool IsLock() const { return IsLease() || Has(Function::kAcquire); }
  // Until its term ends.
  bool IsLease() const { return Has(Function::kAcquireFor); }
  Function acquire() const { return IsLease() ? Function::kAcquireFor : Function::kAcquire; }

 private:
  void RecordDeadHolder(OperationLog log);

  const Design& design_;
  const std::vector<Function> functions_;
  const ObjectState state_;
  std::vector<Operation> beginning_;
};

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_PLUGIN_SWEEP_OBJECT_SCENE_H_
