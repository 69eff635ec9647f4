// Berkeley DB as a concurrent data store: a hash table in a file, a shared cache and shared locks
// in region files; many readers or one writer.
//
// As its manual says for applications of several processes: DB_INIT_CDB, a thread count and an
// is-alive callback, so that DB_ENV->failchk can be called, which is its recovery. Where failchk
// answers DB_RUNRECOVERY, the manual wants every process to leave and the environment to be made
// anew: Recover() then fails with kDataLoss.
#include <db.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

constexpr std::string_view kName = "berkeley_db";
constexpr uint64_t kLeastCacheBytes = 1 << 20;
constexpr uint64_t kMostCacheBytes = 2ull << 30;

// What the library says of its latest error.
std::string& LatestMessage() {
  static std::string message;
  return message;
}

absl::Status Error(const char* call, int code) {
  std::string text = absl::StrCat(call, ": ", db_strerror(code));
  if (!LatestMessage().empty()) absl::StrAppend(&text, " (", LatestMessage(), ")");
  LatestMessage().clear();
  if (code == ENOMEM || code == ENOSPC) return absl::ResourceExhaustedError(text);
  return absl::DataLossError(text);
}

// Who calls; either may be null.
void ThreadId(DB_ENV*, pid_t* pid, db_threadid_t* thread) {
  if (pid != nullptr) *pid = getpid();
  if (thread != nullptr) *thread = pthread_self();
}

int IsAlive(DB_ENV*, pid_t pid, db_threadid_t, uint32_t) {
  return kill(pid, 0) == 0 || errno != ESRCH ? 1 : 0;
}

struct Handles {
  DB_ENV* environment = nullptr;
  DB* database = nullptr;

  void Close() {
    if (database != nullptr) database->close(database, DB_NOSYNC);
    if (environment != nullptr) environment->close(environment, 0);
    *this = {};
  }
};

absl::StatusOr<Handles> OpenHandles(const peers::Anchor& anchor) {
  Handles handles;
  absl::Cleanup close = [&handles] { handles.Close(); };
  int code = db_env_create(&handles.environment, 0);
  if (code != 0) return Error("db_env_create", code);
  DB_ENV* environment = handles.environment;
  environment->set_errcall(environment, [](const DB_ENV*, const char*, const char* message) {
    LatestMessage() = message;
  });
  environment->set_msgcall(environment, [](const DB_ENV*, const char*) {});
  environment->set_thread_id(environment, ThreadId);
  const uint64_t cache = std::clamp(anchor.size_bytes, kLeastCacheBytes, kMostCacheBytes);
  environment->set_cachesize(environment, static_cast<uint32_t>(cache >> 30),
                             static_cast<uint32_t>(cache & ((1u << 30) - 1)), 1);
  environment->set_thread_count(environment, anchor.max_participants * 2);
  environment->set_isalive(environment, IsAlive);
  code = environment->open(environment, anchor.directory,
                           DB_CREATE | DB_INIT_CDB | DB_INIT_MPOOL | DB_THREAD, 0600);
  if (code != 0) return Error("DB_ENV->open", code);
  code = db_create(&handles.database, environment, 0);
  if (code != 0) return Error("db_create", code);
  DB* database = handles.database;
  if (anchor.expected_entries != 0) {
    database->set_h_nelem(database, static_cast<uint32_t>(anchor.expected_entries));
  }
  code = database->open(database, nullptr, "data", nullptr, DB_HASH, DB_CREATE | DB_THREAD, 0600);
  if (code != 0) return Error("DB->open", code);
  std::move(close).Cancel();
  return handles;
}

DBT In(std::string_view bytes) {
  DBT item{};
  item.data = const_cast<char*>(bytes.data());
  item.size = static_cast<uint32_t>(bytes.size());
  return item;
}

