// SQLite in WAL mode: a table in a file, a log beside it to which commits are appended, and an
// index of that log in shared memory (the file that ends in -shm), guarded by byte-range locks of
// fcntl.
//
// As its manual says for several processes: a connection a handle, each operation one statement and
// so one transaction, a busy handler that waits as long as it takes. synchronous=NORMAL, as the
// manual advises for WAL: a process's death is no power loss, so even OFF would lose nothing.
// Recovery needs no call: the kernel drops the locks of the dead, and whoever next finds the index
// in pieces reads it anew from the log. Recover() is a checkpoint, which does that first.
//
// Two ways of use, both documented. `sqlite_wal` checkpoints when the log has 1,000 pages (the
// default), and who leaves last leaves the log to whoever opens next
// (SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE). `sqlite_wal_checkpoint` checkpoints after each commit, so
// that the log begins anew all the time, and who leaves last removes log and index (the default).
//
// Locks of fcntl vanish when a process closes *any* descriptor of the file. SQLite guards against
// itself: it keeps a table of the files that this process has open, and defers the closing. That
// table goes through fork with the parent's locks in it, so a child closes what it inherited before
// it opens: not by the manual, which has no way for a child of a process with an open connection.
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"
#include "variants/segment/hash.h"

namespace kill9 {
namespace {

enum class Checkpoint : uint8_t { kAtAThousandPages, kAfterEachCommit };

constexpr useconds_t kLeastWaitUs = 50;
constexpr useconds_t kMostWaitUs = 1000;
constexpr uint64_t kMostValueBytes = 1'000'000'000;  // SQLITE_MAX_LENGTH

absl::Status Error(sqlite3* connection, const char* call) {
  const int code = sqlite3_extended_errcode(connection);
  const std::string text = absl::StrCat(call, ": ", sqlite3_errmsg(connection), " (",
                                        sqlite3_errstr(code), ", ", code, ")");
  if ((code & 0xff) == SQLITE_FULL) return absl::ResourceExhaustedError(text);
  return absl::DataLossError(text);
}

int Wait(void*, int times) {
  usleep(std::min(kLeastWaitUs << std::min(times, 10), kMostWaitUs));
  return 1;
}

absl::Status Execute(sqlite3* connection, const std::string& statement) {
  if (sqlite3_exec(connection, statement.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return Error(connection, statement.c_str());
}

// The log's salts are random numbers. They begin from the process's number here: a victim of the
// sweep that is run again leaves the same bytes. No two generations of a log share both salts,
// since the first of them counts up.
void SeedRandomNumbers() {
  static uint32_t times = 0;
  const std::pair<pid_t, uint32_t> of{getpid(), ++times};
  const uint64_t seed = XXH3_64bits(&of, sizeof of);
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed | 1), nullptr);
}

// A connection with its statements.
struct Connection {
  sqlite3* database = nullptr;
  sqlite3_stmt* put = nullptr;
  sqlite3_stmt* get = nullptr;
  sqlite3_stmt* erase = nullptr;
  sqlite3_stmt* all = nullptr;

