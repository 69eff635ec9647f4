// Tkrzw's hash database, the successor of Tokyo Cabinet's: buckets of records in a mapped file.
//
// As its manual says for several processes: a writer's open excludes the others', and they wait.
// So each operation opens the file, works, and closes it. A file that was not closed is restored by
// the next one who opens it to write; a reader who finds it so does that first. A file that is
// mostly old records is rebuilt. Each record has a checksum.
//
// Three ways of use. `tkrzw` appends each change to the file (UPDATE_APPENDING) and restores to
// what was last synchronized or closed (RESTORE_SYNC). `tkrzw_in_turn` does the same under a lock
// of its own around each open and close, since the library lets its lock go while it restores or
// rebuilds (results/peers.md). `tkrzw_in_place` has that lock, too, and the library's defaults:
// records are overwritten, and as many as possible are restored.
#include <fcntl.h>
#include <sys/file.h>
#include <tkrzw_langc.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

enum class Updates : uint8_t { kAppended, kInPlace };
enum class Turns : uint8_t { kOfTheLibrary, kOfOurOwn };  // whose lock

struct Use {
  Updates updates;
  Turns turns;
};

constexpr int32_t kSuccess = 0;
constexpr int32_t kNotFound = 7;

struct Library : peers::LateLibrary {
  Library() : LateLibrary("libtkrzw.so.1") {
    Find(open, "tkrzw_dbm_open");
    Find(close, "tkrzw_dbm_close");
    Find(is_healthy, "tkrzw_dbm_is_healthy");
    Find(code, "tkrzw_get_last_status_code");
    Find(message, "tkrzw_get_last_status_message");
    Find(get, "tkrzw_dbm_get");
    Find(set, "tkrzw_dbm_set");
    Find(remove, "tkrzw_dbm_remove");
    Find(should_be_rebuilt, "tkrzw_dbm_should_be_rebuilt");
    Find(rebuild, "tkrzw_dbm_rebuild");
    Find(make_iterator, "tkrzw_dbm_make_iterator");
    Find(iterator_free, "tkrzw_dbm_iter_free");
    Find(first, "tkrzw_dbm_iter_first");
    Find(next, "tkrzw_dbm_iter_next");
    Find(entry, "tkrzw_dbm_iter_get");
  }
  decltype(&tkrzw_dbm_open) open;
  decltype(&tkrzw_dbm_close) close;
  decltype(&tkrzw_dbm_is_healthy) is_healthy;
  decltype(&tkrzw_get_last_status_code) code;
  decltype(&tkrzw_get_last_status_message) message;
  decltype(&tkrzw_dbm_get) get;
  decltype(&tkrzw_dbm_set) set;
  decltype(&tkrzw_dbm_remove) remove;
  decltype(&tkrzw_dbm_should_be_rebuilt) should_be_rebuilt;
  decltype(&tkrzw_dbm_rebuild) rebuild;
  decltype(&tkrzw_dbm_make_iterator) make_iterator;
  decltype(&tkrzw_dbm_iter_free) iterator_free;
  decltype(&tkrzw_dbm_iter_first) first;
  decltype(&tkrzw_dbm_iter_next) next;
  decltype(&tkrzw_dbm_iter_get) entry;
};

absl::Status ErrorOf(const char* call) {
  const Library& library = peers::TheOne<Library>();
  if (absl::Status status = library.status(); !status.ok()) return status;
  if (library.code() == kNotFound) return absl::NotFoundError("");
  return absl::DataLossError(absl::StrCat(call, ": ", library.message()));
}

// The file, open for one operation.
class OpenHash {
 public:
  OpenHash(const peers::Anchor& anchor, Use use, bool writes) {
    if (!library_.status().ok()) return;
    if (use.turns == Turns::kOfOurOwn) {
      turn_ = open(anchor.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      while (turn_ >= 0 && flock(turn_, LOCK_EX) != 0 && errno == EINTR) continue;
    }
    const std::string path = absl::StrCat(anchor.directory, "/hash.tkh");
    const std::string options = absl::StrCat(
        "dbm=hash,record_crc_mode=RECORD_CRC_32,num_buckets=", 2 * anchor.expected_entries + 1,
        use.updates == Updates::kAppended
            ? ",update_mode=UPDATE_APPENDING,restore_mode=RESTORE_SYNC"
            : ",update_mode=UPDATE_IN_PLACE");
    database_ = library_.open(path.c_str(), writes, options.c_str());
    if (database_ == nullptr || writes || library_.is_healthy(database_)) return;
    library_.close(database_);
    database_ = library_.open(path.c_str(), true, options.c_str());
  }
  ~OpenHash() {
    if (database_ != nullptr) library_.close(database_);
    if (turn_ >= 0) close(turn_);
  }
  OpenHash(const OpenHash&) = delete;
  OpenHash& operator=(const OpenHash&) = delete;

  TkrzwDBM* database() const { return database_; }
  absl::Status Close() {
    if (library_.close(std::exchange(database_, nullptr))) return absl::OkStatus();
    return ErrorOf("tkrzw_dbm_close");
  }

 private:
  const Library& library_ = peers::TheOne<Library>();
  int turn_ = -1;
  TkrzwDBM* database_ = nullptr;
};

class TkrzwStore final : public peers::FileStore {
 public:
  TkrzwStore(std::string_view name, std::shared_ptr<Segment> segment, Use use)
      : FileStore(name, std::move(segment)), use_(use) {}

