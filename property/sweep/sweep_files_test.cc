// The sweep of stores that keep their data in files of their own: LMDB and tdb, where installed.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/stepper/process/process_wait.h"
#include "harness/stepper/shared_bytes.h"
#include "harness/store_driver/sweep/store_scene.h"
#include "harness/sweep/sweep.h"
#include "property/sweep/sweep_array_store.h"
#include "property/sweep/sweep_main.h"

namespace kill9::sweep {
namespace {

std::vector<Cell> Sweep(const char* name, std::vector<std::string> operations,
                        SweepOptions options = {}) {
  options.variants = {FindVariant(name)};
  options.operations = std::move(operations);
  options.states = {"one_entry"};
  options.watchdog_seconds = 2;
  std::vector<Cell> cells;
  absl::Status status = RunCells(PlanCells(options), 0, nullptr,
                                 [&](const CellRequest& request, CellArea& area, pid_t) {
                                   cells.push_back({request, area.result});
                                 });
  EXPECT_TRUE(status.ok()) << status;
  return cells;
}

TEST(SweepOfFiles, APutThatIsKilledIsDoneOrNotAndEveryKillMeetsTheSameFiles) {
  if (FindVariant("lmdb") == nullptr) GTEST_SKIP() << "LMDB is not installed";
  SweepOptions options;
  options.stall = true;
  options.recovery = true;
  options.pairs = 2;
  const std::vector<Cell> cells = Sweep("lmdb", {"put_same", "get"}, options);
  ASSERT_EQ(cells.size(), 2u);
  for (const Cell& cell : cells) {
    const CellResult& result = cell.result;
    EXPECT_EQ(result.verdict, Verdict::kPass) << result.error << result.failure[0].message;
    EXPECT_EQ(result.instructions_killed + result.instructions_spoken_for,
              result.instructions + 1u);
    EXPECT_EQ(result.instructions_not_survived, 0u);
    EXPECT_GT(result.recovery_kill_points, 0u);
    EXPECT_EQ(result.probes & 1u << kProbeAttach, 0u);
    if (std::string_view(cell.request.operation) == "get") continue;
    EXPECT_GT(result.happened, 0u);
    EXPECT_GT(result.did_not_happen, 0u);
    EXPECT_GT(result.blocked_probe[kProbePut][0], 0u);  // one writer at a time
    EXPECT_EQ(result.blocked_probe[kProbeGet][0], 0u);  // readers wait for nobody
  }
}

TEST(SweepOfFiles, AnUpdateInPlaceThatNobodyRepairsIsFoundAndReplays) {
  if (FindVariant("tdb") == nullptr) GTEST_SKIP() << "tdb is not installed";
  const std::vector<Cell> cells = Sweep("tdb", {"put_same"});
  ASSERT_EQ(cells.size(), 1u);
  const CellResult& result = cells[0].result;
  ASSERT_EQ(result.verdict, Verdict::kViolation) << result.error;
  EXPECT_GT(result.instructions_not_survived, 0u);
  EXPECT_LT(result.instructions_not_survived, result.instructions_judged);
  absl::StatusOr<CellRequest> replay = RequestOf(RunOf(cells[0].request, result));
  ASSERT_TRUE(replay.ok()) << replay.status();
  replay->replay = 1;
  replay->times = 10;
  replay->most_failures = 11;
  replay->watchdog_seconds = 2;
  CellResult again{};
  ASSERT_TRUE(RunCells({*replay}, 1, nullptr, [&](const CellRequest&, CellArea& area, pid_t) {
                again = area.result;
              }).ok());
  EXPECT_EQ(again.replayed, 10u) << again.error;
  EXPECT_EQ(again.replayed_alike, 10u);
  EXPECT_EQ(again.failure[0].address, result.failure[0].address);
}

TEST(SweepOfFiles, ResumingIsRefusedWithTheReason) {
  if (FindVariant("lmdb") == nullptr) GTEST_SKIP() << "LMDB is not installed";
  SweepOptions options;
  options.variants = {FindVariant("lmdb")};
  options.resume = true;
  absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const std::string&) {});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnimplemented);
}

TEST(SweepOfFiles, WhatAStoreDoesNotHaveIsNotPlanned) {
  Traits traits;
  traits.bounded = false;
  traits.needs_name = true;
  traits.has_recovery = false;
  EXPECT_FALSE(Applies(traits, StoreOperation::kPutSame, StoreState::kFullSegment));
  EXPECT_FALSE(Applies(traits, StoreOperation::kCreate, StoreState::kEmpty));
  EXPECT_FALSE(Applies(traits, StoreOperation::kRecover, StoreState::kOneEntry));
  EXPECT_TRUE(Applies(traits, StoreOperation::kPutSame, StoreState::kSplit));
  EXPECT_TRUE(Applies(Traits{}, StoreOperation::kCreate, StoreState::kEmpty));
}

