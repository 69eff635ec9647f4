// What is alike in the sweep of each small kind that a test brings: an object that is never full,
// holds nothing for anybody, and blocks nobody.
#ifndef KILL9_PROPERTY_SCAFFOLD_PLAIN_SWEEP_H_
#define KILL9_PROPERTY_SCAFFOLD_PLAIN_SWEEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "harness/sweep/driver/driver.h"

namespace kill9::sweep {

// A victim attached to the scene's object. A kind adds what it announces, does and records.
class PlainVictim : public Victim {
 public:
  PlainVictim(const Scene& scene, uint32_t number, OperationLog log)
      : process_(kVictims + number), log_(log), scene_(scene) {}

  absl::Status Prepare() final {
    absl::StatusOr<std::unique_ptr<SharedObject>> object =
        scene_.design().AttachObject(scene_.segment());
    if (!object.ok()) return object.status();
    object_ = *std::move(object);
    announced_ = &Announce();
    return absl::OkStatus();
  }

 protected:
  virtual Operation& Announce() = 0;

  const uint32_t process_;
  OperationLog log_;
  std::unique_ptr<SharedObject> object_;
  Operation* announced_ = nullptr;

 private:
  const Scene& scene_;
};

// A kind adds Look and Write; its first operation, and its first probe, is what writes.
class PlainSurvivor : public Survivor {
 public:
  PlainSurvivor(CellProcess process, std::unique_ptr<SharedObject> object, OperationLog log)
      : process_(process), log_(log), object_(std::move(object)) {}

  SharedObject& object() final { return *object_; }
  void Work(Nearness where) final {
    Look();
    Write(where);
    Look();
  }
  uint32_t Fill() final { return 0; }  // it is never full
  void Empty(uint32_t) final {}
  void CheckContents(const AuditReport&) final {}
  void Interfere(uint32_t) final { Work(Nearness::kSame); }
  void Churn() final {}
  void Probe(uint32_t probe, Nearness where) final { probe == 0 ? Write(where) : Look(); }

 protected:
  const uint32_t process_;
  OperationLog log_;

 private:
  std::unique_ptr<SharedObject> object_;
};

class PlainScene : public Scene {
 public:
  PlainScene(const Design& design, std::shared_ptr<Segment> segment) : design_(design) {
    options_ = SmallSegment();
    segment_ = std::move(segment);
  }

  const Design& design() const final { return design_; }
  std::shared_ptr<void> Hold(SharedObject&) const final { return nullptr; }
  bool IsTried(uint32_t) const final { return true; }
  bool DeclaredUnblocked(uint32_t, Nearness) const final { return true; }

  static SegmentOptions SmallSegment() {
    SegmentOptions options;
    options.size_bytes = 64 << 10;
    options.max_participants = 8;
    options.hash_seed = 9;  // a creation must be the same every time
    return options;
  }

 private:
  const Design& design_;
};

}  // namespace kill9::sweep

#endif  // KILL9_PROPERTY_SCAFFOLD_PLAIN_SWEEP_H_
