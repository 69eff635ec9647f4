// kill9-memcached with a planted bug: each worker answers a key that it has just read from a copy
// of its own.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "apps/memcached/server/master.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

// A participant beside the inner store's: each keeps terms of its own with what is stored.
class HotCopies final : public Store {
 public:
  HotCopies(std::shared_ptr<Segment> segment, Participant participant, std::unique_ptr<Store> inner)
      : Store(std::move(segment), participant),
        participant_(std::move(participant)),
        inner_(std::move(inner)) {}
  size_t max_key_bytes() const override { return inner_->max_key_bytes(); }
  size_t max_value_bytes() const override { return inner_->max_value_bytes(); }

 private:
  static constexpr int kAnswersOfACopy = 3;

  absl::StatusOr<Version> DoGet(std::string_view key, std::string* value) override {
    if (value != nullptr && key == key_ && answers_++ < kAnswersOfACopy) {
      *value = value_;
      return version_;
    }
    absl::StatusOr<Version> version = inner_->Get(key, value);
    if (version.ok() && value != nullptr) {
      key_ = key;
      value_ = *value;
      version_ = *version;
      answers_ = 0;
    }
    return version;
  }
  absl::StatusOr<Version> DoPut(std::string_view key, std::string_view value) override {
    return inner_->Put(key, value);
  }
  absl::StatusOr<bool> DoErase(std::string_view key) override { return inner_->Erase(key); }
  absl::StatusOr<bool> DoEraseVersion(std::string_view key, Version version) override {
    const absl::StatusOr<Modified> modified = inner_->Modify(key, [&](const EntryView* entry) {
      const bool is_it = entry != nullptr && entry->version == version;
      return is_it ? Change::Erase() : Change::Keep();
    });
    if (!modified.ok()) return modified.status();
    return modified->changed;
  }
  absl::StatusOr<CasResult> DoCompareAndSwap(std::string_view key, Version expected,
                                             std::string_view value) override {
    if (key == key_) key_.clear();  // its own changes it knows
    return inner_->CompareAndSwap(key, expected, value);
  }
  absl::StatusOr<PinnedValue> DoPin(std::string_view) override {
    return absl::UnimplementedError("no pins");
  }
  absl::StatusOr<Draft> DoReserve(std::string_view key, size_t size) override {
    absl::StatusOr<Draft> draft = inner_->Reserve(key, size);
    if (!draft.ok()) return draft.status();
    draft_ = *std::move(draft);
    return Draft(this, 1, draft_.bytes());
  }
  absl::StatusOr<Version> DoCommit(uint64_t) override { return inner_->Commit(std::move(draft_)); }
  absl::Status DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) override {
    return inner_->ForEach(visit);
  }
  absl::StatusOr<RecoveryReport> DoRecover() override { return inner_->Recover(); }
  absl::StatusOr<AuditReport> DoAudit() override { return inner_->Audit(); }
  void DoReleasePin(uint64_t) override {}
  void DoDropDraft(uint64_t) override { draft_.Drop(); }

  Participant participant_;
  std::unique_ptr<Store> inner_;
  Draft draft_;
  std::string key_, value_;
  Version version_ = kAbsent;
  int answers_ = 0;
};

class HotCopiesDesign final : public Variant {
 public:
  std::string_view name() const override { return "hot_copies"; }
  std::string_view summary() const override { return "seqlock_ring, and a stale copy"; }
  std::string_view model() const override { return "cache"; }
  const Traits& traits() const override { return Inner().traits(); }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Inner().Create(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Inner().Open(location);
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Inner().FromFd(fd);
  }
  absl::StatusOr<std::unique_ptr<Store>> Attach(std::shared_ptr<Segment> segment) const override {
    absl::StatusOr<std::unique_ptr<Store>> store = Inner().Attach(segment);
    if (!store.ok()) return store.status();
    absl::StatusOr<Participant> participant = segment->participants().Claim();
    if (!participant.ok()) return participant.status();
    return std::make_unique<HotCopies>(std::move(segment), *std::move(participant),
                                       *std::move(store));
  }

 private:
  static const Variant& Inner() { return *FindStoreDesign("seqlock_ring"); }
};

}  // namespace
}  // namespace kill9

int main(int argc, char** argv) {
  static const kill9::HotCopiesDesign design;
  const kill9::Design* const designs[] = {&design};
  const absl::Status added = kill9::AddDesigns(designs);
  const auto options = kill9::memcached::ParseOptions(argc, argv);
  if (!added.ok() || !options.ok()) return 2;
  return kill9::memcached::RunServer(*options, &kill9::FindVariant);
}
