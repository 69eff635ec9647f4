// What the designs of objects have in common, and the design of an object that is no store.
#ifndef KILL9_HARNESS_PLUGIN_OBJECT_DESIGN_H_
#define KILL9_HARNESS_PLUGIN_OBJECT_DESIGN_H_

#include <kill9/kill9.h>

#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/plugin/object_calls.h"
#include "harness/plugin/object_clock.h"
#include "harness/plugin/object_names.h"
#include "variants/object.h"
#include "variants/peers/peer.h"

namespace kill9 {

// How much an object must hold, as it is told.
kill9_room RoomOf(const peers::Anchor& anchor);

// Which object a design is made of.
class OfObject {
 public:
  explicit OfObject(const kill9_object& object) : object_(object) {}
  virtual ~OfObject() = default;
  const kill9_object& object() const { return object_; }

 private:
  const kill9_object& object_;
};

// The part of a design that makes and opens an object's files.
template <typename Base>
class DesignOfObject : public Base, public OfObject {
 public:
  using OfObject::OfObject;

  std::string_view name() const override { return object().name; }
  std::string_view summary() const override { return object().summary; }
  std::string_view model() const override { return object().model; }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, name(), [this](const peers::Anchor& anchor) {
      const kill9_room room = RoomOf(anchor);
      const ObjectNames names;
      const ObjectClock::InObject in_object;
      const absl::Status made = StatusOf(object().name, object().create(&room));
      names.BelongTo(room.directory);
      return made;
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, {.design = name()});
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, {.design = name()});
  }

 protected:
  absl::StatusOr<void*> AttachHandle(const Segment& segment) const {
    const kill9_room room = RoomOf(peers::AnchorOf(segment));
    const ObjectClock::InObject in_object;
    void* const handle = object().attach(&room);
    if (handle != nullptr) return handle;
    return absl::ResourceExhaustedError(absl::StrCat(object().name, " cannot attach"));
  }
  void TellTraits(ObjectTraits& traits) const {
    traits.has_recovery = object().recover != nullptr;
    traits.has_audit = object().audit != nullptr;
    traits.tells_recovered = false;
    traits.needs_name = true;
    traits.bounded = false;
    traits.recovery_trigger = "the object's own";
    traits.recovery_cost = "the object's own";
  }
};

// A participant of an object that is no store.
class PluginObject final : public SharedObject {
 public:
  PluginObject(const kill9_object& object, std::shared_ptr<Segment> segment, void* handle)
      : SharedObject(ForkGuard()), object_(object), segment_(std::move(segment)), handle_(handle) {}
  ~PluginObject() override {
    const ObjectClock::InObject in_object;
    if (guard().mine()) object_.detach(handle_);
  }
  ObjectAnswer Call(const ObjectCall& call) {
    const ObjectClock::InObject in_object;
    return CallObject(object_, handle_, call);
  }

 private:
  absl::StatusOr<RecoveryReport> DoRecover() override {
    const ObjectClock::InObject in_object;
    return RecoverObject(object_, handle_);
  }
  absl::StatusOr<AuditReport> DoAudit() override {
    const ObjectClock::InObject in_object;
    if (object_.audit != nullptr) return AuditObject(object_, handle_);
    return absl::UnimplementedError(absl::StrCat(object_.name, " has no audit"));
  }

  const kill9_object& object_;
  std::shared_ptr<Segment> segment_;
  void* handle_;
};

// Its kind is its model.
class PluginObjectDesign final : public DesignOfObject<Design> {
 public:
  explicit PluginObjectDesign(const kill9_object& object) : DesignOfObject(object) {
    TellTraits(traits_);
  }
  std::string_view kind() const override { return object().model; }
  const ObjectTraits& object_traits() const override { return traits_; }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const override {
    const absl::StatusOr<void*> handle = AttachHandle(*segment);
    if (!handle.ok()) return handle.status();
    return std::make_unique<PluginObject>(object(), std::move(segment), *handle);
  }

 private:
  ObjectTraits traits_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_PLUGIN_OBJECT_DESIGN_H_
