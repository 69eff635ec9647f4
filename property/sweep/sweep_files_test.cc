// The sweep of stores that keep their data in files of their own: LMDB and tdb, where installed.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>

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
#include "harness/sweep/judge/remote_survivor.h"
#include "harness/sweep/sweep.h"
#include "property/scaffold/children.h"
#include "property/scaffold/eventually.h"
#include "property/scaffold/namespaces.h"
#include "property/sweep/sweep_array_store.h"

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

std::vector<std::string> LeftInSharedMemory() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    if (entry.path().filename().string().starts_with("kill9-sweep-")) names.push_back(entry.path());
  }
  return names;
}

// Most containers do. Processes have other numbers each time, and names are the machine's.
TEST(SweepOfFiles, OnAMachineWithoutNamespacesTheVerdictIsTheSame) {
  if (FindVariant("lmdb") == nullptr) GTEST_SKIP() << "LMDB is not installed";
  std::vector<Cell> cells;
  bool refused = false;
  WithoutNamespaces([&] {
    refused = true;
    SweepOptions options;
    options.recovery = true;
    options.pairs = 2;
    cells = Sweep("lmdb", {"put_same", "get"}, options);
  });
  if (!refused) GTEST_SKIP() << "this process may filter no system calls";
  ASSERT_EQ(cells.size(), 2u);
  for (const Cell& cell : cells) {
    EXPECT_EQ(cell.result.verdict, Verdict::kPass)
        << cell.result.error << cell.result.failure[0].message;
    EXPECT_GT(cell.result.kill_points, 0u);
  }
  EXPECT_TRUE(Eventually([] { return LeftInSharedMemory().empty(); }));
}

// PIDs that are as small as what is stored in files: sizes, numbers of pages.
TEST(SweepOfFiles, OnAMachineWithoutNamespacesAWordThatIsAPidByChanceIsNoDrift) {
  if (FindVariant("lmdb") == nullptr) GTEST_SKIP() << "LMDB is not installed";
  const int status = InNewPidNamespace([] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("proc", "/proc", "proc", 0, nullptr) != 0) {
      return kNoNamespace;
    }
    int failed = kNoNamespace;
    WithoutNamespaces([&failed] {
      failed = 0;
      for (const Cell& cell : Sweep("lmdb", {"put_same", "erase"})) {
        if (cell.result.verdict == Verdict::kPass) continue;
        ++failed;
        ADD_FAILURE() << cell.result.error;
      }
    });
    return failed;
  });
  if (status == kNoNamespace) GTEST_SKIP() << "this process may make no such machine";
  EXPECT_EQ(status, 0);
}

TEST(SweepOfFiles, OnAMachineWithoutNamespacesNothingStaysOfASweepThatIsKilled) {
  if (FindVariant("lmdb") == nullptr) GTEST_SKIP() << "LMDB is not installed";
  bool refused = false;
  WithoutNamespaces([&] {
    refused = true;
    const pid_t sweep = fork();
    if (sweep == 0) {
      execl(KILL9_COMMAND, "kill9", "sweep", "--variant=lmdb", "--quiet", nullptr);
      _exit(99);
    }
    EXPECT_TRUE(Eventually([] { return !LeftInSharedMemory().empty(); })) << "the premise";
    kill(sweep, SIGKILL);
    waitpid(sweep, nullptr, 0);
  });
  if (!refused) GTEST_SKIP() << "this process may filter no system calls";
  EXPECT_TRUE(Eventually([] { return LeftInSharedMemory().empty(); }));
}

TEST(SweepOfFiles, ResumingIsRefusedWithTheReason) {
  if (FindVariant("lmdb") == nullptr) GTEST_SKIP() << "LMDB is not installed";
  SweepOptions options;
  options.variants = {FindVariant("lmdb")};
  options.resume = true;
  absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const auto&) {});
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
  const uint64_t before = bytes.HashOutside();

  write("new", "another");
  std::filesystem::rename(folder + "/new", folder + "/one");
  const uint64_t replaced = bytes.HashOutside();
  EXPECT_NE(replaced, before);
  write("one", "written later");
  EXPECT_NE(bytes.HashOutside(), replaced);
  write("came later", "");
  ASSERT_TRUE(bytes.Restore(snapshot.data())) << bytes.error();
  EXPECT_EQ(read("one"), "as it was");
  EXPECT_FALSE(std::filesystem::exists(folder + "/came later"));
  EXPECT_EQ(bytes.HashOutside(), before);

  std::filesystem::remove(folder + "/one");
  EXPECT_NE(bytes.HashOutside(), before);
  ASSERT_TRUE(bytes.Restore(snapshot.data())) << bytes.error();
  EXPECT_EQ(read("one"), "as it was");
  EXPECT_EQ(read("other"), "stays");
  EXPECT_EQ(bytes.HashOutside(), before);
  std::filesystem::remove_all(folder);
}

