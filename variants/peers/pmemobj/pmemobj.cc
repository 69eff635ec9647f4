// libpmemobj: objects with transactions in a mapped pool (PMDK).
//
// As its manual says, a pool is open in one process at a time, and pmemobj_open after a death
// finishes or takes back the transaction that was cut off. So each operation waits for its turn,
// opens the pool, works in one transaction, and closes it; the turn is a lock of the kernel, which
// ends with its owner. A death is no power loss: the unsafe shutdowns of a DIMM are not watched
// (sds.at_create, as its manual has it).
#include <fcntl.h>
#include <libpmemobj.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"
#include "variants/segment/hash.h"

namespace kill9 {
namespace {

constexpr std::string_view kPmemobjName = "pmemobj";
constexpr char kLayout[] = "kill9";
constexpr uint64_t kEntryType = 1;

struct Library : peers::LateLibrary {
  Library() : LateLibrary("libpmemobj.so.1") {
    Find(create, "pmemobj_create");
    Find(open, "pmemobj_open");
    Find(close, "pmemobj_close");
    Find(message, "pmemobj_errormsg");
    Find(set, "pmemobj_ctl_set");
    Find(root, "pmemobj_root");
    Find(begin, "pmemobj_tx_begin");
    Find(add_range, "pmemobj_tx_add_range_direct");
    Find(alloc, "pmemobj_tx_alloc");
    Find(free, "pmemobj_tx_free");
    Find(commit, "pmemobj_tx_commit");
    Find(end, "pmemobj_tx_end");
  }
  decltype(&pmemobj_create) create;
  decltype(&pmemobj_open) open;
  decltype(&pmemobj_close) close;
  decltype(&pmemobj_errormsg) message;
  decltype(&pmemobj_ctl_set) set;
  decltype(&pmemobj_root) root;
  decltype(&pmemobj_tx_begin) begin;
  decltype(&pmemobj_tx_add_range_direct) add_range;
  decltype(&pmemobj_tx_alloc) alloc;
  decltype(&pmemobj_tx_free) free;
  decltype(&pmemobj_tx_commit) commit;
  decltype(&pmemobj_tx_end) end;
};

struct Entry {
  PMEMoid next;
  uint64_t key_bytes;
  uint64_t value_bytes;
  char bytes[];  // the key, the value
};
static_assert(sizeof(Entry) == 32);

// The pool, open for one operation: a root object of chains.
class OpenPool {
 public:
  // Waits for its turn as long as it takes.
  OpenPool(const peers::Anchor& anchor, bool create)
      : heads_count_(std::max<uint64_t>(anchor.expected_entries, 16)) {
    if (!library_.status().ok()) return;
    const std::string path = absl::StrCat(anchor.directory, "/pool");
    turn_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (turn_ < 0) return;
    struct flock lock {};
    lock.l_type = F_WRLCK;
    while (fcntl(turn_, F_OFD_SETLKW, &lock) != 0) {
      if (errno != EINTR) return;
    }
    if (create) {
      int watch = 0;
      library_.set(nullptr, "sds.at_create", &watch);
      const uint64_t size = PMEMOBJ_MIN_POOL + 4 * anchor.size_bytes + heads_count_ * 1024;
      if (ftruncate(turn_, static_cast<off_t>(size)) != 0) return;
      pool_ = library_.create(path.c_str(), kLayout, 0, 0600);  // 0: the file is there
    } else {
      pool_ = library_.open(path.c_str(), kLayout);
    }
    if (pool_ == nullptr) return;
    const PMEMoid root = library_.root(pool_, heads_count_ * sizeof(PMEMoid));
    if (!OID_IS_NULL(root)) heads_ = static_cast<PMEMoid*>(At(root));
  }
  ~OpenPool() {
    if (pool_ != nullptr) library_.close(pool_);
    if (turn_ >= 0) ::close(turn_);
  }
  OpenPool(const OpenPool&) = delete;
  OpenPool& operator=(const OpenPool&) = delete;

  bool is_open() const { return heads_ != nullptr; }
  absl::Status Error(const char* call) const {
    if (absl::Status status = library_.status(); !status.ok()) return status;
    return absl::DataLossError(absl::StrCat(call, ": ", library_.message()));
  }

  Entry& EntryOf(PMEMoid object) const { return *static_cast<Entry*>(At(object)); }
  std::string_view KeyOf(const Entry& entry) const { return {entry.bytes, entry.key_bytes}; }
  std::string_view ValueOf(const Entry& entry) const {
    return {entry.bytes + entry.key_bytes, entry.value_bytes};
  }
  // Where the key's entry is named, or would be.
  PMEMoid* Find(std::string_view key) {
    PMEMoid* at = &heads_[XXH3_64bits(key.data(), key.size()) % heads_count_];
    while (!OID_IS_NULL(*at) && KeyOf(EntryOf(*at)) != key) at = &EntryOf(*at).next;
    return at;
  }
  template <typename Visit>
  void ForEach(Visit visit) {
    for (uint64_t n = 0; n < heads_count_; ++n) {
      for (PMEMoid at = heads_[n]; !OID_IS_NULL(at); at = EntryOf(at).next) visit(EntryOf(at));
    }
  }