// A buffer of ours, grown as needed, that the library copies into.
class Buffer {
 public:
  Buffer() : bytes_(4096, '\0') {}
  DBT item() {
    DBT item{};
    item.data = bytes_.data();
    item.ulen = static_cast<uint32_t>(bytes_.size());
    item.flags = DB_DBT_USERMEM;
    return item;
  }
  void Grow(uint32_t wanted) {
    if (wanted > bytes_.size()) bytes_.resize(wanted);
  }
  std::string_view view(const DBT& item) const { return {bytes_.data(), item.size}; }

 private:
  std::string bytes_;
};

class BerkeleyStore final : public peers::PeerStore {
 public:
  BerkeleyStore(std::shared_ptr<Segment> segment, const Handles& handles)
      : PeerStore(kName, std::move(segment)), handles_(handles), database_(handles.database) {}
  ~BerkeleyStore() override {
    if (guard().mine()) handles_.Close();
  }

  size_t max_key_bytes() const override { return 1 << 10; }
  size_t max_value_bytes() const override {
    return std::min<uint64_t>(peers::AnchorOf(segment()).size_bytes, 1u << 30);
  }

 private:
  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    DBT name = In(key);
    DBT data = In(value);
    const int code = database_->put(database_, nullptr, &name, &data, 0);
    if (code != 0) return Error("DB->put", code);
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    DBT name = In(key);
    DBT data = value_.item();
    int code = database_->get(database_, nullptr, &name, &data, 0);
    while (code == DB_BUFFER_SMALL) {
      value_.Grow(data.size);
      data = value_.item();
      code = database_->get(database_, nullptr, &name, &data, 0);
    }
    if (code == DB_NOTFOUND) return absl::NotFoundError("");
    if (code != 0) return Error("DB->get", code);
    if (value != nullptr) value->assign(value_.view(data));
    return kAbsent;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    DBT name = In(key);
    const int code = database_->del(database_, nullptr, &name, 0);
    if (code == DB_NOTFOUND) return false;
    if (code != 0) return Error("DB->del", code);
    return true;
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    DBC* cursor = nullptr;
    int code = database_->cursor(database_, nullptr, &cursor, 0);
    if (code != 0) return Error("DB->cursor", code);
    while (code == 0) {
      DBT name = key_.item();
      DBT data = value_.item();
      code = cursor->get(cursor, &name, &data, DB_NEXT);
      if (code == DB_BUFFER_SMALL) {
        key_.Grow(name.size);
        value_.Grow(data.size);
        code = 0;
        continue;
      }
      if (code == 0 && !visit({key_.view(name), value_.view(data), kAbsent})) break;
    }
    cursor->close(cursor);
    return code == 0 || code == DB_NOTFOUND ? absl::OkStatus() : Error("DBcursor->get", code);
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    const int code = handles_.environment->failchk(handles_.environment, 0);
    if (code != 0) return Error("DB_ENV->failchk", code);
    return RecoveryReport{};  // it does not tell what it did
  }

  Handles handles_;
  DB* database_;
  Buffer key_;
  Buffer value_;
};

class BerkeleyVariant final : public peers::PeerVariant {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "Berkeley DB, concurrent data store: a hash table in a file, a shared cache, many "
           "readers or one writer";
  }
  const Traits& traits() const override {
    static const Traits traits = peers::AnchoredTraits(
        "failchk, which the application calls; where it says DB_RUNRECOVERY, "
        "every process must leave and the environment is made anew",
        "the number of participants and of locks");
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, kName, [](const peers::Anchor& anchor) -> absl::Status {
      absl::StatusOr<Handles> handles = OpenHandles(anchor);
      if (!handles.ok()) return handles.status();
      handles->Close();
      return absl::OkStatus();
    });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<Handles> handles = OpenHandles(peers::AnchorOf(*segment));
    if (!handles.ok()) return handles.status();
    return std::make_unique<BerkeleyStore>(std::move(segment), *handles);
  }
};

}  // namespace

const Variant& BerkeleyDb();
const Variant& BerkeleyDb() {
  static const BerkeleyVariant variant;
  return variant;
}

}  // namespace kill9
