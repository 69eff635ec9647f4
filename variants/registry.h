// The list of designs. Adding one: a folder under variants/ and one line in registry.cc.
#ifndef KILL9_VARIANTS_REGISTRY_H_
#define KILL9_VARIANTS_REGISTRY_H_

#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "variants/segment.h"
#include "variants/store.h"

namespace kill9 {

// One store: how to make and open its segments, and how to take part in one.
class Variant {
 public:
  // The project's own designs, the naive ones that people really ship, and other libraries. Runs
  // that must pass take designs only.
  enum class Kind : uint8_t { kDesign, kBaseline, kPeer };

  virtual ~Variant() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view summary() const = 0;  // one sentence
  virtual Kind kind() const { return Kind::kDesign; }
  virtual const Traits& traits() const = 0;
  // What the testbed is expected to say ("pass" of what is meant to be right; `|` between
  // alternatives), and which command of kill9 says so surely, on every machine: random kills hardly
  // ever hit a window of one instruction, which the sweep finds at once.
  virtual std::string_view expected_verdict() const { return "pass"; }
  // Empty of what is meant to be right.
  virtual std::string_view shown_by() const { return ""; }

  virtual absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const = 0;
  virtual absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const = 0;
  virtual absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const = 0;
  // A new participant. The store keeps the segment mapped. kResourceExhausted: no slot is free,
  // even after the dead have been recovered.
  virtual absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const = 0;
};

std::span<const Variant* const> AllVariants();
const Variant* FindVariant(std::string_view name);  // null if there is none

// What each peer is built from. One whose package was missing at build is no variant.
struct PeerPackage {
  std::string_view peer;
  std::string_view package;  // of Debian and Ubuntu
};
std::span<const PeerPackage> PeerPackages();

}  // namespace kill9

#endif  // KILL9_VARIANTS_REGISTRY_H_
