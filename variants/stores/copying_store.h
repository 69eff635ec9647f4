// A store that only copies values in and out: what it answers to the operations that it does not
// have. Baselines and peers are of this kind; what they lack their traits declare, and nobody
// fakes.
#ifndef KILL9_VARIANTS_STORES_COPYING_STORE_H_
#define KILL9_VARIANTS_STORES_COPYING_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "variants/segment.h"
#include "variants/store.h"

namespace kill9 {

class CopyingStore : public Store {
 protected:
  // REQUIRES: `name` outlives the store.
  CopyingStore(std::string_view name, std::shared_ptr<Segment> segment)
      : Store(ForkGuard()), name_(name), segment_(std::move(segment)) {}

  const Segment& segment() const { return *segment_; }

  absl::Status Lacks(std::string_view operation) const {
    return absl::UnimplementedError(
        absl::StrCat(std::string(name_), " does not have ", std::string(operation)));
  }

 private:
  absl::StatusOr<PinnedValue> DoPin(std::string_view) override { return Lacks("Pin"); }
  absl::StatusOr<Draft> DoReserve(std::string_view, size_t) override { return Lacks("Reserve"); }
  absl::StatusOr<Version> DoCommit(uint64_t) override { return Lacks("Commit"); }
  absl::StatusOr<RecoveryReport> DoRecover() override { return RecoveryReport{}; }
  absl::StatusOr<AuditReport> DoAudit() override { return Lacks("Audit"); }
  void DoReleasePin(uint64_t) override {}
  void DoDropDraft(uint64_t) override {}

  std::string_view name_;
  std::shared_ptr<Segment> segment_;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_STORES_COPYING_STORE_H_
