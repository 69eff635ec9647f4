// GNU dbm: a directory of hash buckets in one file.
//
// As its manual says for several processes: one writer, or readers, have the file open at a time;
// who is refused tries again. So each operation opens the file, works, and closes it, as programs
// do that share one. Without GDBM_SYNC, since a process's death is no power loss. What its manual
// calls crash tolerance (gdbm_failure_atomic) needs a file system that shares blocks between files
// (XFS, Btrfs); elsewhere the documented way is gdbm_recover, which looks for inconsistencies
// first. Recover() calls it, and so does whoever is told GDBM_NEED_RECOVERY.
#include <gdbm.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

constexpr std::string_view kGdbmName = "gdbm";
constexpr useconds_t kLeastPauseUs = 50;
constexpr useconds_t kMostPauseUs = 1000;

datum DatumOf(std::string_view text) {
  return {const_cast<char*>(text.data()), static_cast<int>(text.size())};
}
std::string_view TextOf(const datum& data) { return {data.dptr, static_cast<size_t>(data.dsize)}; }

// The file, open for one operation.
class OpenGdbm {
 public:
  // `mode`: GDBM_READER, GDBM_WRITER or GDBM_NEWDB. It waits for others as long as it takes.
  OpenGdbm(const peers::Anchor& anchor, int mode) {
    const std::string path = absl::StrCat(anchor.directory, "/gdbm");
    for (int times = 0;; ++times) {
      file_ = gdbm_open(path.c_str(), 0, mode | GDBM_CLOEXEC, 0600, nullptr);
      if (file_ != nullptr) return;
      if (gdbm_errno != GDBM_CANT_BE_READER && gdbm_errno != GDBM_CANT_BE_WRITER) return;
      usleep(std::min(kLeastPauseUs << std::min(times, 10), kMostPauseUs));
    }
  }
  ~OpenGdbm() {
    if (file_ != nullptr) gdbm_close(file_);
  }
  OpenGdbm(const OpenGdbm&) = delete;
  OpenGdbm& operator=(const OpenGdbm&) = delete;

  GDBM_FILE file() const { return file_; }
  // What was written is there when the file is closed.
  absl::Status Close() {
    if (gdbm_close(std::exchange(file_, nullptr)) == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("gdbm_close: ", gdbm_strerror(gdbm_errno)));
  }

 private:
  GDBM_FILE file_ = nullptr;
};

class GdbmStore final : public peers::FileStore {
 public:
  explicit GdbmStore(std::shared_ptr<Segment> segment) : FileStore(kGdbmName, std::move(segment)) {}

 private:
  // Runs `work`, which returns what gdbm does, on the open file; recovers it once if it must be.
  template <typename Work>
  absl::Status With(int mode, const char* call, Work work) {
    for (bool again = false;; again = true) {
      OpenGdbm open(peers::AnchorOf(segment()), mode);
      if (open.file() == nullptr) return Failed("gdbm_open", gdbm_strerror(gdbm_errno));
      if (work(open.file())) return open.Close();
      const gdbm_error error = gdbm_last_errno(open.file());
      if (error == GDBM_ITEM_NOT_FOUND) return absl::NotFoundError("");
      if (again || !gdbm_needs_recovery(open.file())) return Failed(call, gdbm_strerror(error));
      if (absl::Status status = open.Close(); !status.ok()) return status;
      if (absl::StatusOr<RecoveryReport> done = DoRecover(); !done.ok()) return done.status();
    }
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    const absl::Status status = With(GDBM_WRITER, "gdbm_store", [&](GDBM_FILE file) {
      return gdbm_store(file, DatumOf(key), DatumOf(value), GDBM_REPLACE) == 0;
    });
    if (!status.ok()) return status;
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    const absl::Status status = With(GDBM_READER, "gdbm_fetch", [&](GDBM_FILE file) {
      const datum found = gdbm_fetch(file, DatumOf(key));
      if (found.dptr == nullptr) return false;
      if (value != nullptr) value->assign(TextOf(found));
      free(found.dptr);
      return true;
    });
    if (!status.ok()) return status;
    return kAbsent;
  }
  absl::Status Remove(std::string_view key) override {
    return With(GDBM_WRITER, "gdbm_delete",
                [&](GDBM_FILE file) { return gdbm_delete(file, DatumOf(key)) == 0; });
  }
  absl::Status CopyAll(Entries* entries) override {
    return With(GDBM_READER, "gdbm_nextkey", [&](GDBM_FILE file) {
      entries->clear();
      for (datum key = gdbm_firstkey(file); key.dptr != nullptr;) {
        const datum value = gdbm_fetch(file, key);
        if (value.dptr == nullptr) {
          free(key.dptr);
          return false;
        }
        entries->emplace_back(TextOf(key), TextOf(value));
        const datum next = gdbm_nextkey(file, key);
        free(value.dptr);
        free(key.dptr);
        key = next;
      }
      return gdbm_last_errno(file) == GDBM_ITEM_NOT_FOUND;
    });
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    OpenGdbm open(peers::AnchorOf(segment()), GDBM_WRITER);
    if (open.file() == nullptr) return Failed("gdbm_open", gdbm_strerror(gdbm_errno));
    if (gdbm_recover(open.file(), nullptr, GDBM_RCVR_DEFAULT) != 0) {
      return Failed("gdbm_recover", gdbm_db_strerror(open.file()));
    }
    if (absl::Status status = open.Close(); !status.ok()) return status;
    return RecoveryReport{};
  }
};

class GdbmVariant final : public peers::PeerVariant {
 public:
  std::string_view name() const override { return kGdbmName; }
  std::string_view summary() const override {
    return "GNU dbm: hash buckets in a file that one writer, or readers, have open at a time";
  }
  const Traits& traits() const override {
    static const Traits traits = peers::AnchoredTraits(
        "Recover() (gdbm_recover), and whoever is told that it is needed", "the file's size");
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, kGdbmName, [](const peers::Anchor& anchor) -> absl::Status {
      OpenGdbm made(anchor, GDBM_NEWDB);
      if (made.file() != nullptr) return made.Close();
      return absl::DataLossError(absl::StrCat("gdbm_open: ", gdbm_strerror(gdbm_errno)));
    });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return std::make_unique<GdbmStore>(std::move(segment));
  }
};

}  // namespace

const Variant& Gdbm();
const Variant& Gdbm() {
  static const GdbmVariant variant;
  return variant;
}

}  // namespace kill9
