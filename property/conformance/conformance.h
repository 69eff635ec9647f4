// What every conformance test needs: a fixture over one registered variant, that makes segments and
// participants of it, and says what its traits allow a test to expect.
//
// A variant joins the suite by its line in the registry alone (conformance_operations_test.cc
// proves it). A lossy one may forget a key at any time, so for it absence is accepted wherever it
// is possible, and nothing else is.
#ifndef KILL9_PROPERTY_CONFORMANCE_CONFORMANCE_H_
#define KILL9_PROPERTY_CONFORMANCE_CONFORMANCE_H_

#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "property/scaffold/places.h"
#include "property/scaffold/values.h"
#include "variants/registry.h"

namespace kill9 {

inline std::string VariantTestName(const ::testing::TestParamInfo<const Variant*>& info) {
  return std::string(info.param->name());
}

class Conformance : public ::testing::TestWithParam<const Variant*> {
 protected:
  static constexpr uint64_t kMiB = 1 << 20;

  const Variant& variant() const { return *GetParam(); }
  const Traits& traits() const { return variant().traits(); }
  bool lossless() const { return traits().lossless; }

  std::shared_ptr<Segment> Create(const SegmentOptions& options) {
    absl::StatusOr<std::shared_ptr<Segment>> segment = variant().Create(options);
    if (!segment.ok()) {
      ADD_FAILURE() << variant().name() << ": " << segment.status();
      std::abort();
    }
    // What really runs, as the segment says it.
    std::string design((*segment)->header().design);
    RecordProperty("design", design);
    if (variant().role() == Design::Role::kDesign) {
      EXPECT_EQ(design, variant().name());
    }
    return *std::move(segment);
  }
  // The segment of most tests, and its first participant.
  void Make(uint64_t size_bytes = 8 * kMiB, uint32_t max_participants = 16) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = max_participants;
    options.hash_seed = TestSeed();
    segment_ = Create(options);
    store_ = Attach();
  }
  std::unique_ptr<Store> Attach() { return AttachTo(segment_); }
  std::unique_ptr<Store> AttachTo(const std::shared_ptr<Segment>& segment) {
    absl::StatusOr<std::unique_ptr<Store>> store = variant().Attach(segment);
    if (!store.ok()) {
      ADD_FAILURE() << variant().name() << ": " << store.status();
      std::abort();
    }
    return *std::move(store);
  }

  Version Put(std::string_view key, std::string_view value) { return Put(*store_, key, value); }
  static Version Put(Store& store, std::string_view key, std::string_view value) {
    absl::StatusOr<Version> version = store.Put(key, value);
    EXPECT_TRUE(version.ok()) << version.status();
    EXPECT_NE(version.value_or(kAbsent), kAbsent);
    return version.value_or(kAbsent);
  }

  // The key has this value (a lossy store may have forgotten it) and version, if one is given.
  void ExpectValue(Store& store, std::string_view key, std::string_view value,
                   Version version = kAbsent) {
    std::string found = "left over from before";
    absl::StatusOr<Version> got = store.Get(key, &found);
    if (!lossless() && absl::IsNotFound(got.status())) return;
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_TRUE(found == value) << "the value of '" << std::string(key.substr(0, 40)) << "' has "
                                << found.size() << " bytes and differs from the " << value.size()
                                << " that were put";
    if (version != kAbsent) {
      EXPECT_EQ(*got, version);
    }
  }
  void ExpectValue(std::string_view key, std::string_view value, Version version = kAbsent) {
    ExpectValue(*store_, key, value, version);
  }
  static void ExpectAbsent(Store& store, std::string_view key) {
    std::string found;
    absl::StatusOr<Version> got = store.Get(key, &found);
    EXPECT_EQ(got.status().code(), absl::StatusCode::kNotFound) << got.status();
  }
  void ExpectAbsent(std::string_view key) { ExpectAbsent(*store_, key); }

