// Stores join what every object must do (object_conformance.h).
#include "property/conformance/object_conformance.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

constexpr uint64_t kObjectKeys = 256;

std::string ObjectKey(uint64_t n) { return absl::StrCat("key-", n % kObjectKeys); }
std::string ChangeOf(uint64_t n) { return absl::StrCat("change ", n); }

absl::Status Change(SharedObject& object, uint64_t n) {
  return static_cast<Store&>(object).Put(ObjectKey(n), ChangeOf(n)).status();
}

absl::Status Find(SharedObject& object, bool lossless, uint64_t first, uint64_t end) {
  Store& store = static_cast<Store&>(object);
  for (uint64_t key = 0; key < kObjectKeys; ++key) {
    // What may be there: the last sure change of the key, and those that are in doubt.
    std::vector<std::string> allowed;
    if (first > key)
      allowed.push_back(ChangeOf(key + (first - 1 - key) / kObjectKeys * kObjectKeys));
    for (uint64_t n = first; n < end; ++n) {
      if (n % kObjectKeys == key) allowed.push_back(ChangeOf(n));
    }
    std::string value;
    const absl::Status status = store.Get(ObjectKey(key), &value).status();
    if (absl::IsNotFound(status) && (!lossless || first <= key)) continue;
    if (!status.ok()) {
      return absl::DataLossError(absl::StrCat(ObjectKey(key), ": ", status.ToString()));
    }
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
      return absl::DataLossError(absl::StrCat(ObjectKey(key), " is '", value, "'"));
    }
  }
  return absl::OkStatus();
}

std::vector<absl::Status> CallEach(SharedObject& object) {
  Store& store = static_cast<Store&>(object);
  return {store.Put("key", "value").status(),
          store.Get("key", nullptr).status(),
          store.Erase("key").status(),
          store.CompareAndSwap("key", 1, "value").status(),
          store.Pin("key").status(),
          store.Reserve("key", 5).status(),
          store.ForEach([](const EntryView&) { return true; })};
}

const ObjectKind kStores = {Variant::kKind, Change, Find, CallEach};

INSTANTIATE_TEST_SUITE_P(Stores, ObjectConformance, ::testing::ValuesIn(CasesOf(kStores)),
                         ObjectTestName);

// The suite would see what it looks for.
TEST(ObjectConformancePremise, FindTellsALostAndAnUnaskedChange) {
  const Design& design = *FindDesign("global_mutex");
  SegmentOptions options;
  options.size_bytes = 1 << 20;
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  ASSERT_TRUE(segment.ok()) << segment.status();
  absl::StatusOr<std::unique_ptr<SharedObject>> object = design.AttachObject(*segment);
  ASSERT_TRUE(object.ok()) << object.status();
  for (uint64_t n = 0; n < kObjectKeys + 3; ++n) ASSERT_TRUE(Change(**object, n).ok());
  EXPECT_TRUE(Find(**object, true, kObjectKeys + 3, kObjectKeys + 3).ok());
  EXPECT_TRUE(Find(**object, true, kObjectKeys + 2, kObjectKeys + 3).ok());   // it may be there
  EXPECT_FALSE(Find(**object, true, kObjectKeys + 4, kObjectKeys + 4).ok());  // one is lost
  EXPECT_FALSE(Find(**object, true, kObjectKeys + 2, kObjectKeys + 2).ok());  // one is too many
  ASSERT_TRUE(static_cast<Store&>(**object).Erase(ObjectKey(5)).ok());
  EXPECT_FALSE(Find(**object, true, kObjectKeys + 3, kObjectKeys + 3).ok());
  EXPECT_TRUE(Find(**object, false, kObjectKeys + 3, kObjectKeys + 3).ok());
}

}  // namespace
}  // namespace kill9
