// What the adapters to other libraries share.
//
// A peer is a library behind the store interface, used as its manual says. A peer whose data are
// files of its own keeps them in the directory beside the segment's name (Segment::DirectoryOf);
// the segment itself then is a small anchor: its header says which peer it is, and its parameters
// what the files were made for. Such a segment cannot be anonymous.
#ifndef KILL9_VARIANTS_PEERS_PEER_H_
#define KILL9_VARIANTS_PEERS_PEER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/registry.h"
#include "variants/segment.h"
#include "variants/store.h"
#include "variants/stores/copying_store.h"

namespace kill9::peers {

// An anchor's body: where the files are, and how much room they were made for.
struct Anchor {
  char directory[512];
  uint64_t size_bytes;
  uint64_t expected_entries;
  uint32_t max_participants;
  uint32_t reserved;
};
static_assert(sizeof(Anchor) == 536 && std::is_trivially_copyable_v<Anchor>);

// Makes the directory, lets `make` create the peer's files in it, and then names the segment.
// kUnimplemented: an anonymous segment was asked for. kAlreadyExists: the directory is there.
absl::StatusOr<std::shared_ptr<Segment>> CreateAnchor(
    const SegmentOptions& options, std::string_view design,
    absl::FunctionRef<absl::Status(const Anchor&)> make);

const Anchor& AnchorOf(const Segment& segment);

// A library that is opened when it is first used, for good. Those that bring many others are not
// linked: each mapping costs every fork of who does not need them.
class LateLibrary {
 public:
  explicit LateLibrary(const char* file);

  // Sets it to the library's function of that name.
  template <typename Function>
  void Find(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(Address(name));
  }
  // Ok if the library was opened, and each function found.
  absl::Status status() const;

 private:
  void* Address(const char* name);

  const char* file_;
  void* handle_;
  std::string missing_;
};

// The library, opened when it is first asked for: one of each class of LateLibrary.
template <typename Library>
const Library& TheOne() {
  static const Library* const library = new Library;
  return *library;
}

class PeerStore : public CopyingStore {
 protected:
  using CopyingStore::CopyingStore;

  // An error code of the library that its manual does not count as "absent" or "full".
  absl::Status Failed(std::string_view call, std::string_view message) const;

 private:
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view, Version, std::string_view) override {
    return Lacks("CompareAndSwap");
  }
};

// A peer that opens its files for each operation.
class FileStore : public PeerStore {
 public:
  size_t max_key_bytes() const override { return 1 << 10; }
  size_t max_value_bytes() const override;

 protected:
  using PeerStore::PeerStore;
  using Entries = std::vector<std::pair<std::string, std::string>>;

 private:
  virtual absl::Status CopyAll(Entries* entries) = 0;
  // kNotFound: there was none.
  virtual absl::Status Remove(std::string_view key) = 0;

  absl::StatusOr<bool> DoErase(std::string_view key) final;
  // Copied first: a visitor that works would wait for its own reader.
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) final;
};

// The traits of a peer that has only what PeerStore has.
inline Traits PlainTraits(std::string_view recovery_trigger, std::string_view recovery_cost) {
  Traits traits;
  traits.has_compare_and_swap = false;
  traits.has_pin = false;
  traits.has_draft = false;
  traits.has_audit = false;
  traits.has_versions = false;
  traits.tells_recovered = false;
  traits.recovery_trigger = recovery_trigger;
  traits.recovery_cost = recovery_cost;
  return traits;
}

// The same, of one that keeps its data in files.
inline Traits AnchoredTraits(std::string_view recovery_trigger, std::string_view recovery_cost) {
  Traits traits = PlainTraits(recovery_trigger, recovery_cost);
  traits.needs_name = true;
  traits.bounded = false;
  return traits;
}

// The part of a Variant that all peers have in common.
class PeerVariant : public Variant {
 public:
  Role role() const final { return Role::kPeer; }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const final {
    return Segment::Open(location, {.design = name()});
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const final {
    return Segment::FromFd(fd, {.design = name()});
  }
};

}  // namespace kill9::peers

#endif  // KILL9_VARIANTS_PEERS_PEER_H_