// As gdbm's recovery does: it writes a new file and gives it the old one's name.
TEST(FilesOfAnObject, OneThatWasReplacedOrRemovedIsPutBackAndIsComparedWhereItIsNow) {
  const std::string folder = absl::StrCat(testing::TempDir(), "/files-of-an-object-", getpid());
  std::filesystem::create_directory(folder);
  const auto write = [&folder](const std::string& name, const std::string& text) {
    std::ofstream(folder + "/" + name) << text;
  };
  const auto read = [&folder](const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder + "/" + name).rdbuf();
    return text.str();
  };
  write("one", "as it was");
  write("other", "stays");
  char segment[4096] = {};
  stepper::SharedBytes bytes;
  ASSERT_TRUE(bytes.Open(segment, sizeof segment, folder).ok());
  const stepper::Snapshot snapshot = bytes.NewSnapshot();
  ASSERT_TRUE(bytes.Save(snapshot.data())) << bytes.error();
  const uint64_t before = bytes.HashOutside(0, 0);

  write("new", "another");
  std::filesystem::rename(folder + "/new", folder + "/one");
  const uint64_t replaced = bytes.HashOutside(0, 0);
  EXPECT_NE(replaced, before);
  write("one", "written later");
  EXPECT_NE(bytes.HashOutside(0, 0), replaced);
  write("came later", "");
  ASSERT_TRUE(bytes.Restore(snapshot.data())) << bytes.error();
  EXPECT_EQ(read("one"), "as it was");
  EXPECT_FALSE(std::filesystem::exists(folder + "/came later"));
  EXPECT_EQ(bytes.HashOutside(0, 0), before);

  std::filesystem::remove(folder + "/one");
  EXPECT_NE(bytes.HashOutside(0, 0), before);
  ASSERT_TRUE(bytes.Restore(snapshot.data())) << bytes.error();
  EXPECT_EQ(read("one"), "as it was");
  EXPECT_EQ(read("other"), "stays");
  EXPECT_EQ(bytes.HashOutside(0, 0), before);
  std::filesystem::remove_all(folder);
}

class RemoteSurvivorTest : public testing::Test {
 protected:
  RemoteSurvivorTest() {
    absl::StatusOr<std::unique_ptr<StoreScene>> scene =
        MakeStoreScene(*FindArrayVariant("array"), StoreOperation::kPutSame, StoreState::kOneEntry);
    EXPECT_TRUE(scene.ok()) << scene.status();
    scene_ = *std::move(scene);
    remote_survivor_ = std::make_unique<RemoteSurvivor>(scene_->design(), scene_->segment());
  }
  ~RemoteSurvivorTest() override {
    if (remote_survivor_->pid() > 0) stepper::KillAndReap(remote_survivor_->pid());
  }
  [[noreturn]] static void Throw(const std::string& how) { throw std::runtime_error(how); }

  std::unique_ptr<StoreScene> scene_;
  std::unique_ptr<RemoteSurvivor> remote_survivor_;
};

TEST_F(RemoteSurvivorTest, AnswersAsAStoreInThisProcessWould) {
  absl::StatusOr<std::unique_ptr<Store>> there = remote_survivor_->Attach(Throw);
  ASSERT_TRUE(there.ok()) << there.status();
  absl::StatusOr<std::unique_ptr<Store>> here = scene_->design().Attach(scene_->segment());
  ASSERT_TRUE(here.ok());
  ASSERT_TRUE((*there)->Put("key", "value of the remote_survivor").ok());
  std::string read;
  ASSERT_TRUE((*here)->Get("key", &read).ok());
  EXPECT_EQ(read, "value of the remote_survivor");
  absl::StatusOr<Version> version = (*here)->Put("key", "another");
  EXPECT_EQ((*there)->Get("key", &read), version);
  EXPECT_EQ(read, "another");
  std::vector<std::string> seen[2];
  int of = 0;
  for (Store* store : {here->get(), there->get()}) {
    EXPECT_TRUE(store
                    ->ForEach([&](const EntryView& view) {
                      seen[of].push_back(std::string(view.key) + "=" + std::string(view.value));
                      return true;
                    })
                    .ok());
    ++of;
  }
  EXPECT_EQ(seen[0].size(), 2u);
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_TRUE(*(*there)->Erase("key"));
  EXPECT_FALSE(*(*there)->Erase("key"));
  EXPECT_EQ((*there)->Get("key", &read).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE((*there)->Recover().ok());
  EXPECT_EQ((*there)->max_value_bytes(), (*here)->max_value_bytes());
  there->reset();
  EXPECT_EQ((*here)->Audit()->participants, 1u);      // it detached
  EXPECT_TRUE(remote_survivor_->Attach(Throw).ok());  // and attaches again
}

TEST_F(RemoteSurvivorTest, ItsDeathIsTold) {
  absl::StatusOr<std::unique_ptr<Store>> there =
      remote_survivor_->Attach([](const std::string& how) {
        EXPECT_EQ(how, "died by signal 9 (KILL)");
        throw std::runtime_error(how);
      });
  ASSERT_TRUE(there.ok());
  kill(remote_survivor_->pid(), SIGKILL);
  EXPECT_THROW((*there)->Put("key", "value").IgnoreError(), std::runtime_error);
  there->release();  // whose remote_survivor is gone cannot detach
}

}  // namespace
}  // namespace kill9::sweep

int main(int argc, char** argv) { return kill9::sweep::RunTestsOrWorker(argc, argv); }
