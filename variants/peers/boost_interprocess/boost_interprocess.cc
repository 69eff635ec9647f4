// Boost.Interprocess: a managed segment, an unordered map in it, one interprocess_mutex around all.
//
// The managed segment lies in the body of ours (managed_external_buffer), so everything that a
// process can leave behind is in the segment, and the sweep can put it back. The map is
// boost::unordered_map, the fastest that the library's manual builds in shared memory. The mutex is
// a process-shared POSIX mutex that is not robust; there is no recovery to call.
#include <algorithm>
#include <boost/container/string.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

namespace ip = boost::interprocess;

constexpr std::string_view kName = "boost_interprocess";
constexpr uint64_t kEntriesByDefault = 1024;

using Managed = ip::managed_external_buffer;
template <typename T>
using Allocator = ip::allocator<T, Managed::segment_manager>;
using String = boost::container::basic_string<char, std::char_traits<char>, Allocator<char>>;

std::string_view View(const String& text) { return {text.data(), text.size()}; }

// Looked up by views: a Get allocates nothing in the segment.
struct HashOf {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  size_t operator()(const String& text) const { return (*this)(View(text)); }
};
struct SameText {
  using is_transparent = void;
  bool operator()(const String& a, const String& b) const { return a == b; }
  bool operator()(std::string_view a, const String& b) const { return a == View(b); }
};
using Entry = std::pair<const String, String>;
using Map = boost::unordered_map<String, String, HashOf, SameText, Allocator<Entry>>;

struct Root {
  Root(size_t buckets, const Allocator<Entry>& allocator)
      : map(buckets, HashOf(), SameText(), allocator) {}
  ip::interprocess_mutex mutex;
  Map map;
};
using Lock = ip::scoped_lock<ip::interprocess_mutex>;

class BoostStore final : public peers::PeerStore {
 public:
  BoostStore(std::shared_ptr<Segment> segment, Managed managed, Root* root)
      : PeerStore(kName, std::move(segment)), managed_(std::move(managed)), root_(*root) {}

  size_t max_key_bytes() const override { return 1 << 10; }
  size_t max_value_bytes() const override { return segment().size(); }

 private:
  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    try {
      Lock lock(root_.mutex);
      const auto found = root_.map.find(key, HashOf(), SameText());
      if (found != root_.map.end()) {
        found->second.assign(value.data(), value.size());
      } else {
        const Allocator<char> allocator(managed_.get_segment_manager());
        root_.map.emplace(String(key.data(), key.size(), allocator),
                          String(value.data(), value.size(), allocator));
      }
      return kAbsent;
    } catch (const std::exception& error) {
      return absl::ResourceExhaustedError(error.what());
    }
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    Lock lock(root_.mutex);
    const auto found = root_.map.find(key, HashOf(), SameText());
    if (found == root_.map.end()) return absl::NotFoundError("");
    if (value != nullptr) value->assign(View(found->second));
    return kAbsent;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    Lock lock(root_.mutex);
    const auto found = root_.map.find(key, HashOf(), SameText());
    if (found == root_.map.end()) return false;
    root_.map.erase(found);
    return true;
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    Lock lock(root_.mutex);
    for (const Entry& entry : root_.map) {
      if (!visit({View(entry.first), View(entry.second), kAbsent})) break;
    }
    return absl::OkStatus();
  }

  Managed managed_;
  Root& root_;
};

class BoostVariant final : public peers::PeerVariant {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "Boost.Interprocess: an unordered map in a managed segment, under one mutex that is not "
           "robust";
  }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own =
          peers::PlainTraits("none: the mutex is not robust", "nothing: nothing is repaired");
      own.has_recovery = false;
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(
        options, {.design = kName}, [&](Segment& segment, SegmentHeader&) -> absl::Status {
          try {
            const std::span<char> body = segment.body();
            Managed managed(ip::create_only, body.data(), body.size());
            const uint64_t entries =
                options.expected_entries != 0 ? options.expected_entries : kEntriesByDefault;
            managed.construct<Root>("root")(std::min<uint64_t>(entries, body.size() / 64),
                                            Allocator<Entry>(managed.get_segment_manager()));
            return absl::OkStatus();
          } catch (const std::exception& error) {
            return absl::InvalidArgumentError(
                absl::StrCat("the segment is too small: ", error.what()));
          }
        });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    try {
      const std::span<char> body = segment->body();
      Managed managed(ip::open_only, body.data(), body.size());
      Root* root = managed.find<Root>("root").first;
      if (root == nullptr) return absl::DataLossError("the managed segment has no root");
      return std::make_unique<BoostStore>(std::move(segment), std::move(managed), root);
    } catch (const std::exception& error) {
      return absl::DataLossError(error.what());
    }
  }
};

}  // namespace

const Variant& BoostInterprocess();
const Variant& BoostInterprocess() {
  static const BoostVariant variant;
  return variant;
}

}  // namespace kill9