  // The account of a quiet segment, checked for everything that must always hold.
  AuditReport ExpectSoundAccount(Store& store) {
    absl::StatusOr<AuditReport> audit = store.Audit();
    if (!audit.ok()) {
      if (traits().has_audit || audit.status().code() != absl::StatusCode::kUnimplemented) {
        ADD_FAILURE() << audit.status();
      }
      return {};
    }
    EXPECT_TRUE(audit->clean()) << Show(*audit);
    EXPECT_EQ(audit->free.blocks + audit->live.blocks + audit->held.blocks, audit->capacity.blocks)
        << Show(*audit);
    EXPECT_EQ(audit->free.bytes + audit->live.bytes + audit->held.bytes, audit->capacity.bytes)
        << Show(*audit);
    return *audit;
  }
  AuditReport ExpectSoundAccount() { return ExpectSoundAccount(*store_); }
  // Nothing but what keys reach is taken, and there are `entries` of them.
  void ExpectNothingHeld(Store& store) {
    AuditReport audit = ExpectSoundAccount(store);
    EXPECT_EQ(audit.held.blocks, 0u) << Show(audit);
    EXPECT_EQ(audit.held.bytes, 0u) << Show(audit);
  }
  void ExpectNothingHeld() { ExpectNothingHeld(*store_); }
  static void ExpectSameRoom(const AuditReport& now, const AuditReport& before) {
    EXPECT_EQ(now.free.bytes, before.free.bytes) << Show(now) << " against " << Show(before);
    EXPECT_EQ(now.live.bytes, before.live.bytes) << Show(now) << " against " << Show(before);
    EXPECT_EQ(now.held.bytes, before.held.bytes) << Show(now) << " against " << Show(before);
    EXPECT_EQ(now.entries, before.entries);
  }
  static std::string Show(const AuditReport& audit) {
    auto account = [](const char* name, const AuditReport::Account& it) {
      return absl::StrCat(" ", name, " ", it.blocks, " (", it.bytes, " bytes)");
    };
    std::string text =
        absl::StrCat("audit:", account("capacity", audit.capacity), account("free", audit.free),
                     account("live", audit.live), account("held", audit.held),
                     account("leaked", audit.leaked), " doubly_owned ", audit.doubly_owned,
                     " entries ", audit.entries, " participants ", audit.participants);
    for (const std::string& violation : audit.violations) absl::StrAppend(&text, "; ", violation);
    return text;
  }
  RecoveryReport Recover(Store& store) {
    absl::StatusOr<RecoveryReport> report = store.Recover();
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(RecoveryReport{});
  }
  RecoveryReport Recover() { return Recover(*store_); }

  struct Seen {
    std::string value;
    Version version;
  };
  // All that ForEach shows; a key shown twice is a failure.
  static std::map<std::string, Seen> Contents(Store& store) {
    std::map<std::string, Seen> contents;
    absl::Status status = store.ForEach([&](const EntryView& entry) {
      bool fresh =
          contents.emplace(std::string(entry.key), Seen{std::string(entry.value), entry.version})
              .second;
      EXPECT_TRUE(fresh) << "seen twice: " << std::string(entry.key);
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return contents;
  }
  void EraseAll(Store& store) {
    for (const auto& [key, seen] : Contents(store)) {
      absl::StatusOr<bool> erased = store.Erase(key);
      EXPECT_TRUE(erased.ok()) << erased.status();
      if (lossless()) {
        EXPECT_TRUE(erased.value_or(false));
      }
    }
  }
  // Puts values of `size` bytes under fresh keys until the store is full; returns how many went in.
  // A lossy store is never full: it stops at `most`.
  uint64_t Fill(Store& store, size_t size, uint64_t most = 1'000'000) {
    const std::string value = Bytes(size, size);
    for (uint64_t count = 0; count < most; ++count) {
      absl::StatusOr<Version> put = store.Put(absl::StrCat("fill-", count), value);
      if (put.ok()) continue;
      EXPECT_EQ(put.status().code(), absl::StatusCode::kResourceExhausted) << put.status();
      return count;
    }
    return most;
  }
  // Designs that are known to be unsafe when a process dies are not asked to survive it here.
  bool SurvivesDeaths() const { return variant().expected_verdict() == "pass"; }

  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Store> store_;
};

// Who keeps the whole contract. Peers have one of their own, and tests of what they say that they
// have (peers_test.cc); baselines keep it as long as one process is alone
// (conformance_operations_test.cc).
inline std::vector<const Variant*> ConformingVariants() {
  std::vector<const Variant*> conforming;
  for (const Variant* variant : AllVariants()) {
    if (variant->role() == Design::Role::kDesign) conforming.push_back(variant);
  }
  return conforming;
}

#define REQUIRE_TRAIT(condition) \
  if (!(condition)) GTEST_SKIP() << variant().name() << " does not have: " << #condition

#define INSTANTIATE_FOR_ALL_VARIANTS(suite)                                               \
  INSTANTIATE_TEST_SUITE_P(AllVariants, suite, ::testing::ValuesIn(ConformingVariants()), \
                           VariantTestName)

}  // namespace kill9

#endif  // KILL9_PROPERTY_CONFORMANCE_CONFORMANCE_H_
