// One store over several files: what becomes of entries when a file is damaged, lost or away.
#include "apps/cluster/cluster.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "variants/registry.h"

namespace kill9::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kEntries = 300;

class ClusterTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/cluster";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    for (const char* name : {"/a", "/b", "/c"}) files_.push_back(folder_ + name);
  }
  void TearDown() override {
    stores_ = nullptr;
    std::filesystem::remove_all(folder_);
  }

  static std::string Key(int i) { return absl::StrCat("key-", i); }
  // As a program does that begins; the one before has ended.
  absl::Status Begin(const std::vector<std::string>& files) {
    stores_ = nullptr;
    SegmentOptions options;
    options.size_bytes = 24 << 20;
    options.max_participants = 8;
    options.keeps_terms = true;
    const Variant& design = *FindVariant(GetParam());
    const absl::StatusOr<ClusterSegments> opened = OpenCluster(design, files, options);
    if (!opened.ok()) return opened.status();
    said_ = opened->said;
    absl::StatusOr<std::unique_ptr<Cluster>> stores = Cluster::Attach(design, opened->segments);
    if (!stores.ok()) return stores.status();
    stores_ = *std::move(stores);
    return stores_->Recover();
  }
  void PutAll(const std::string& value) {
    for (int i = 0; i < kEntries; ++i) {
      ASSERT_TRUE(stores_->Of(Key(i)).Put(Key(i), value).ok()) << i;
    }
  }
  // How many entries have each value, by the share of their key.
  std::map<std::string, std::vector<int>> Values() {
    std::map<std::string, std::vector<int>> values;
    for (int i = 0; i < kEntries; ++i) {
      std::string value;
      if (!stores_->Of(Key(i)).Get(Key(i), &value).ok()) value = "none";
      std::vector<int>& counts = values[value];
      counts.resize(stores_->segments().size());
      ++counts[stores_->ShareOf(Key(i))];
    }
    return values;
  }
  int SharesOf(const std::string& value) {
    const std::vector<int> counts = Values()[value];
    int shares = 0;
    for (const int count : counts) shares += count > 0 ? 1 : 0;
    return shares;
  }

  std::string folder_;
  std::vector<std::string> files_;
  std::vector<std::string> said_;
  std::unique_ptr<Cluster> stores_;
};

TEST_P(ClusterTest, IsWarmAndEachFileHasItsShare) {
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("old");
  ASSERT_TRUE(Begin(files_).ok());
  EXPECT_THAT(said_, IsEmpty());
  const auto values = Values();
  ASSERT_EQ(values.size(), 1u);
  for (const int count : values.at("old")) EXPECT_GT(count, kEntries / 6);
}

TEST_P(ClusterTest, ADamagedFileCostsItsShareAndIsKept) {
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("old");
  stores_ = nullptr;
  ASSERT_EQ(truncate(files_[1].c_str(), 5000), 0);
  ASSERT_TRUE(Begin(files_).ok());
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr(files_[1] + ".damaged, and its share begins cold"));
  EXPECT_TRUE(std::filesystem::exists(files_[1] + ".damaged"));
  EXPECT_EQ(SharesOf("old"), 2);
  EXPECT_EQ(SharesOf("none"), 1);
  // It takes entries again, and keeps them.
  PutAll("new");
  ASSERT_TRUE(Begin(files_).ok());
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(SharesOf("new"), 3);
}

TEST_P(ClusterTest, AFileThatCannotBeMadeHasItsShareInMemory) {
  const std::vector<std::string> files = {files_[0], folder_ + "/device/b", files_[2]};
  std::filesystem::create_directory(folder_ + "/device");
  ASSERT_TRUE(Begin(files).ok());
  PutAll("old");
  stores_ = nullptr;
  // The device is away; then it is there again, as it was.
  std::filesystem::rename(folder_ + "/device", folder_ + "/away");
  ASSERT_TRUE(Begin(files).ok());
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("its share is in memory"));
  EXPECT_EQ(SharesOf("old"), 2);
  PutAll("new");
  EXPECT_EQ(SharesOf("new"), 3);
  stores_ = nullptr;
  std::filesystem::rename(folder_ + "/away", folder_ + "/device");
  ASSERT_TRUE(Begin(files).ok());
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(SharesOf("old"), 0) << "what was replaced came back";
  EXPECT_EQ(SharesOf("new"), 2);
  EXPECT_EQ(SharesOf("none"), 1);
}

