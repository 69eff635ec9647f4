// Counters in the sweep: each is added to and read, from zero, from three, and after a death in the
// middle of an addition.
#ifndef KILL9_PROPERTY_KINDS_COUNTER_COUNTER_SWEEP_H_
#define KILL9_PROPERTY_KINDS_COUNTER_COUNTER_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "property/kinds/counter/counter.h"
#include "property/scaffold/plain_sweep.h"

namespace kill9::sweep {

// Of a victim, and of a probe.
enum CounterOperation : uint32_t { kAddToCounter, kReadCounter };
enum CounterState : uint32_t { kZero, kThree, kHalfAdded };

class CounterVictim final : public PlainVictim {
 public:
  CounterVictim(const Scene& scene, bool adds, uint32_t number, OperationLog log)
      : PlainVictim(scene, number, log), adds_(adds) {}

  void Run() override {
    Counter& counter = static_cast<Counter&>(*object_);
    if (adds_) {
      status_ = counter.Add();
    } else {
      sum_ = counter.Read();
    }
  }
  void Record() override {
    const bool done = status_.ok() && sum_.ok();
    log_.End(*announced_, done ? Outcome::kOk : Outcome::kRefused, sum_.value_or(0));
  }

 private:
  Operation& Announce() override {
    return log_.Begin(process_, adds_ ? Function::kAdd : Function::kRead, /*key=*/0, adds_);
  }

  const bool adds_;
  absl::Status status_;
  absl::StatusOr<uint64_t> sum_ = 0;
};

class CounterSurvivor final : public PlainSurvivor {
 public:
  CounterSurvivor(CellProcess process, std::unique_ptr<SharedObject> object, Findings& findings,
                  OperationLog log)
      : PlainSurvivor(process, std::move(object), log), findings_(findings) {}

  void Look() override {
    Operation& read = log_.Begin(process_, Function::kRead, /*key=*/0);
    const absl::StatusOr<uint64_t> sum = counter().Read();
    findings_.Check(sum.ok(), Verdict::kViolation, "Read failed: ", sum.status());
    log_.End(read, Outcome::kOk, *sum);
  }
  void Write(Nearness) override {
    Operation& add = log_.Begin(process_, Function::kAdd, /*key=*/0, /*argument=*/1);
    const absl::Status status = counter().Add();
    findings_.Check(status.ok(), Verdict::kViolation, "Add failed: ", status);
    log_.End(add, Outcome::kOk);
  }

 private:
  Counter& counter() { return static_cast<Counter&>(object()); }

  Findings& findings_;
};

class CounterScene final : public PlainScene {
 public:
  using PlainScene::PlainScene;

  Making making() const override { return making_; }
  std::span<const Operation> beginning() const override { return beginning_; }
  std::unique_ptr<Scene> In(std::shared_ptr<Segment> segment) const override {
    return std::make_unique<CounterScene>(design(), std::move(segment));
  }
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool,
                                    OperationLog log) const override {
    return std::make_unique<CounterVictim>(*this, operation == kAddToCounter, number, log);
  }
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings& findings,
                                                        OperationLog log) const override {
    absl::StatusOr<std::unique_ptr<SharedObject>> object = design().AttachObject(segment());
    if (!object.ok()) return object.status();
    return std::make_unique<CounterSurvivor>(process, *std::move(object), findings, log);
  }

  absl::Status Make(uint32_t state) {
    if (state == kHalfAdded) making_.half_done = kAddToCounter;
    if (state != kThree) return absl::OkStatus();
    absl::StatusOr<std::unique_ptr<SharedObject>> object = design().AttachObject(segment());
    if (!object.ok()) return object.status();
    for (uint64_t time = 1; time < 6; time += 2) {
      if (absl::Status added = static_cast<Counter&>(**object).Add(); !added.ok()) return added;
      Operation add{};
      add.process = kMaker;
      add.function = Function::kAdd;
      add.argument = 1;
      add.invoke = time;
      add.finish = time + 1;
      add.outcome = Outcome::kOk;
      beginning_.push_back(add);
    }
    return absl::OkStatus();
  }

 private:
  Making making_;
  std::vector<Operation> beginning_;
};

class CounterSweep final : public SweepDriver {
 public:
  std::string_view kind() const override { return CounterDesign::kKind; }
  std::span<const std::string_view> operations() const override {
    static constexpr std::string_view kNames[] = {"add",       "read",       kAttachName,
                                                  kDetachName, kRecoverName, kCreateName};
    return kNames;
  }
  std::string_view second() const override { return "add"; }
  std::span<const std::string_view> states() const override {
    static constexpr std::string_view kNames[] = {"zero", "three", "half_added"};
    return kNames;
  }
  std::span<const ProbeName> probes() const override {
    static constexpr ProbeName kNames[] = {{"add"}, {"read"}};
    return kNames;
  }
  uint32_t interferences() const override { return 1; }
  // What is created is at zero.
  bool Applies(const Design&, uint32_t operation, uint32_t state) const override {
    return state == kZero || operations()[operation] != kCreateName;
  }
  absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Design& design, uint32_t, uint32_t state,
                                                   const SweepShape&) const override {
    absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(CounterScene::SmallSegment());
    if (!segment.ok()) return segment.status();
    auto scene = std::make_unique<CounterScene>(design, *std::move(segment));
    if (absl::Status made = scene->Make(state); !made.ok()) return made;
    return scene;
  }
};

}  // namespace kill9::sweep

#endif  // KILL9_PROPERTY_KINDS_COUNTER_COUNTER_SWEEP_H_
