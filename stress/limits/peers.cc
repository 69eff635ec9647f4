// Other libraries in shared memory, used as their manuals say, in a directory on /dev/shm that is
// removed at the end.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "stress/limits/subject.h"

#ifdef KILL9_HAVE_LMDB
#include <lmdb.h>
#endif
#ifdef KILL9_HAVE_TDB
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
extern "C" {
#include <tdb.h>
}
#endif

namespace kill9::limits {
namespace {

// A directory of this process; gone with its creator.
class Directory {
 public:
  Directory() {
    char name[] = "/dev/shm/kill9-benchmark-XXXXXX";
    if (mkdtemp(name) == nullptr) {
      std::perror(name);
      std::abort();
    }
    path_ = name;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

[[maybe_unused]] void Check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "benchmark: %s failed\n", what);
  std::abort();
}

#ifdef KILL9_HAVE_LMDB
// Writable map, no sync: its fastest mode.
class LmdbAccess final : public Access {
 public:
  LmdbAccess(const std::string& path, size_t map_bytes) {
    Check(mdb_env_create(&environment_) == 0, "mdb_env_create");
    Check(mdb_env_set_mapsize(environment_, map_bytes) == 0, "mdb_env_set_mapsize");
    Check(mdb_env_open(environment_, path.c_str(),
                       MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600) == 0,
          "mdb_env_open");
    MDB_txn* transaction = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction) == 0, "mdb_txn_begin");
    Check(mdb_dbi_open(transaction, nullptr, MDB_CREATE, &database_) == 0, "mdb_dbi_open");
    Check(mdb_txn_commit(transaction) == 0, "mdb_txn_commit");
    Check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reader_) == 0, "mdb_txn_begin");
    mdb_txn_reset(reader_);
  }
  ~LmdbAccess() override {
    mdb_txn_abort(reader_);
    mdb_env_close(environment_);
  }
  bool Get(std::string_view key, std::string* value) override {
    MDB_val name{key.size(), const_cast<char*>(key.data())};
    MDB_val data{};
    if (mdb_txn_renew(reader_) != 0) return false;
    const bool found = mdb_get(reader_, database_, &name, &data) == 0;
    if (found) value->assign(static_cast<const char*>(data.mv_data), data.mv_size);
    mdb_txn_reset(reader_);
    return found;
  }
  bool Put(std::string_view key, std::string_view value) override {
    MDB_val name{key.size(), const_cast<char*>(key.data())};
    MDB_val data{value.size(), const_cast<char*>(value.data())};
    MDB_txn* transaction = nullptr;
    if (mdb_txn_begin(environment_, nullptr, 0, &transaction) != 0) return false;
    if (mdb_put(transaction, database_, &name, &data, 0) != 0) {
      mdb_txn_abort(transaction);
      return false;
    }
    return mdb_txn_commit(transaction) == 0;
  }

 private:
  MDB_env* environment_ = nullptr;
  MDB_txn* reader_ = nullptr;
  MDB_dbi database_ = 0;
};

class Lmdb final : public Subject {
 public:
  explicit Lmdb(const Load& load)
      : map_bytes_((64u << 20) + load.entries * (load.value_bytes + 256) * 4) {}
  std::unique_ptr<Access> Open() override {
    return std::make_unique<LmdbAccess>(directory_.path(), map_bytes_);
  }

 private:
  Directory directory_;
  size_t map_bytes_;
};
#endif

#ifdef KILL9_HAVE_TDB
TDB_CONTEXT* OpenTdb(const std::string& path, uint64_t entries) {
  TDB_CONTEXT* tdb =
      tdb_open(path.c_str(), static_cast<int>(entries),
               TDB_MUTEX_LOCKING | TDB_CLEAR_IF_FIRST | TDB_INCOMPATIBLE_HASH | TDB_NOSYNC,
               O_RDWR | O_CREAT, 0600);
  Check(tdb != nullptr, "tdb_open");
  return tdb;
}

class TdbAccess final : public Access {
 public:
  TdbAccess(const std::string& path, uint64_t entries) : tdb_(OpenTdb(path, entries)) {}
  ~TdbAccess() override { tdb_close(tdb_); }
  bool Get(std::string_view key, std::string* value) override {
    return tdb_parse_record(
               tdb_, Data(key),
               [](TDB_DATA, TDB_DATA data, void* out) {
                 static_cast<std::string*>(out)->assign(reinterpret_cast<const char*>(data.dptr),
                                                        data.dsize);
                 return 0;
               },
               value) == 0;
  }
  bool Put(std::string_view key, std::string_view value) override {
    return tdb_store(tdb_, Data(key), Data(value), TDB_REPLACE) == 0;
  }

 private:
  static TDB_DATA Data(std::string_view text) {
    return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), text.size()};
  }
  TDB_CONTEXT* tdb_;
};

class Tdb final : public Subject {
 public:
  // The file stays open here: TDB_CLEAR_IF_FIRST, which the mutex mode demands, empties a file that
  // nobody has open. tdb refuses a second handle in one process, so a fork keeps it.
  explicit Tdb(const Load& load) : entries_(load.entries) {
    int ready[2];
    Check(pipe(ready) == 0, "pipe");
    keeper_ = fork();
    Check(keeper_ >= 0, "fork");
    if (keeper_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      OpenTdb(Path(), entries_);
      Check(write(ready[1], "r", 1) == 1, "write");
      while (true) pause();
    }
    char byte = 0;
    Check(read(ready[0], &byte, 1) == 1, "the keeper of the tdb file");
    close(ready[0]);
    close(ready[1]);
  }
  ~Tdb() override {
    kill(keeper_, SIGKILL);
    waitpid(keeper_, nullptr, 0);
  }
  std::unique_ptr<Access> Open() override { return std::make_unique<TdbAccess>(Path(), entries_); }

 private:
  std::string Path() const { return directory_.path() + "/tdb"; }
  Directory directory_;
  uint64_t entries_;
  pid_t keeper_ = -1;
};
#endif

}  // namespace

std::vector<SubjectKind> Peers() {
  std::vector<SubjectKind> peers;
#ifdef KILL9_HAVE_LMDB
  peers.push_back({"lmdb", SubjectKind::Role::kPeer,
                   [](const Load& load) { return std::make_unique<Lmdb>(load); }});
#endif
#ifdef KILL9_HAVE_TDB
  peers.push_back({"tdb", SubjectKind::Role::kPeer,
                   [](const Load& load) { return std::make_unique<Tdb>(load); }});
#endif
  return peers;
}

}  // namespace kill9::limits