  // Runs `work`, which returns false where a call has ended the transaction, in one. The error
  // number, or 0.
  template <typename Work>
  int Transact(Work work) {
    if (library_.begin(pool_, nullptr, TX_PARAM_NONE) == 0 && work()) library_.commit();
    return library_.end();
  }
  // In a transaction.
  bool Name(PMEMoid* at, PMEMoid object) {
    if (library_.add_range(at, sizeof *at) != 0) return false;
    *at = object;
    return true;
  }
  bool Free(PMEMoid object) { return library_.free(object) == 0; }
  // Null: there is no room.
  PMEMoid Make(std::string_view key, std::string_view value, PMEMoid next) {
    const PMEMoid made = library_.alloc(sizeof(Entry) + key.size() + value.size(), kEntryType);
    if (OID_IS_NULL(made)) return made;
    Entry& entry = EntryOf(made);
    entry.next = next;
    entry.key_bytes = key.size();
    entry.value_bytes = value.size();
    key.copy(entry.bytes, key.size());
    value.copy(entry.bytes + key.size(), value.size());
    return made;
  }

 private:
  void* At(PMEMoid object) const { return reinterpret_cast<char*>(pool_) + object.off; }

  const Library& library_ = peers::TheOne<Library>();
  uint64_t heads_count_;
  int turn_ = -1;
  PMEMobjpool* pool_ = nullptr;
  PMEMoid* heads_ = nullptr;
};

class PmemobjStore final : public peers::FileStore {
 public:
  explicit PmemobjStore(std::shared_ptr<Segment> segment)
      : FileStore(kPmemobjName, std::move(segment)) {}

 private:
  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    OpenPool pool(peers::AnchorOf(segment()), false);
    if (!pool.is_open()) return pool.Error("pmemobj_open");
    const int error = pool.Transact([&] {
      PMEMoid* const at = pool.Find(key);
      const PMEMoid old = *at;
      const PMEMoid next = OID_IS_NULL(old) ? OID_NULL : pool.EntryOf(old).next;
      const PMEMoid made = pool.Make(key, value, next);
      return !OID_IS_NULL(made) && pool.Name(at, made) && (OID_IS_NULL(old) || pool.Free(old));
    });
    if (error == ENOMEM) return absl::ResourceExhaustedError("the pool is full");
    if (error != 0) return pool.Error("pmemobj_tx");
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    OpenPool pool(peers::AnchorOf(segment()), false);
    if (!pool.is_open()) return pool.Error("pmemobj_open");
    const PMEMoid found = *pool.Find(key);
    if (OID_IS_NULL(found)) return absl::NotFoundError("");
    if (value != nullptr) value->assign(pool.ValueOf(pool.EntryOf(found)));
    return kAbsent;
  }
  absl::Status Remove(std::string_view key) override {
    OpenPool pool(peers::AnchorOf(segment()), false);
    if (!pool.is_open()) return pool.Error("pmemobj_open");
    PMEMoid* const at = pool.Find(key);
    const PMEMoid old = *at;
    if (OID_IS_NULL(old)) return absl::NotFoundError("");
    const int error =
        pool.Transact([&] { return pool.Name(at, pool.EntryOf(old).next) && pool.Free(old); });
    return error == 0 ? absl::OkStatus() : pool.Error("pmemobj_tx");
  }
  absl::Status CopyAll(Entries* entries) override {
    OpenPool pool(peers::AnchorOf(segment()), false);
    if (!pool.is_open()) return pool.Error("pmemobj_open");
    pool.ForEach(
        [&](const Entry& entry) { entries->emplace_back(pool.KeyOf(entry), pool.ValueOf(entry)); });
    return absl::OkStatus();
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    OpenPool pool(peers::AnchorOf(segment()), false);
    if (!pool.is_open()) return pool.Error("pmemobj_open");
    return RecoveryReport{};
  }
};

class PmemobjVariant final : public peers::PeerVariant {
 public:
  std::string_view name() const override { return kPmemobjName; }
  std::string_view summary() const override {
    return "libpmemobj: transactions in a mapped pool that one process has open at a time";
  }
  const Traits& traits() const override {
    static const Traits traits = peers::AnchoredTraits(
        "whoever opens the pool next, with each operation; Recover() does that", "the lanes");
    return traits;
  }
  std::string_view why_not_stepped() const override {
    return "to open its pool takes some six million instructions";
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(
        options, kPmemobjName, [](const peers::Anchor& anchor) -> absl::Status {
          OpenPool made(anchor, true);
          return made.is_open() ? absl::OkStatus() : made.Error("pmemobj_create");
        });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return std::make_unique<PmemobjStore>(std::move(segment));
  }
};

}  // namespace

const Variant& Pmemobj();
const Variant& Pmemobj() {
  static const PmemobjVariant variant;
  return variant;
}

}  // namespace kill9
