// A segment of any design, and what inspect tells of it.
#ifndef KILL9_PROPERTY_INSPECT_INSPECT_FIXTURE_H_
#define KILL9_PROPERTY_INSPECT_INSPECT_FIXTURE_H_

#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/inspect/inspect.h"
#include "property/scaffold/children.h"
#include "property/scaffold/places.h"
#include "variants/registry.h"

namespace kill9 {

// Of every kind, those that are meant to be right.
inline std::vector<const Design*> SoundDesigns() {
  std::vector<const Design*> sound;
  for (const Design* design : AllDesigns()) {
    if (design->role() == Design::Role::kDesign) sound.push_back(design);
  }
  return sound;
}

inline std::string DesignTestName(const ::testing::TestParamInfo<const Design*>& info) {
  return std::string(info.param->name());
}

class InspectFixture : public ::testing::TestWithParam<const Design*> {
 protected:
  static constexpr double kTimeoutSeconds = kWatchdogSeconds;

  void Make(const Design& design, uint32_t max_participants = 8, uint64_t size_bytes = 1 << 20,
            SegmentKind kind = SegmentKind::kNamed) {
    SegmentOptions options;
    options.location = place_.Location(kind);
    options.size_bytes = size_bytes;
    options.max_participants = max_participants;
    options.hash_seed = TestSeed();
    absl::StatusOr<std::shared_ptr<Segment>> made = design.Create(options);
    ASSERT_TRUE(made.ok()) << made.status();
    segment_ = *std::move(made);
    design_ = &design;
    where_ = place_.Path(options.location);
  }
  template <typename Object>
  std::unique_ptr<Object> Attach() const {
    absl::StatusOr<std::unique_ptr<SharedObject>> object = design_->AttachObject(segment_);
    if (!object.ok()) return nullptr;
    return std::unique_ptr<Object>(static_cast<Object*>(object->release()));
  }
  Json Inspect() const {
    absl::StatusOr<Json> run = inspect::Inspect(where_, kTimeoutSeconds);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? *std::move(run) : Json();
  }
  // Of a segment at which nobody works.
  Json InspectQuiet() const {
    const Json run = Inspect();
    EXPECT_TRUE(run.value("of_one_moment", false));
    EXPECT_FALSE(run.contains("unread_because")) << run["unread_because"];
    return run;
  }
  static Json RowOf(const Json& run, uint32_t slot) {
    const Json rows = run.value("participants", Json::array());
    for (const Json& row : rows) {
      if (row["slot"] == slot) return row;
    }
    ADD_FAILURE() << "no participant has slot " << slot << "\n" << Dump(run, 2);
    return Json();
  }
  std::string Bytes() const {
    std::ifstream file(where_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  Place place_;
  const Design* design_ = nullptr;
  std::shared_ptr<Segment> segment_;
  std::string where_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_INSPECT_INSPECT_FIXTURE_H_
