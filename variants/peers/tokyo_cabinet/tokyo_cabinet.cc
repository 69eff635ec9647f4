// Tokyo Cabinet's hash database: buckets of records in one file, which is mapped.
//
// As its manual says for several processes: one writer, or readers, have the file open at a time,
// and the others wait. So each operation opens the file, works, and closes it.
//
// Two ways of use. `tokyo_cabinet` writes within a transaction: a log of the bytes as they were,
// beside the file, from which whoever opens it next restores them if the writer is gone; that is
// what its manual says for a process that may crash. `tokyo_cabinet_plain` writes without one:
// "if a writer opens a database but does not close it appropriately, the database will be broken".
// Transactions are not synchronised with the disk (HDBOTSYNC): a death is no power loss.
#include <tchdb.h>
#include <tcutil.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

enum class Writes : uint8_t { kInTransactions, kPlain };

absl::Status ErrorOf(TCHDB* database, const char* call) {
  return absl::DataLossError(absl::StrCat(call, ": ", tchdberrmsg(tchdbecode(database))));
}

// The file, open for one operation.
class OpenHash {
 public:
  OpenHash(const peers::Anchor& anchor, int mode) : database_(tchdbnew()) {
    const std::string path = absl::StrCat(anchor.directory, "/hash");
    tchdbtune(database_, static_cast<int64_t>(2 * anchor.expected_entries + 1), -1, -1, HDBTLARGE);
    is_open_ = tchdbopen(database_, path.c_str(), mode);
  }
  ~OpenHash() { tchdbdel(database_); }  // closes it, too
  OpenHash(const OpenHash&) = delete;
  OpenHash& operator=(const OpenHash&) = delete;

  TCHDB* database() const { return database_; }
  bool is_open() const { return is_open_; }
  absl::Status Close() {
    if (tchdbclose(database_)) return absl::OkStatus();
    return ErrorOf(database_, "tchdbclose");
  }

 private:
  TCHDB* database_;
  bool is_open_;
};

class TokyoCabinetStore final : public peers::FileStore {
 public:
  TokyoCabinetStore(std::string_view name, std::shared_ptr<Segment> segment, Writes writes)
      : FileStore(name, std::move(segment)), writes_(writes) {}

 private:
  // Runs `work`, which returns whether the library did, as a writer.
  template <typename Work>
  absl::Status Write(const char* call, Work work) {
    OpenHash open(peers::AnchorOf(segment()), HDBOWRITER);
    TCHDB* const database = open.database();
    if (!open.is_open()) return ErrorOf(database, "tchdbopen");
    if (writes_ == Writes::kInTransactions && !tchdbtranbegin(database)) {
      return ErrorOf(database, "tchdbtranbegin");
    }
    const bool done = work(database);
    const int error = tchdbecode(database);
    if (writes_ == Writes::kInTransactions &&
        !(done ? tchdbtrancommit(database) : tchdbtranabort(database))) {
      return ErrorOf(database, done ? "tchdbtrancommit" : "tchdbtranabort");
    }
    if (!done && error != TCENOREC) {
      return absl::DataLossError(absl::StrCat(call, ": ", tchdberrmsg(error)));
    }
    if (absl::Status status = open.Close(); !status.ok()) return status;
    return done ? absl::OkStatus() : absl::NotFoundError("");
  }

  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    const absl::Status status = Write("tchdbput", [&](TCHDB* database) {
      return tchdbput(database, key.data(), static_cast<int>(key.size()), value.data(),
                      static_cast<int>(value.size()));
    });
    if (!status.ok()) return status;
    return kAbsent;
  }
  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    OpenHash open(peers::AnchorOf(segment()), HDBOREADER);
    if (!open.is_open()) return ErrorOf(open.database(), "tchdbopen");
    int bytes = 0;
    void* const found = tchdbget(open.database(), key.data(), static_cast<int>(key.size()), &bytes);
    if (found == nullptr) {
      if (tchdbecode(open.database()) == TCENOREC) return absl::NotFoundError("");
      return ErrorOf(open.database(), "tchdbget");
    }
    if (value != nullptr) value->assign(static_cast<const char*>(found), bytes);
    free(found);
    return kAbsent;
  }
  absl::Status Remove(std::string_view key) override {
    return Write("tchdbout", [&](TCHDB* database) {
      return tchdbout(database, key.data(), static_cast<int>(key.size()));
    });
  }
  absl::Status CopyAll(Entries* entries) override {
    OpenHash open(peers::AnchorOf(segment()), HDBOREADER);
    TCHDB* const database = open.database();
    if (!open.is_open()) return ErrorOf(database, "tchdbopen");
    if (!tchdbiterinit(database)) return ErrorOf(database, "tchdbiterinit");
    TCXSTR* const key = tcxstrnew();
    TCXSTR* const value = tcxstrnew();
    const absl::Cleanup free_texts = [key, value] {
      tcxstrdel(key);
      tcxstrdel(value);
    };
    const auto text = [](const TCXSTR* from) {
      return std::string(static_cast<const char*>(tcxstrptr(from)), tcxstrsize(from));
    };
    while (tchdbiternext3(database, key, value)) entries->emplace_back(text(key), text(value));
    if (tchdbecode(database) != TCENOREC) return ErrorOf(database, "tchdbiternext3");
    return absl::OkStatus();
  }
  absl::StatusOr<RecoveryReport> DoRecover() override {
    OpenHash open(peers::AnchorOf(segment()), HDBOWRITER);
    if (!open.is_open()) return ErrorOf(open.database(), "tchdbopen");
    if (absl::Status status = open.Close(); !status.ok()) return status;
    return RecoveryReport{};
  }

  Writes writes_;
};

class TokyoCabinetVariant final : public peers::PeerVariant {
 public:
  TokyoCabinetVariant(std::string_view name, std::string_view summary, Writes writes)
      : name_(name), summary_(summary), writes_(writes) {}

  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return summary_; }
  const Traits& traits() const override {
    static const Traits traits = peers::AnchoredTraits(
        "whoever opens the file next, with each operation; Recover() does that", "the log's size");
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, name_, [](const peers::Anchor& anchor) -> absl::Status {
      OpenHash made(anchor, HDBOWRITER | HDBOCREAT);
      return made.is_open() ? made.Close() : ErrorOf(made.database(), "tchdbopen");
    });
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    return std::make_unique<TokyoCabinetStore>(name_, std::move(segment), writes_);
  }

 private:
  std::string_view name_;
  std::string_view summary_;
  Writes writes_;
};

}  // namespace

const Variant& TokyoCabinet();
const Variant& TokyoCabinet() {
  static const TokyoCabinetVariant variant(
      "tokyo_cabinet", "Tokyo Cabinet's hash database: a mapped file, each write a transaction",
      Writes::kInTransactions);
  return variant;
}

const Variant& TokyoCabinetPlain();
const Variant& TokyoCabinetPlain() {
  static const TokyoCabinetVariant variant(
      "tokyo_cabinet_plain", "Tokyo Cabinet's hash database: a mapped file, without transactions",
      Writes::kPlain);
  return variant;
}

}  // namespace kill9