// What a survivor finds, thrown.
class ThrownFindings final : public Findings {
 public:
  [[noreturn]] void Fail(Verdict, const std::string& message) override {
    throw std::runtime_error(message);
  }
};

class RemoteSurvivorTest : public testing::Test {
 protected:
  RemoteSurvivorTest() {
    absl::StatusOr<std::unique_ptr<StoreScene>> scene = MakeStoreScene(
        *FindArrayVariant("array"), StoreOperation::kPutSame, StoreState::kOneEntry, {});
    EXPECT_TRUE(scene.ok()) << scene.status();
    scene_ = *std::move(scene);
    remote_survivor_ = std::make_unique<RemoteSurvivor>(*scene_, log());
  }
  ~RemoteSurvivorTest() override {
    if (remote_survivor_->pid() > 0) stepper::KillAndReap(remote_survivor_->pid());
  }
  OperationLog log() const { return history_->SurvivorLog(); }
  std::unique_ptr<Survivor> AttachThere() {
    return *remote_survivor_->Attach(kSurvivorAfter, findings_);
  }
  std::unique_ptr<Survivor> AttachHere() {
    return *scene_->NewSurvivor(kSurvivorBefore, findings_, log());
  }
  // What a survivor is shown: of each key what is there.
  std::vector<std::string> LookOf(Survivor& survivor) {
    const size_t before = log().operations().size();
    survivor.Look();
    std::vector<std::string> shown;
    for (const Operation& one : log().operations().subspan(before)) {
      const std::string function(RowOf(one.function).name);
      shown.push_back(absl::StrCat(function, " ", one.key, " ", one.result));
    }
    return shown;
  }

  const Shared<CellHistory> history_;
  ThrownFindings findings_;
  std::unique_ptr<StoreScene> scene_;
  std::unique_ptr<RemoteSurvivor> remote_survivor_;
};

TEST_F(RemoteSurvivorTest, WorksAsASurvivorInThisProcessWould) {
  std::unique_ptr<Survivor> there = AttachThere();
  std::unique_ptr<Survivor> here = AttachHere();
  const std::vector<std::string> at_first = LookOf(*there);
  EXPECT_FALSE(at_first.empty());
  EXPECT_EQ(LookOf(*here), at_first);
  there->Write(Nearness::kSame);
  const std::vector<std::string> written = LookOf(*here);
  EXPECT_NE(written, at_first);
  EXPECT_EQ(LookOf(*there), written);
  const uint32_t before = log().count->load();
  there->Work(Nearness::kElsewhere);
  EXPECT_GT(log().count->load(), before);
  EXPECT_EQ(log().operations().back().process, uint32_t{kSurvivorAfter});
  EXPECT_EQ(LookOf(*there), LookOf(*here));
  EXPECT_EQ(there->object().Recover().status().code(), here->object().Recover().status().code());
  const absl::StatusOr<AuditReport> by_there = there->object().Audit();
  const absl::StatusOr<AuditReport> by_here = here->object().Audit();
  ASSERT_TRUE(by_there.ok() && by_here.ok()) << by_there.status();
  EXPECT_EQ(by_there->participants, 2u);
  EXPECT_EQ(by_here->participants, 2u);
  EXPECT_EQ(by_there->entries, by_here->entries);
  EXPECT_EQ(by_there->free.bytes, by_here->free.bytes);
  EXPECT_EQ(by_there->live.blocks, by_here->live.blocks);
  EXPECT_EQ(by_there->capacity.bytes, by_here->capacity.bytes);
  there->CheckContents(*by_there);
  const uint32_t filled = there->Fill();
  here->Empty(filled);
  EXPECT_EQ(here->Fill(), filled + static_cast<uint32_t>(by_here->entries));
  there->Empty(filled + static_cast<uint32_t>(by_here->entries));
  there.reset();
  EXPECT_EQ(here->object().Audit()->participants, 1u);  // it detached
  EXPECT_NE(AttachThere(), nullptr);                    // and attaches again
}

TEST_F(RemoteSurvivorTest, WhatItFindsIsToldHere) {
  std::unique_ptr<Survivor> there = AttachThere();
  there->Look();
  AttachHere()->Empty(0);
  const AuditReport audit = *there->object().Audit();
  std::string found;
  try {
    there->CheckContents(audit);
  } catch (const std::runtime_error& finding) {
    found = finding.what();
  }
  EXPECT_EQ(found, "the audit counts 0 entries, 1 are visible");
  there.release();  // whose process is gone cannot detach
}

TEST_F(RemoteSurvivorTest, ItsDeathIsTold) {
  std::unique_ptr<Survivor> there = AttachThere();
  kill(remote_survivor_->pid(), SIGKILL);
  std::string found;
  try {
    there->Look();
  } catch (const std::runtime_error& finding) {
    found = finding.what();
  }
  EXPECT_EQ(found, "died by signal 9 (KILL)");
  there.release();  // whose process is gone cannot detach
}

}  // namespace
}  // namespace kill9::sweep
