// Samba's tdb in its mutex mode: hash chains in a mapped file, a robust mutex for each chain.
//
// As Samba opens its volatile databases: TDB_MUTEX_LOCKING, which demands TDB_CLEAR_IF_FIRST:
// whoever opens a file that nobody has open empties it. So a *keeper*, a child of the creator, has
// the file open until the file has no name any more, or its creator dies. There is no recovery to
// call: a chain's mutex is taken over by its next locker.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

extern "C" {
#include <tdb.h>
}

#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

constexpr std::string_view kName = "tdb";
constexpr int kFlags = TDB_MUTEX_LOCKING | TDB_CLEAR_IF_FIRST | TDB_INCOMPATIBLE_HASH | TDB_NOSYNC;
constexpr uint64_t kLeastChains = 131;  // tdb's own default
constexpr uint64_t kMostChains = 1 << 20;
constexpr useconds_t kKeeperLooksEveryUs = 20'000;

std::string PathOf(const peers::Anchor& anchor) { return absl::StrCat(anchor.directory, "/tdb"); }

TDB_CONTEXT* OpenFile(const peers::Anchor& anchor) {
  const uint64_t chains = std::clamp(anchor.expected_entries, kLeastChains, kMostChains);
  return tdb_open(PathOf(anchor).c_str(), static_cast<int>(chains), kFlags, O_RDWR | O_CREAT, 0600);
}

// tdb refuses a second handle of one file in a process, and counts one inherited through fork: that
// one is closed first, as its manual asks.
struct Inherited {
  ForkGuard guard;
  TDB_CONTEXT* tdb = nullptr;
};
std::optional<Inherited>& Latest() {
  static std::optional<Inherited> latest;
  return latest;
}

[[noreturn]] void Keep(const peers::Anchor& anchor, int ready, pid_t creator) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != creator) _exit(1);
  setsid();  // Ctrl-C is the creator's
  const int news = dup2(ready, 3);
  close_range(4, ~0u, 0);
  const bool open = OpenFile(anchor) != nullptr;
  const char byte = open ? 'y' : 'n';
  if (write(news, &byte, 1) != 1 || !open) _exit(1);
  close(news);
  for (int fd = 0; fd < 3; ++fd) close(fd);
  while (access(PathOf(anchor).c_str(), F_OK) == 0) usleep(kKeeperLooksEveryUs);
  _exit(0);
}

absl::Status StartKeeper(const peers::Anchor& anchor) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ResourceExhaustedError("no pipe for tdb's keeper");
  const pid_t creator = getpid();
  const pid_t keeper = fork();
  if (keeper == 0) Keep(anchor, ends[1], creator);
  close(ends[1]);
  char byte = 'n';
  ssize_t got = -1;
  if (keeper > 0) {
    while ((got = read(ends[0], &byte, 1)) < 0 && errno == EINTR) {  // a timer's signal
    }
  }
  const bool told = got == 1;
  close(ends[0]);
  return told && byte == 'y' ? absl::OkStatus()
                             : absl::UnavailableError("tdb_open failed for the new file");
}

TDB_DATA Data(std::string_view text) {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), text.size()};
}
std::string_view View(const TDB_DATA& data) {
  return {reinterpret_cast<const char*>(data.dptr), data.dsize};
}

class TdbStore final : public peers::PeerStore {
 public:
  TdbStore(std::shared_ptr<Segment> segment, TDB_CONTEXT* tdb)
      : PeerStore(kName, std::move(segment)), tdb_(tdb) {
    Latest() = Inherited{guard(), tdb};
  }
  ~TdbStore() override {
    if (!guard().mine()) return;
    tdb_close(tdb_);
    Latest().reset();
  }

  size_t max_key_bytes() const override { return 1 << 10; }
  size_t max_value_bytes() const override {
    return std::min<uint64_t>(peers::AnchorOf(segment()).size_bytes, 1u << 30);
  }

 private:
  absl::Status LastError(const char* call) const { return Failed(call, tdb_errorstr(tdb_)); }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    if (tdb_store(tdb_, Data(key), Data(value), TDB_REPLACE) != 0) return LastError("tdb_store");
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    const auto parse = [](TDB_DATA, TDB_DATA data, void* out) {
      if (out != nullptr) static_cast<std::string*>(out)->assign(View(data));
      return 0;
    };
    if (tdb_parse_record(tdb_, Data(key), parse, value) == 0) return kAbsent;
    if (tdb_error(tdb_) == TDB_ERR_NOEXIST) return absl::NotFoundError("");
    return LastError("tdb_parse_record");
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override {
    if (tdb_delete(tdb_, Data(key)) == 0) return true;
    if (tdb_error(tdb_) == TDB_ERR_NOEXIST) return false;
    return LastError("tdb_delete");
  }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    const auto traverse = [](TDB_CONTEXT*, TDB_DATA key, TDB_DATA data, void* visitor) {
      auto& call = *static_cast<absl::FunctionRef<bool(const EntryView&)>*>(visitor);
      return call({View(key), View(data), kAbsent}) ? 0 : 1;
    };
    // A traversal alone may miss a record that is stored anew meanwhile: the lock makes it one
    // step.
    if (tdb_lockall_read(tdb_) != 0) return LastError("tdb_lockall_read");
    const int visited = tdb_traverse_read(tdb_, traverse, &visit);
    const absl::Status status = visited >= 0 ? absl::OkStatus() : LastError("tdb_traverse_read");
    tdb_unlockall_read(tdb_);
    return status;
  }

  TDB_CONTEXT* tdb_;
};

class TdbVariant final : public peers::PeerVariant {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "Samba's tdb in mutex mode: hash chains in a mapped file, a robust mutex for each chain";
  }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own = peers::AnchoredTraits(
          "the next locker of a chain takes over its robust mutex; what the dead "
          "left half done stays as it is",
          "nothing: nothing is repaired");
      own.has_recovery = false;
      // A chain's mutex; the allocator's is the whole store's.
      own.blocks = Traits::Reach::kStore;
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, kName, StartKeeper);
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    if (std::optional<Inherited>& latest = Latest(); latest && !latest->guard.mine()) {
      tdb_close(latest->tdb);
      latest.reset();
    }
    TDB_CONTEXT* tdb = OpenFile(peers::AnchorOf(*segment));
    if (tdb == nullptr) {
      return absl::UnavailableError(absl::StrCat("tdb_open: ", std::strerror(errno)));
    }
    return std::make_unique<TdbStore>(std::move(segment), tdb);
  }
};

}  // namespace

const Variant& Tdb();
const Variant& Tdb() {
  static const TdbVariant variant;
  return variant;
}

}  // namespace kill9
