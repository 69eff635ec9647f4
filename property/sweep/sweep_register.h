// The smallest kind of object that is no store, and all that it brings to the sweep: a register of
// two halves, written in one step or (a bug) one half after the other.
#ifndef KILL9_PROPERTY_SWEEP_SWEEP_REGISTER_H_
#define KILL9_PROPERTY_SWEEP_SWEEP_REGISTER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "property/scaffold/plain_sweep.h"
#include "variants/object.h"

namespace kill9 {

class RegisterObject final : public SharedObject {
 public:
  RegisterObject(std::shared_ptr<Segment> segment, Participant participant, bool in_halves)
      : SharedObject(participant.guard()),
        segment_(std::move(segment)),
        participant_(std::move(participant)),
        in_halves_(in_halves) {}

  [[gnu::noinline]] void Write(uint64_t value) {
    if (in_halves_) {
      half(0).store(static_cast<uint32_t>(value), std::memory_order_release);
      half(1).store(static_cast<uint32_t>(value >> 32), std::memory_order_release);
    } else {
      whole().store(value, std::memory_order_release);
    }
  }
  [[gnu::noinline]] uint64_t Read() { return whole().load(std::memory_order_acquire); }

 private:
  std::atomic<uint64_t>& whole() {
    return *reinterpret_cast<std::atomic<uint64_t>*>(segment_->body().data());
  }
  std::atomic<uint32_t>& half(int number) {
    return reinterpret_cast<std::atomic<uint32_t>*>(segment_->body().data())[number];
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    RecoveryReport report;
    ParticipantTable table = segment_->participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      uint32_t generation = 0;
      if (!table.MarkIfDead(slot, &generation)) continue;
      report.participants += table.MarkRecovered(slot, generation);
    }
    return report;
  }
  absl::StatusOr<AuditReport> DoAudit() override {
    AuditReport report;
    ParticipantTable table = segment_->participants();
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      report.participants += table.state(slot) != ParticipantState::kFree;
    }
    return report;
  }

  std::shared_ptr<Segment> segment_;
  Participant participant_;
  bool in_halves_;
};

class RegisterDesign final : public Design {
 public:
  RegisterDesign(std::string_view name, bool in_halves) : name_(name), in_halves_(in_halves) {}
  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return "a register of two halves, for tests"; }
  std::string_view kind() const override { return "register"; }
  std::string_view model() const override { return "register"; }
  const ObjectTraits& object_traits() const override { return traits_; }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(options, Layout(),
                           [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<Participant> participant = segment->participants().Claim();
    if (!participant.ok()) return participant.status();
    return std::make_unique<RegisterObject>(std::move(segment), *std::move(participant),
                                            in_halves_);
  }

 private:
  static SegmentLayout Layout() { return {.design = "sweep_register", .ledger_bytes = 0}; }
  std::string_view name_;
  bool in_halves_;
  ObjectTraits traits_;
};

namespace sweep {

enum RegisterOperation : uint32_t { kWriteRegister, kReadRegister };

// Both halves are alike: what has others was never written.
inline uint64_t RegisterValue(uint32_t process, uint32_t sequence) {
  const uint64_t half = process << 16 | sequence;
  return half << 32 | half;
}

class RegisterVictim final : public PlainVictim {
 public:
  RegisterVictim(const Scene& scene, uint32_t operation, uint32_t number, OperationLog log)
      : PlainVictim(scene, number, log),
        writes_(operation == kWriteRegister),
        value_(RegisterValue(process_, 1)) {}

  void Run() override {
    RegisterObject& object = static_cast<RegisterObject&>(*object_);
    if (writes_) {
      object.Write(value_);
    } else {
      read_ = object.Read();
    }
  }
  void Record() override { log_.End(*announced_, Outcome::kOk, read_); }

 private:
  Operation& Announce() override {
    return log_.Begin(process_, writes_ ? Function::kPut : Function::kGet, 0,
                      writes_ ? value_ : kNothing);
  }

  const bool writes_;
  const uint64_t value_;
  uint64_t read_ = kNothing;
};

class RegisterSurvivor final : public PlainSurvivor {
 public:
  using PlainSurvivor::PlainSurvivor;

  void Look() override {
    Operation& read = log_.Begin(process_, Function::kGet, 0);
    log_.End(read, Outcome::kOk, Register().Read());
  }
  void Write(Nearness) override {
    const uint64_t value = RegisterValue(process_, ++sequence_);
    Operation& write = log_.Begin(process_, Function::kPut, 0, value);
    Register().Write(value);
    log_.End(write, Outcome::kOk);
  }

 private:
  RegisterObject& Register() { return static_cast<RegisterObject&>(object()); }

  uint32_t sequence_ = 0;
};

class RegisterScene final : public PlainScene {
 public:
  using PlainScene::PlainScene;

  std::unique_ptr<Scene> In(std::shared_ptr<Segment> segment) const override {
    return std::make_unique<RegisterScene>(design(), std::move(segment));
  }
  std::unique_ptr<Victim> NewVictim(uint32_t operation, uint32_t number, bool,
                                    OperationLog log) const override {
    return std::make_unique<RegisterVictim>(*this, operation, number, log);
  }
  absl::StatusOr<std::unique_ptr<Survivor>> NewSurvivor(CellProcess process, Findings&,
                                                        OperationLog log) const override {
    absl::StatusOr<std::unique_ptr<SharedObject>> object = design().AttachObject(segment());
    if (!object.ok()) return object.status();
    return std::make_unique<RegisterSurvivor>(process, *std::move(object), log);
  }
};

class RegisterSweep final : public SweepDriver {
 public:
  std::string_view kind() const override { return "register"; }
  std::span<const std::string_view> operations() const override {
    static constexpr std::string_view kNames[] = {"write",     "read",       kAttachName,
                                                  kDetachName, kRecoverName, kCreateName};
    return kNames;
  }
  std::string_view second() const override { return "write"; }
  std::span<const std::string_view> states() const override {
    static constexpr std::string_view kNames[] = {"unwritten"};
    return kNames;
  }
  std::span<const ProbeName> probes() const override {
    static constexpr ProbeName kNames[] = {{"write"}, {"read"}};
    return kNames;
  }
  uint32_t interferences() const override { return 1; }
  bool Applies(const Design&, uint32_t, uint32_t) const override { return true; }
  absl::StatusOr<std::unique_ptr<Scene>> MakeScene(const Design& design, uint32_t, uint32_t,
                                                   const SweepShape&) const override {
    absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(RegisterScene::SmallSegment());
    if (!segment.ok()) return segment.status();
    return std::make_unique<RegisterScene>(design, *std::move(segment));
  }
};

inline const RegisterDesign kRegister("register", /*in_halves=*/false);
inline const RegisterDesign kTornRegister("register_in_halves", /*in_halves=*/true);

inline const Design* FindRegister(std::string_view name) {
  for (const RegisterDesign* design : {&kRegister, &kTornRegister}) {
    if (design->name() == name) return design;
  }
  return nullptr;
}

}  // namespace sweep
}  // namespace kill9

#endif  // KILL9_PROPERTY_SWEEP_SWEEP_REGISTER_H_
