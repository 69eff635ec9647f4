#include "harness/edn/kept_history.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/simulated_history.h"
#include "harness/edn/edn.h"

namespace kill9 {
namespace {

constexpr uint64_t kSeeds = 60;

Verdict CheckKept(const char* model, const std::vector<Operation>& history) {
  return CheckHistory(*FindModel(model), history, {.threads = 1})->verdict;
}

std::vector<Operation> Simulate(uint64_t seed, bool lossy) {
  return SimulateHistory({.seed = seed,
                          .processes = 1 + static_cast<uint32_t>(seed % 8),
                          .keys = 8,
                          .operations = 800,
                          .crash_share = 0.02,
                          .versions = seed % 3 != 0,
                          .lossy = lossy});
}

// As the supervisor drains them: by their ends.
std::vector<Operation> ByEnd(std::vector<Operation> operations) {
  std::sort(operations.begin(), operations.end(),
            [](const Operation& a, const Operation& b) { return a.finish < b.finish; });
  return operations;
}

KeptHistory Keep(const std::vector<Operation>& operations, size_t most) {
  KeptHistory kept(most);
  kept.Add(ByEnd(operations));
  return kept;
}

// The last ones as they are; what would be checked if nothing were left out.
std::vector<Operation> LastOf(const std::vector<Operation>& operations, size_t most) {
  std::vector<Operation> last = ByEnd(operations);
  last.erase(last.begin(), last.end() - static_cast<ptrdiff_t>(most));
  return last;
}

TEST(KeptHistory, APartOfALegalHistoryIsLegal) {
  for (const bool lossy : {false, true}) {
    const char* model = lossy ? "cache" : "map";
    size_t illegal_as_it_is = 0, operations = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const std::vector<Operation> history = Simulate(seed, lossy);
      ASSERT_EQ(CheckKept(model, history), Verdict::kPass) << seed;
      for (const size_t most : {50, 200, 500}) {
        const KeptHistory::Kept kept = Keep(history, most).Take();
        EXPECT_FALSE(kept.whole);
        ASSERT_TRUE(kept.checkable);
        operations += kept.operations.size();
        illegal_as_it_is += CheckKept(model, LastOf(history, most)) == Verdict::kViolation;
        EXPECT_EQ(CheckKept(model, kept.operations), Verdict::kPass) << model << " " << seed;
      }
    }
    EXPECT_GT(illegal_as_it_is, kSeeds) << "else nothing would have to be left out";
    EXPECT_GT(operations, kSeeds * 200) << "and much is left";
  }
}

TEST(KeptHistory, AViolationInWhatIsKeptIsFoundThere) {
  size_t found = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    std::vector<Operation> history = Simulate(seed, false);
    const auto read = std::find_if(history.rbegin(), history.rend(), [](const Operation& one) {
      return one.function == Function::kGet && one.outcome == Outcome::kOk;
    });
    ASSERT_NE(read, history.rend());
    read->result = 1'000'000'000;  // nobody wrote it
    const KeptHistory::Kept kept = Keep(history, 200).Take();
    found += CheckKept("map", kept.operations) == Verdict::kViolation;
  }
  EXPECT_GT(found, kSeeds * 9 / 10);
}

TEST(KeptHistory, ItIsWholeAsLongAsItFits) {
  const std::vector<Operation> history = Simulate(7, false);
  const KeptHistory::Kept kept = Keep(history, history.size()).Take();
  EXPECT_TRUE(kept.whole);
  EXPECT_EQ(kept.operations.size(), history.size());
  EXPECT_FALSE(Keep(history, history.size() - 1).Take().whole);
}

// What follows a failure does not push it out.
TEST(KeptHistory, OnceTheFailureIsSeenLittleMoreIsTaken) {
  const std::vector<Operation> history = ByEnd(Simulate(7, false));
  KeptHistory kept(100);
  kept.Add({history.data(), 100});
  kept.EndSoon();
  kept.Add({history.data() + 100, 500});
  kept.EndSoon();
  kept.Add({history.data() + 600, 100});
  EXPECT_EQ(kept.added(), 700u);
  const std::vector<Operation> operations = kept.Take().operations;
  ASSERT_FALSE(operations.empty());
  for (const Operation& operation : operations) EXPECT_LE(operation.finish, history[124].finish);
}

// A message that was sent before it is missed; nothing can be left out for that.
TEST(KeptHistory, APartOfAHistoryOfMessagesIsKeptAndNotChecked) {
  std::vector<Operation> history;
  for (uint64_t n = 1; n <= 20; ++n) {
    Operation operation{};
    operation.function = n <= 10 ? Function::kSend : Function::kReceive;
    operation.outcome = Outcome::kOk;
    operation.invoke = 2 * n;
    operation.finish = 2 * n + 1;
    (n <= 10 ? operation.argument : operation.result) = n <= 10 ? n : n - 10;
    history.push_back(operation);
  }
  EXPECT_TRUE(Keep(history, 20).Take().checkable);
  const KeptHistory::Kept kept = Keep(history, 15).Take();
  EXPECT_FALSE(kept.checkable);
  EXPECT_EQ(kept.operations.size(), 15u);
}

TEST(KeptHistory, AFileHoldsTheSameHistory) {
  const std::vector<Operation> history = Simulate(5, false);
  const KeptHistory kept = Keep(history, 300);
  const std::string path = testing::TempDir() + "/kept/" + "history.edn";
  const HistoryFile file = WriteHistory(kept, {}, path);
  EXPECT_EQ(file.path, path);
  EXPECT_EQ(file.of, history.size());
  EXPECT_FALSE(file.whole);
  EXPECT_TRUE(file.checkable);
  std::ifstream stream(path);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  const auto read = ReadEdn(text, path, [](Function) { return true; });
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->operations.size(), file.operations);
  EXPECT_EQ(file.operations, kept.Take().operations.size());

  const HistoryFile none = WriteHistory(kept, {}, "/dev/null/history.edn");
  EXPECT_EQ(none.path, "");
  EXPECT_EQ(none.why, "cannot write the history '/dev/null/history.edn': Not a directory");
}

}  // namespace
}  // namespace kill9
