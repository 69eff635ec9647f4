// Segments of a design that only tests have: one pattern in every byte of the body.
#ifndef KILL9_PROPERTY_SEGMENT_SEGMENT_FIXTURE_H_
#define KILL9_PROPERTY_SEGMENT_SEGMENT_FIXTURE_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/places.h"
#include "variants/segment.h"

namespace kill9 {

inline constexpr char kPattern = 0x5a;

inline SegmentLayout Layout() {
  SegmentLayout layout;
  layout.design = "segment-test";
  layout.layout_version = 3;
  layout.ledger_bytes = 64;
  return layout;
}

inline SegmentOptions Options(const SegmentLocation& location, uint64_t size_bytes = 64 << 10) {
  SegmentOptions options;
  options.location = location;
  options.size_bytes = size_bytes;
  options.max_participants = 4;
  return options;
}

inline absl::Status FillBody(Segment& segment, SegmentHeader& header) {
  header.parameters[0] = segment.body().size();
  std::memset(segment.body().data(), kPattern, segment.body().size());
  return absl::OkStatus();
}

inline bool Complete(const Segment& segment) {
  return segment.header().parameters[0] == segment.body().size() &&
         std::all_of(segment.body().begin(), segment.body().end(),
                     [](char c) { return c == kPattern; });
}

inline absl::StatusOr<std::shared_ptr<Segment>> Make(const SegmentOptions& options) {
  return Segment::Create(options, Layout(), FillBody);
}

// Checks code and words of an error; a message that says nothing is no message.
inline void ExpectError(const absl::Status& status, absl::StatusCode code,
                        const std::string& words) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(words));
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SEGMENT_SEGMENT_FIXTURE_H_