TEST_P(ClusterTest, AnOldCopyOfAFileIsCleared) {
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("old");
  stores_ = nullptr;
  std::filesystem::rename(files_[2], folder_ + "/copy");
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("new");
  stores_ = nullptr;
  std::filesystem::rename(folder_ + "/copy", files_[2]);
  ASSERT_TRUE(Begin(files_).ok());
  EXPECT_EQ(SharesOf("old"), 0) << "what was replaced came back";
  EXPECT_EQ(SharesOf("new"), 2);
}

TEST_P(ClusterTest, OneMoreFileTakesItsShareFromAllAndOneLessBeginsCold) {
  const std::vector<std::string> two = {files_[0], files_[1]};
  ASSERT_TRUE(Begin(two).ok());
  PutAll("old");
  std::vector<size_t> places;
  for (int i = 0; i < kEntries; ++i) places.push_back(stores_->ShareOf(Key(i)));
  ASSERT_TRUE(Begin(files_).ok());
  for (int i = 0; i < kEntries; ++i) {
    const size_t share = stores_->ShareOf(Key(i));
    EXPECT_TRUE(share == places[static_cast<size_t>(i)] || share == 2) << i;
  }
  EXPECT_EQ(SharesOf("old"), 2);
  PutAll("new");
  ASSERT_TRUE(Begin(two).ok());
  EXPECT_EQ(SharesOf("none"), 2) << "values of before the third was there came back";
}

TEST_P(ClusterTest, FilesThatChangedPlacesAreCleared) {
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("old");
  ASSERT_TRUE(Begin({files_[1], files_[0], files_[2]}).ok());
  EXPECT_EQ(SharesOf("none"), 2);
  EXPECT_EQ(SharesOf("old"), 1);
  PutAll("new");
  ASSERT_TRUE(Begin(files_).ok());
  EXPECT_EQ(SharesOf("old"), 0) << "what was replaced came back";
  EXPECT_EQ(SharesOf("new"), 1);
}

TEST_P(ClusterTest, AFileOfAClusterIsClearedWhereItIsAlone) {
  ASSERT_TRUE(Begin({files_[0]}).ok());
  PutAll("alone");
  ASSERT_TRUE(Begin({files_[0]}).ok());
  EXPECT_EQ(SharesOf("alone"), 1);
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("new");
  ASSERT_TRUE(Begin({files_[0]}).ok());
  EXPECT_EQ(SharesOf("none"), 1);
}

TEST_P(ClusterTest, ClearsCountsAndReadsManyInTheirOrder) {
  ASSERT_TRUE(Begin(files_).ok());
  PutAll("value");
  const std::vector<std::string> names = {Key(7), "absent", Key(1), Key(299), Key(2)};
  const std::vector<std::string_view> keys(names.begin(), names.end());
  std::vector<std::string> told;
  ASSERT_TRUE(stores_
                  ->GetMany(keys,
                            [&](size_t index, const EntryView* entry) {
                              told.push_back(absl::StrCat(
                                  index, entry == nullptr ? "-" : std::string(entry->value)));
                            })
                  .ok());
  EXPECT_THAT(told, ElementsAre("0value", "1-", "2value", "3value", "4value"));
  int visited = 0;
  ASSERT_TRUE(stores_->ForEach([&](const EntryView&) { return ++visited < kEntries; }).ok());
  EXPECT_EQ(visited, kEntries);
  visited = 0;
  ASSERT_TRUE(stores_->ForEach([&](const EntryView&) { return ++visited < 5; }).ok());
  EXPECT_EQ(visited, 5) << "it goes on in the next one";
  EXPECT_EQ(stores_->Counted().hits, 4u);
  ASSERT_TRUE(stores_->Clear().ok());
  EXPECT_EQ(SharesOf("none"), 3);
}

TEST_P(ClusterTest, RefusesWhatIsNoCluster) {
  EXPECT_THAT(Begin({files_[0], files_[0]}).ToString(), HasSubstr("is given twice"));
  EXPECT_THAT(Begin(std::vector<std::string>(65, files_[0])).ToString(), HasSubstr("64 at most"));
  std::ofstream(files_[0]) << std::string(100'000, 'x');
  EXPECT_FALSE(Begin({files_[0]}).ok()) << "a single file stays as it is";
}

INSTANTIATE_TEST_SUITE_P(Designs, ClusterTest, testing::Values("seqlock_ring", "cas_slots"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace kill9::server