 private:
  // Runs `work`, which returns whether the library did, as a writer.
  template <typename Work>
  absl::Status Write(const char* call, Work work) {
    OpenHash open(peers::AnchorOf(segment()), use_, true);
    if (open.database() == nullptr) return ErrorOf("tkrzw_dbm_open");
    if (!work(open.database())) return ErrorOf(call);
    if (library_.should_be_rebuilt(open.database()) && !library_.rebuild(open.database(), "")) {
      return ErrorOf("tkrzw_dbm_rebuild");
    }
    return open.Close();
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    const absl::Status status = Write("tkrzw_dbm_set", [&](TkrzwDBM* database) {
      return library_.set(database, key.data(), static_cast<int32_t>(key.size()), value.data(),
                          static_cast<int32_t>(value.size()), true);
    });
    if (!status.ok()) return status;
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    OpenHash open(peers::AnchorOf(segment()), use_, false);
    if (open.database() == nullptr) return ErrorOf("tkrzw_dbm_open");
    int32_t bytes = 0;
    char* const found =
        library_.get(open.database(), key.data(), static_cast<int32_t>(key.size()), &bytes);
    if (found == nullptr) return ErrorOf("tkrzw_dbm_get");
    if (value != nullptr) value->assign(found, static_cast<size_t>(bytes));
    std::free(found);
    return kAbsent;
  }
  absl::Status Remove(std::string_view key) override {
    return Write("tkrzw_dbm_remove", [&](TkrzwDBM* database) {
      return library_.remove(database, key.data(), static_cast<int32_t>(key.size()));
    });
  }
  absl::Status CopyAll(Entries* entries) override {
    OpenHash open(peers::AnchorOf(segment()), use_, false);
    if (open.database() == nullptr) return ErrorOf("tkrzw_dbm_open");
    TkrzwDBMIter* const at = library_.make_iterator(open.database());
    const absl::Cleanup free_iterator = [&] { library_.iterator_free(at); };
    if (!library_.first(at)) return ErrorOf("tkrzw_dbm_iter_first");
    char* key = nullptr;
    char* value = nullptr;
    int32_t key_bytes = 0;
    int32_t value_bytes = 0;
    while (library_.entry(at, &key, &key_bytes, &value, &value_bytes)) {
      entries->emplace_back(std::string(key, static_cast<size_t>(key_bytes)),
                            std::string(value, static_cast<size_t>(value_bytes)));
      std::free(key);
      std::free(value);
      if (!library_.next(at)) return ErrorOf("tkrzw_dbm_iter_next");
    }
    return library_.code() == kNotFound ? absl::OkStatus() : ErrorOf("tkrzw_dbm_iter_get");
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    OpenHash open(peers::AnchorOf(segment()), use_, true);
    if (open.database() == nullptr) return ErrorOf("tkrzw_dbm_open");
    if (absl::Status status = open.Close(); !status.ok()) return status;
    return RecoveryReport{};
  }

  const Library& library_ = peers::TheOne<Library>();
  Use use_;
};

class TkrzwVariant final : public peers::PeerVariant {
 public:
  TkrzwVariant(std::string_view name, std::string_view summary, Use use)
      : name_(name), summary_(summary), use_(use) {}

  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return summary_; }
  const Traits& traits() const override {
    static const Traits traits = peers::AnchoredTraits(
        "whoever opens the file next, with each operation; Recover() does that", "the file's size");
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, name_, [&](const peers::Anchor& anchor) -> absl::Status {
      OpenHash made(anchor, use_, true);
      return made.database() != nullptr ? made.Close() : ErrorOf("tkrzw_dbm_open");
    });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return std::make_unique<TkrzwStore>(name_, std::move(segment), use_);
  }

 private:
  std::string_view name_;
  std::string_view summary_;
  Use use_;
};

}  // namespace

const Variant& Tkrzw();
const Variant& Tkrzw() {
  static const TkrzwVariant variant("tkrzw",
                                    "Tkrzw's hash database: a mapped file, each change appended",
                                    {Updates::kAppended, Turns::kOfTheLibrary});
  return variant;
}

const Variant& TkrzwInTurn();
const Variant& TkrzwInTurn() {
  static const TkrzwVariant variant("tkrzw_in_turn",
                                    "Tkrzw's, each change appended, under a lock around each use",
                                    {Updates::kAppended, Turns::kOfOurOwn});
  return variant;
}

const Variant& TkrzwInPlace();
const Variant& TkrzwInPlace() {
  static const TkrzwVariant variant("tkrzw_in_place",
                                    "Tkrzw's, changed in place, under a lock around each use",
                                    {Updates::kInPlace, Turns::kOfOurOwn});
  return variant;
}

}  // namespace kill9
