// LMDB: a copy-on-write B+tree, one writer at a time under a robust mutex, readers without locks.
//
// As its manual says: writable map, no sync (the fastest mode; a process's death is no power loss),
// one read transaction a handle that is reset and renewed. Recovery is mdb_reader_check, which
// frees the reader slots of dead processes; also called when the reader table or the map is full,
// since dead readers hold back both. The writer's robust mutex is recovered inside the library.
#include <lmdb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

constexpr std::string_view kName = "lmdb";
// The map is an upper bound of a sparse file. Copying on write needs room for erasures too, so a
// map as small as the data would refuse them; its manual says to be generous.
constexpr uint64_t kLeastMapBytes = 64 << 20;
constexpr unsigned kFlags = MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NORDAHEAD;

absl::Status Error(const char* call, int code) {
  const std::string text = absl::StrCat(call, ": ", mdb_strerror(code));
  if (code == MDB_MAP_FULL || code == MDB_READERS_FULL) return absl::ResourceExhaustedError(text);
  return absl::DataLossError(text);
}

MDB_val Value(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view View(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

absl::StatusOr<MDB_env*> OpenEnvironment(const peers::Anchor& anchor) {
  MDB_env* environment = nullptr;
  int code = mdb_env_create(&environment);
  if (code != 0) return Error("mdb_env_create", code);
  mdb_env_set_mapsize(environment, kLeastMapBytes + 8 * anchor.size_bytes);
  mdb_env_set_maxreaders(environment, anchor.max_participants);
  code = mdb_env_open(environment, anchor.directory, kFlags, 0600);
  if (code == 0) return environment;
  mdb_env_close(environment);
  return Error("mdb_env_open", code);
}

class LmdbStore final : public peers::PeerStore {
 public:
  LmdbStore(std::shared_ptr<Segment> segment, MDB_env* environment, MDB_txn* reader,
            MDB_dbi database)
      : PeerStore(kName, std::move(segment)),
        environment_(environment),
        reader_(reader),
        database_(database) {}
  ~LmdbStore() override {
    if (!guard().mine()) return;  // its lock file and its slot are the parent's
    mdb_txn_abort(reader_);
    mdb_env_close(environment_);
  }

  size_t max_key_bytes() const override {
    return static_cast<size_t>(mdb_env_get_maxkeysize(environment_));
  }
  size_t max_value_bytes() const override {
    return std::min<uint64_t>(peers::AnchorOf(segment()).size_bytes, 1u << 31);
  }

 private:
  // Runs `change` in a write transaction; a full map is tried again once dead readers are gone.
  template <typename Change>
  int Write(Change change) {
    int code = TryWrite(change);
    int dead = 0;
    if (code == MDB_MAP_FULL && mdb_reader_check(environment_, &dead) == 0 && dead > 0) {
      code = TryWrite(change);
    }
    return code;
  }
  template <typename Change>
  int TryWrite(Change change) {
    MDB_txn* transaction = nullptr;
    int code = mdb_txn_begin(environment_, nullptr, 0, &transaction);
    if (code != 0) return code;
    code = change(transaction);
    if (code == 0) return mdb_txn_commit(transaction);
    mdb_txn_abort(transaction);
    return code;
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    const int code = Write([&](MDB_txn* transaction) {
      MDB_val name = Value(key);
      MDB_val data = Value(value);
      return mdb_put(transaction, database_, &name, &data, 0);
    });
    if (code != 0) return Error("mdb_put", code);
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    int code = mdb_txn_renew(reader_);
    if (code != 0) return Error("mdb_txn_renew", code);
    MDB_val name = Value(key);
    MDB_val data{};
    code = mdb_get(reader_, database_, &name, &data);
    if (code == 0 && value != nullptr) value->assign(View(data));
    mdb_txn_reset(reader_);
    if (code == MDB_NOTFOUND) return absl::NotFoundError("");
    if (code != 0) return Error("mdb_get", code);
    return kAbsent;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    const int code = Write([&](MDB_txn* transaction) {
      MDB_val name = Value(key);
      return mdb_del(transaction, database_, &name, nullptr);
    });
    if (code == MDB_NOTFOUND) return false;
    if (code != 0) return Error("mdb_del", code);
    return true;
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    int code = mdb_txn_renew(reader_);
    if (code != 0) return Error("mdb_txn_renew", code);
    MDB_cursor* cursor = nullptr;
    code = mdb_cursor_open(reader_, database_, &cursor);
    MDB_val name{};
    MDB_val data{};
    while (code == 0 && (code = mdb_cursor_get(cursor, &name, &data, MDB_NEXT)) == 0) {
      if (!visit({View(name), View(data), kAbsent})) break;
    }
    if (cursor != nullptr) mdb_cursor_close(cursor);
    mdb_txn_reset(reader_);
    return code == 0 || code == MDB_NOTFOUND ? absl::OkStatus() : Error("mdb_cursor_get", code);
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    int dead = 0;
    const int code = mdb_reader_check(environment_, &dead);
    if (code != 0) return Error("mdb_reader_check", code);
    return RecoveryReport{.participants = static_cast<uint64_t>(dead)};
  }

  MDB_env* environment_;
  MDB_txn* reader_;
  MDB_dbi database_;
};

class LmdbVariant final : public peers::PeerVariant {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "LMDB: a copy-on-write B+tree in a mapped file, one writer under a robust mutex, "
           "readers without locks";
  }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own = peers::AnchoredTraits(
          "the next writer takes over the robust mutex; the reader slots of the "
          "dead come back by mdb_reader_check, which the application calls",
          "the size of the reader table");
      own.read = Progress::kWaitFree;
      own.pin = Progress::kWaitFree;
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, kName, [](const peers::Anchor& anchor) {
      absl::StatusOr<MDB_env*> environment = OpenEnvironment(anchor);
      if (!environment.ok()) return environment.status();
      mdb_env_close(*environment);
      return absl::OkStatus();
    });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<MDB_env*> environment = OpenEnvironment(peers::AnchorOf(*segment));
    if (!environment.ok()) return environment.status();
    MDB_txn* reader = nullptr;
    int code = mdb_txn_begin(*environment, nullptr, MDB_RDONLY, &reader);
    int dead = 0;
    if (code == MDB_READERS_FULL && mdb_reader_check(*environment, &dead) == 0) {
      code = mdb_txn_begin(*environment, nullptr, MDB_RDONLY, &reader);
    }
    MDB_dbi database = 0;
    if (code == 0) {
      code = mdb_dbi_open(reader, nullptr, 0, &database);
      mdb_txn_reset(reader);
    }
    if (code == 0) {
      return std::make_unique<LmdbStore>(std::move(segment), *environment, reader, database);
    }
    if (reader != nullptr) mdb_txn_abort(reader);
    mdb_env_close(*environment);
    return Error("mdb_txn_begin", code);
  }
};

}  // namespace

const Variant& Lmdb();
const Variant& Lmdb() {
  static const LmdbVariant variant;
  return variant;
}

}  // namespace kill9
