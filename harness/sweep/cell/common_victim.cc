#include "harness/sweep/cell/common_victim.h"

#include <utility>

namespace kill9::sweep {
namespace {

class CommonVictim : public Victim {
 public:
  explicit CommonVictim(const Scene& scene) : scene_(scene) {}
  absl::Status Prepare() override { return absl::OkStatus(); }
  void Record() override {}

 protected:
  absl::Status Attach() {
    absl::StatusOr<std::unique_ptr<SharedObject>> object =
        scene_.design().AttachObject(scene_.segment());
    if (object.ok()) object_ = *std::move(object);
    return object.status();
  }

  const Scene& scene_;
  std::unique_ptr<SharedObject> object_;
};

class AttachVictim final : public CommonVictim {
 public:
  using CommonVictim::CommonVictim;
  void Run() override { Attach().IgnoreError(); }
};

class DetachVictim final : public CommonVictim {
 public:
  using CommonVictim::CommonVictim;
  absl::Status Prepare() override { return Attach(); }
  void Run() override { object_.reset(); }
};

class RecoverVictim final : public CommonVictim {
 public:
  using CommonVictim::CommonVictim;
  absl::Status Prepare() override { return Attach(); }
  void Run() override { object_->Recover().IgnoreError(); }
};

class CreateVictim final : public CommonVictim {
 public:
  CreateVictim(const Scene& scene, const std::string& name)
      : CommonVictim(scene), options_(scene.options()) {
    options_.location = {SegmentKind::kNamed, name};
  }
  void Run() override { scene_.design().Create(options_).IgnoreError(); }

 private:
  SegmentOptions options_;
};

}  // namespace

std::unique_ptr<Victim> NewCommonVictim(const Scene& scene, std::string_view operation,
                                        const std::string& created_name) {
  if (operation == kAttachName) return std::make_unique<AttachVictim>(scene);
  if (operation == kDetachName) return std::make_unique<DetachVictim>(scene);
  if (operation == kRecoverName) return std::make_unique<RecoverVictim>(scene);
  if (operation == kCreateName) return std::make_unique<CreateVictim>(scene, created_name);
  return nullptr;
}

}  // namespace kill9::sweep
