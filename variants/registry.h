// The lists of designs. Adding one: a folder under variants/ and one line in registry.cc, or, of a
// store, in stores/store_designs.cc. A program that brings designs of its own adds them when it
// starts (AddDesigns).
#ifndef KILL9_VARIANTS_REGISTRY_H_
#define KILL9_VARIANTS_REGISTRY_H_

#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/channel.h"
#include "variants/heap.h"
#include "variants/object.h"
#include "variants/segment.h"
#include "variants/store.h"

namespace kill9 {

// A design of a store.
class Variant : public Design {
 public:
  static constexpr std::string_view kKind = "store";

  std::string_view kind() const final { return kKind; }
  std::string_view model() const override { return "map"; }
  const ObjectTraits& object_traits() const final { return traits(); }
  virtual const Traits& traits() const = 0;
  // As AttachObject.
  virtual absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const = 0;
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const final {
    return Attach(std::move(segment));
  }
};

// Of every kind, those that were added last.
std::span<const Design* const> AllDesigns();
const Design* FindDesign(std::string_view name);  // null if there is none
// The stores among them.
std::span<const Variant* const> AllVariants();
const Variant* FindVariant(std::string_view name);  // null if there is none
// Of stores, the designs of ours: who asks for nothing else links no peer, no channel and no heap,
// and starts sooner.
std::span<const Variant* const> StoreDesigns();
const Variant* FindStoreDesign(std::string_view name);  // null if there is none
// The channels among them.
std::span<const ChannelDesign* const> AllChannels();
// And the heaps.
std::span<const HeapDesign* const> AllHeaps();

// Adds a program's own designs; one of kind "store" is a Variant,
// one of kind "channel" a ChannelDesign, of kind "heap" a HeapDesign. kAlreadyExists: a name is
// taken; nothing was added. REQUIRES: called before the lists are first asked for, by one thread.
absl::Status AddDesigns(std::span<const Design* const> designs);

// What each peer is built from. One whose package was missing at build is no variant.
struct PeerPackage {
  std::string_view peer;
  std::string_view package;  // of Debian and Ubuntu
};
std::span<const PeerPackage> PeerPackages();

}  // namespace kill9

#endif  // KILL9_VARIANTS_REGISTRY_H_