  void Close() {
    for (sqlite3_stmt* statement : {put, get, erase, all}) sqlite3_finalize(statement);
    sqlite3_close(database);
    *this = {};
  }
};

// The connections of this process; in a child, of its parent.
struct OpenConnections {
  ForkGuard guard;
  std::vector<Connection> connections;
};
OpenConnections*& Latest() {
  static OpenConnections* latest = new OpenConnections;
  return latest;
}

void CloseWhatWasInherited() {
  if (Latest()->guard.mine()) return;
  for (Connection& connection : Latest()->connections) {
    // Whatever others have to be told of an end is the parent's to say.
    sqlite3_db_config(connection.database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    connection.Close();
  }
  Latest() = new OpenConnections;
}

absl::StatusOr<Connection> OpenConnection(const peers::Anchor& anchor, Checkpoint checkpoint,
                                          bool create) {
  CloseWhatWasInherited();
  Connection connection;
  absl::Cleanup close = [&connection] { connection.Close(); };
  const std::string path = absl::StrCat(anchor.directory, "/data");
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  SeedRandomNumbers();
  sqlite3*& database = connection.database;
  if (sqlite3_open_v2(path.c_str(), &database, flags, nullptr) != SQLITE_OK) {
    return Error(database, "sqlite3_open_v2");
  }
  sqlite3_busy_handler(database, Wait, nullptr);
  if (checkpoint == Checkpoint::kAtAThousandPages) {
    sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  } else {
    sqlite3_wal_autocheckpoint(database, 1);
  }
  std::string script = "PRAGMA synchronous = NORMAL";
  if (create) {
    absl::StrAppend(&script,
                    "; PRAGMA journal_mode = WAL; CREATE TABLE entries"
                    " (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)");
  }
  if (absl::Status status = Execute(database, script); !status.ok()) return status;
  const std::pair<sqlite3_stmt**, const char*> statements[] = {
      {&connection.put,
       "INSERT INTO entries (key, value) VALUES (?1, ?2)"
       " ON CONFLICT (key) DO UPDATE SET value = excluded.value"},
      {&connection.get, "SELECT value FROM entries WHERE key = ?1"},
      {&connection.erase, "DELETE FROM entries WHERE key = ?1"},
      {&connection.all, "SELECT key, value FROM entries"}};
  for (const auto& [statement, text] : statements) {
    if (sqlite3_prepare_v3(database, text, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr) !=
        SQLITE_OK) {
      return Error(database, text);
    }
  }
  std::move(close).Cancel();
  return connection;
}

std::string_view Column(sqlite3_stmt* statement, int column) {
  const void* bytes = sqlite3_column_blob(statement, column);
  return {static_cast<const char*>(bytes),
          static_cast<size_t>(sqlite3_column_bytes(statement, column))};
}

void Bind(sqlite3_stmt* statement, int parameter, std::string_view bytes) {
  // An empty one that is null would be bound as NULL.
  sqlite3_bind_blob64(statement, parameter, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_STATIC);
}

class SqliteStore final : public peers::PeerStore {
 public:
  SqliteStore(std::string_view name, std::shared_ptr<Segment> segment, const Connection& connection)
      : PeerStore(name, std::move(segment)), connection_(connection) {
    Latest()->connections.push_back(connection);
  }
  ~SqliteStore() override {
    if (!guard().mine()) return;
    std::erase_if(Latest()->connections, [this](const Connection& other) {
      return other.database == connection_.database;
    });
    connection_.Close();
  }

  size_t max_key_bytes() const override { return 1 << 10; }
  size_t max_value_bytes() const override {
    return std::min<uint64_t>(peers::AnchorOf(segment()).size_bytes, kMostValueBytes);
  }

 private:
  // Runs the statement; `row` is called for each row of its answer. Its transaction ends with it.
  template <typename Row>
  absl::Status Run(sqlite3_stmt* statement, const char* call, Row row) {
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW; code = sqlite3_step(statement)) row();
    const absl::Status status =
        code == SQLITE_DONE ? absl::OkStatus() : Error(connection_.database, call);
    sqlite3_reset(statement);
    return status;
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    Bind(connection_.put, 1, key);
    Bind(connection_.put, 2, value);
    if (absl::Status status = Run(connection_.put, "INSERT", [] {}); !status.ok()) return status;
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    Bind(connection_.get, 1, key);
    bool found = false;
    const absl::Status status = Run(connection_.get, "SELECT", [&] {
      found = true;
      if (value != nullptr) value->assign(Column(connection_.get, 0));
    });
    if (!status.ok()) return status;
    if (!found) return absl::NotFoundError("");
    return kAbsent;
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    Bind(connection_.erase, 1, key);
    if (absl::Status status = Run(connection_.erase, "DELETE", [] {}); !status.ok()) return status;
    return sqlite3_changes(connection_.database) > 0;
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    // Copied first: a visitor that writes while the statement is open would write upon the snapshot
    // that this one reads, which SQLite refuses once somebody else has written.
    std::vector<std::pair<std::string, std::string>> entries;
    const absl::Status status = Run(connection_.all, "SELECT", [&] {
      entries.emplace_back(Column(connection_.all, 0), Column(connection_.all, 1));
    });
    for (const auto& [key, value] : entries) {
      if (!visit({key, value, kAbsent})) break;
    }
    return status;
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    // It gives way to a writer, to a reader of old pages and to another checkpoint.
    const int code = sqlite3_wal_checkpoint_v2(connection_.database, nullptr,
                                               SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
      return Error(connection_.database, "sqlite3_wal_checkpoint_v2");
    }
    return RecoveryReport{};
  }

  Connection connection_;
};

class SqliteVariant final : public peers::PeerVariant {
 public:
  SqliteVariant(std::string_view name, std::string_view summary, Checkpoint checkpoint)
      : name_(name), summary_(summary), checkpoint_(checkpoint) {}

  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return summary_; }
  const Traits& traits() const override {
    static const Traits traits = peers::AnchoredTraits(
        "whoever next reads or writes and finds the log's index in pieces; nothing has to be "
        "called, and Recover() is a checkpoint",
        "the length of the log");
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, name_, [this](const peers::Anchor& anchor) -> absl::Status {
      absl::StatusOr<Connection> connection = OpenConnection(anchor, checkpoint_, true);
      if (!connection.ok()) return connection.status();
      connection->Close();
      return absl::OkStatus();
    });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<Connection> connection =
        OpenConnection(peers::AnchorOf(*segment), checkpoint_, false);
    if (!connection.ok()) return connection.status();
    return std::make_unique<SqliteStore>(name_, std::move(segment), *connection);
  }

 private:
  std::string_view name_;
  std::string_view summary_;
  Checkpoint checkpoint_;
};

}  // namespace

const Variant& SqliteWal();
const Variant& SqliteWal() {
  static const SqliteVariant variant(
      "sqlite_wal",
      "SQLite in WAL mode: a B-tree in a file, a log of commits, its index in shared memory",
      Checkpoint::kAtAThousandPages);
  return variant;
}

const Variant& SqliteWalCheckpoint();
const Variant& SqliteWalCheckpoint() {
  static const SqliteVariant variant("sqlite_wal_checkpoint",
                                     "SQLite in WAL mode with a checkpoint after each commit",
                                     Checkpoint::kAfterEachCommit);
  return variant;
}

}  // namespace kill9
