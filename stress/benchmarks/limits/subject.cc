#include "stress/benchmarks/limits/subject.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "harness/torture/segment_unlinker.h"
#include "variants/registry.h"

namespace kill9::limits {
namespace {

class StoreAccess final : public Access {
 public:
  explicit StoreAccess(std::unique_ptr<Store> store) : store_(std::move(store)) {}
  bool Get(std::string_view key, std::string* value) override {
    return store_->Get(key, value).ok();
  }
  bool Put(std::string_view key, std::string_view value) override {
    return store_->Put(key, value).ok();
  }

 private:
  std::unique_ptr<Store> store_;
};

class StoreSubject final : public Subject {
 public:
  StoreSubject(const Variant& variant, std::unique_ptr<SegmentUnlinker> unlinker,
               std::shared_ptr<Segment> segment)
      : variant_(variant), unlinker_(std::move(unlinker)), segment_(std::move(segment)) {}
  std::unique_ptr<Access> Open() override {
    absl::StatusOr<std::unique_ptr<Store>> store = variant_.Attach(segment_);
    if (!store.ok()) {
      std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
      std::abort();
    }
    return std::make_unique<StoreAccess>(*std::move(store));
  }
  bool forgets() const override { return !variant_.traits().lossless; }

 private:
  const Variant& variant_;
  std::unique_ptr<SegmentUnlinker> unlinker_;
  std::shared_ptr<Segment> segment_;
};

std::unique_ptr<Subject> MakeStore(const Variant& variant, const Load& load) {
  SegmentOptions options;
  std::unique_ptr<SegmentUnlinker> unlinker;
  if (variant.traits().needs_name) {
    static unsigned count = 0;
    options.location = {SegmentKind::kNamed, "kill9-benchmark-" + std::to_string(getpid()) + "-" +
                                                 std::to_string(count++)};
    unlinker = std::make_unique<SegmentUnlinker>();
    if (!unlinker->Watch(options.location).ok()) return nullptr;
  }
  options.expected_entries = load.entries * 2;
  // Twice what the data needs, so that nobody is short of room.
  options.size_bytes = (16u << 20) + load.entries * (load.value_bytes + 192) * 2;
  absl::StatusOr<std::shared_ptr<Segment>> segment = variant.Create(options);
  if (!segment.ok()) {
    std::fprintf(stderr, "%s\n", segment.status().ToString().c_str());
    return nullptr;
  }
  return std::make_unique<StoreSubject>(variant, std::move(unlinker), *std::move(segment));
}

}  // namespace

std::string KeyOf(uint64_t index) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llu", static_cast<unsigned long long>(index));
  return text;
}

std::vector<SubjectKind> Variants() {
  using Role = SubjectKind::Role;
  std::vector<SubjectKind> kinds;
  for (const Variant* variant : AllVariants()) {
    const Role role = variant->role() == Design::Role::kDesign     ? Role::kDesign
                      : variant->role() == Design::Role::kBaseline ? Role::kBaseline
                                                                   : Role::kPeer;
    kinds.push_back({std::string(variant->name()), role,
                     [variant](const Load& load) { return MakeStore(*variant, load); }});
  }
  return kinds;
}

std::vector<SubjectKind> AllSubjects() {
  std::vector<SubjectKind> all = Variants();
  for (auto& part : {BareTables(), ThreadMaps()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace kill9::limits
