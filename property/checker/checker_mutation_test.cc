// Legal histories of thousands of operations pass; one change that must make them illegal is found,
// and what is shown as a counterexample is small, minimal and still a violation when it is written
// out and read again.
#include <algorithm>
#include <map>
#include <optional>

#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/checker/counterexample/shrink.h"
#include "harness/checker/simulated_history.h"
#include "harness/edn/edn.h"

namespace kill9 {
namespace {

using History = std::vector<Operation>;

bool IsReadOfAValue(const Operation& operation) {
  return operation.outcome == Outcome::kOk && operation.result != kNothing &&
         (operation.function == Function::kGet || operation.function == Function::kPin);
}

bool IsVersionedWrite(const Operation& operation) {
  return operation.outcome == Outcome::kOk && operation.result_version != 0 &&
         !IsReadOfAValue(operation) && operation.argument != kNothing;
}

// Two reads, one after the other, exchange what they saw.
bool SwapTwoResults(History* history) {
  for (size_t i = history->size() / 3; i < history->size(); ++i) {
    for (size_t j = i + 1; j < std::min(i + 200, history->size()); ++j) {
      Operation& first = (*history)[i];
      Operation& second = (*history)[j];
      if (IsReadOfAValue(first) && IsReadOfAValue(second) && first.key == second.key &&
          first.finish < second.invoke && first.result_version < second.result_version) {
        std::swap(first.result, second.result);
        std::swap(first.result_version, second.result_version);
        return true;
      }
    }
  }
  return false;
}

// A read that overlapped the write it saw returns before that write is called.
bool MoveAReturn(History* history) {
  for (size_t i = history->size() / 3; i < history->size(); ++i) {
    for (size_t j = i + 1; j < std::min(i + 200, history->size()); ++j) {
      Operation& read = (*history)[i];
      const Operation& write = (*history)[j];
      if (IsReadOfAValue(read) && IsVersionedWrite(write) && read.key == write.key &&
          read.result == write.argument && read.invoke + 1 < write.invoke) {
        read.finish = write.invoke - 1;
        return true;
      }
    }
  }
  return false;
}

// A read returns a value that had been overwritten before it was called.
bool ReviveAValue(History* history) {
  for (size_t k = history->size() * 2 / 3; k < history->size(); ++k) {
    Operation& read = (*history)[k];
    if (!IsReadOfAValue(read)) continue;
    const Operation* old = nullptr;
    for (size_t i = 0; i < k; ++i) {
      const Operation& write = (*history)[i];
      if (write.key != read.key || !IsVersionedWrite(write) || write.finish >= read.invoke)
        continue;
      if (old != nullptr && old->result_version < write.result_version) {
        read.result = old->argument;
        read.result_version = old->result_version;
        return true;
      }
      if (old == nullptr) old = &write;
    }
  }
  return false;
}

// Half of one value and half of another decode as an id that nobody wrote.
bool TearAValue(History* history) {
  for (size_t i = history->size() / 2; i < history->size(); ++i) {
    if (!IsReadOfAValue((*history)[i])) continue;
    (*history)[i].result |= 1ull << 40;
    return true;
  }
  return false;
}

// The value of another key.
bool CrossKeys(History* history) {
  for (size_t i = history->size() / 2; i + 1 < history->size(); ++i) {
    Operation& read = (*history)[i];
    const Operation& other = (*history)[i + 1];
    if (!IsReadOfAValue(read) || !IsReadOfAValue(other) || read.key == other.key) continue;
    read.result = other.result;
    read.result_version = other.result_version;
    return true;
  }
  return false;
}

struct Mutation {
  const char* name;
  bool (*apply)(History*);
};

class Mutations : public testing::TestWithParam<Mutation> {};

TEST_P(Mutations, AreFoundInEveryHistory) {
  int applied = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    for (bool lossy : {false, true}) {
      const ModelChecker& model = *FindModel(lossy ? "cache" : "map");
      History history = SimulateHistory(
          {.seed = seed, .keys = 5, .operations = 1500, .crash_share = 0.05, .lossy = lossy});
      ASSERT_EQ(CheckHistory(model, history, {})->verdict, Verdict::kPass) << seed;
      if (!GetParam().apply(&history)) continue;
      ++applied;
      SortByInvocation(&history);
      auto outcome = CheckHistory(model, history, {});
      ASSERT_EQ(outcome->verdict, Verdict::kViolation) << "seed " << seed;
      const Counterexample& shown = *outcome->counterexample;
      EXPECT_LE(shown.operations.size(), 8u) << RenderText(shown, {});
    }
  }
  EXPECT_GT(applied, 100);
}

INSTANTIATE_TEST_SUITE_P(All, Mutations,
                         testing::Values(Mutation{"SwapTwoResults", SwapTwoResults},
                                         Mutation{"MoveAReturn", MoveAReturn},
                                         Mutation{"ReviveAValue", ReviveAValue},
                                         Mutation{"TearAValue", TearAValue},
                                         Mutation{"CrossKeys", CrossKeys}),
                         [](const auto& mutation) { return std::string(mutation.param.name); });

TEST(Counterexample, NoOperationOfItCanBeDropped) {
  int minimal = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    History history =
        SimulateHistory({.seed = seed, .keys = 1, .operations = 60, .crash_share = 0.1});
    if (!ReviveAValue(&history)) continue;
    auto outcome = CheckHistory(*FindModel("map"), history, {});
    ASSERT_EQ(outcome->verdict, Verdict::kViolation);
    // A window that begins at the start needs nothing from before.
    if (outcome->counterexample->initial_states != std::vector<std::string>{"absent"}) continue;
    History shown = outcome->counterexample->operations;
    for (Operation& operation : shown) {
      if (IsWeakened(operation)) Weaken(&operation);
    }
    ASSERT_EQ(CheckHistory(*FindModel("map"), shown, {})->verdict, Verdict::kViolation);
    ++minimal;
    for (size_t i = 0; i < shown.size(); ++i) {
      std::vector<bool> drop(shown.size(), false);
      drop[i] = true;
      EXPECT_EQ(CheckHistory(*FindModel("map"), WithoutDependents(shown, drop), {})->verdict,
                Verdict::kPass)
          << "without operation " << i + 1 << " of\n"
          << RenderText(*outcome->counterexample, {});
    }
  }
  EXPECT_GT(minimal, 10);
}

// Dropping by the rules of shrinking never makes a fault: a legal history stays legal.
TEST(Counterexample, DroppingWithDependentsKeepsALegalHistoryLegal) {
  uint64_t state = 7;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const bool lossy = seed % 2 == 0;
    const ModelChecker& model = *FindModel(lossy ? "cache" : "map");
    History history = SimulateHistory(
        {.seed = seed, .keys = 1, .operations = 40, .crash_share = 0.15, .lossy = lossy});
    for (int round = 0; round < 10; ++round) {
      std::vector<bool> drop(history.size(), false);
      for (size_t i = 0; i < drop.size(); ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        drop[i] = (state >> 33) % 8 == 0;
      }
      History rest = WithoutDependents(history, drop);
      ASSERT_EQ(CheckHistory(model, rest, {})->verdict, Verdict::kPass)
          << "seed " << seed << "\n"
          << WriteEdn(history, {}) << "\nrest\n"
          << WriteEdn(rest, {});
    }
  }
}

}  // namespace
}  // namespace kill9
