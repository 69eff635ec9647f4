// The model of heaps, against trying everything: random histories of a few operations, as a right
// heap would make them, and the same with one thing changed.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "gtest/gtest.h"
#include "harness/base/random.h"
#include "harness/checker/checker.h"
#include "harness/checker/models/heap_checker.h"
#include "harness/checker/search/prepare.h"
#include "harness/checker/search/shown.h"
#include "harness/edn/edn.h"
#include "property/heaps_kind/heap_brute_force.h"

namespace kill9 {
namespace {

// More on request: KILL9_HISTORIES=200000.
int Histories() {
  const char* asked = std::getenv("KILL9_HISTORIES");
  return asked == nullptr ? 20'000 : std::atoi(asked);
}

// Processes that use a right heap of a few bytes, one step of one of them at a time: a call, the
// moment at which it takes effect, a return, a death, a hold that recovery takes from a dead one.
class SmallHeap {
 public:
  explicit SmallHeap(uint64_t seed) : random_(seed) {}

  std::vector<Operation> Run(size_t operations) {
    while (history_.size() < operations || AnyUnderWay()) Step(history_.size() < operations);
    return history_;
  }

 private:
  static constexpr uint64_t kRoom = 4;
  struct Process {
    uint64_t attachment = 0;
    int under_way = -1;  // its operation, an index of the history
    bool took_effect = false;
    bool dead = false;
  };
  struct Block {
    uint64_t name;
    uint64_t begin;
    uint64_t end;
    std::vector<uint64_t> owners;
  };

  bool AnyUnderWay() const {
    return std::any_of(processes_.begin(), processes_.end(),
                       [](const Process& one) { return one.under_way >= 0; });
  }

  void Step(bool may_call) {
    ++time_;
    if (random_.Chance(100)) Recover();
    const size_t number = random_.Below(processes_.size());
    Process& process = processes_[number];
    if (process.dead) {
      // Another process takes its place: its number is its own.
      if (process.under_way < 0 && random_.Chance(300)) process = {.attachment = ++newcomers_};
      return;
    }
    if (process.under_way < 0) {
      if (may_call) Call(number);
      return;
    }
    Operation& operation = history_[static_cast<size_t>(process.under_way)];
    if (random_.Chance(60)) {
      operation.outcome = Outcome::kCrashed;
      operation.finish = time_;
      operation.result = 0;
      process.under_way = -1;
      process.dead = true;
      graves_.push_back(CallerOf(operation));
    } else if (!process.took_effect) {
      TakeEffect(&operation);
      process.took_effect = true;
    } else {
      operation.finish = time_;
      process.under_way = -1;
      if (operation.function == Function::kAllocate && operation.outcome == Outcome::kOk) {
        known_.push_back(operation.argument);
      }
    }
  }

  void Call(size_t number) {
    Process& process = processes_[number];
    Operation operation{};
    operation.invoke = time_;
    operation.process = static_cast<uint32_t>(number + 1);
    operation.outcome = Outcome::kOk;
    const uint64_t draw = known_.empty() ? 0 : random_.Below(10);
    operation.function = draw < 3   ? Function::kAllocate
                         : draw < 6 ? Function::kFree
                         : draw < 7 ? Function::kShare
                         : draw < 8 ? Function::kTransfer
                                    : Function::kOwners;
    operation.argument = draw < 3 ? ++names_ : known_[random_.Below(known_.size())];
    uint64_t what = 0;
    if (operation.function == Function::kAllocate) what = 1 + random_.Below(2);
    if (operation.function == Function::kShare || operation.function == Function::kTransfer) {
      const size_t other = random_.Below(processes_.size());
      what = HeapOwner(other + 1, processes_[other].attachment);
    }
    operation.expected = HeapCall(process.attachment, what);
    process.under_way = static_cast<int>(history_.size());
    process.took_effect = false;
    history_.push_back(operation);
  }

  void TakeEffect(Operation* operation) {
    const uint64_t caller = CallerOf(*operation);
    if (operation->function == Function::kAllocate) {
      const uint64_t bytes = SizeOrOwnerOf(*operation);
      for (int tries = 0; tries < 10; ++tries) {
        const uint64_t begin = 1 + random_.Below(kRoom);
        const bool is_free = std::none_of(blocks_.begin(), blocks_.end(), [&](const Block& block) {
          return block.begin < begin + bytes && begin < block.end;
        });
        if (!is_free || begin + bytes > kRoom + 1) continue;
        operation->result = begin;
        blocks_.push_back({operation->argument, begin, begin + bytes, {caller}});
        return;
      }
      operation->outcome = Outcome::kRefused;
      return;
    }
    const auto block = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& one) {
      return one.name == operation->argument;
    });
    if (operation->function == Function::kOwners) {
      operation->result = 0;
      if (block == blocks_.end()) return;
      for (const uint64_t owner : block->owners) operation->result |= OwnerBit(owner);
      return;
    }
    operation->result = block != blocks_.end() && Has(*block, caller) ? 1 : 0;
    if (operation->result == 0) return;
    const uint64_t other = SizeOrOwnerOf(*operation);
    if (operation->function != Function::kFree && !Has(*block, other)) {
      block->owners.push_back(other);
    }
    if (operation->function == Function::kFree ||
        (operation->function == Function::kTransfer && other != caller)) {
      std::erase(block->owners, caller);
    }
    std::erase_if(blocks_, [](const Block& one) { return one.owners.empty(); });
  }

  // Takes one hold from the dead.
  void Recover() {
    for (Block& block : blocks_) {
      for (const uint64_t dead : graves_) {
        if (std::erase(block.owners, dead) != 0) {
          std::erase_if(blocks_, [](const Block& one) { return one.owners.empty(); });
          return;
        }
      }
    }
  }

  static bool Has(const Block& block, uint64_t owner) {
    return std::find(block.owners.begin(), block.owners.end(), owner) != block.owners.end();
  }

  Random random_;
  uint64_t time_ = 100;
  uint64_t names_ = 0;
  std::vector<uint64_t> known_;  // of allocations that have returned
  uint64_t newcomers_ = 0;
  std::vector<Process> processes_ = std::vector<Process>(3);
  std::vector<uint64_t> graves_;
  std::vector<Block> blocks_;
  std::vector<Operation> history_;
};

// One answer, moment or place is another one.
void ChangeOneThing(Random& random, std::vector<Operation>* history) {
  Operation& operation = (*history)[random.Below(history->size())];
  switch (random.Below(4)) {
    case 0:
      operation.finish = std::max(operation.invoke, operation.finish - random.Below(6));
      return;
    case 1:
      if (operation.function == Function::kOwners) {
        operation.result ^= OwnerBit(1 + random.Below(3));
      } else if (operation.function == Function::kAllocate) {
        operation.result = 1 + random.Below(4);
      } else {
        operation.result ^= 1;
      }
      return;
    case 2:
      operation.outcome = Outcome::kOk;
      return;
    default:
      operation.expected ^= HeapCall(0, 1 + random.Below(3));
      return;
  }
}

SearchResult CheckAll(const std::vector<Operation>& history, std::string* why = nullptr) {
  Counterexample counterexample;
  const SearchResult answer = FindModel("heap")->Check(Condition::kStrict, {}, {},
                                                       KeyHistory::Of(history), &counterexample);
  if (why != nullptr && answer == SearchResult::kViolated) *why = RenderText(counterexample, {});
  return answer;
}

void DropWhatTellsNothing(std::vector<Operation>* history) {
  std::erase_if(*history, TellsNothing);
  SortByInvocation(history);
}

TEST(HeapModel, AllowsWhateverARightHeapDoes) {
  int crashed = 0;
  int overlapping = 0;
  for (int seed = 0; seed < Histories(); ++seed) {
    std::vector<Operation> history = SmallHeap(static_cast<uint64_t>(seed)).Run(40);
    DropWhatTellsNothing(&history);
    for (size_t i = 1; i < history.size(); ++i) {
      crashed += history[i].outcome == Outcome::kCrashed;
      overlapping += history[i].invoke < history[i - 1].finish;
    }
    ASSERT_EQ(CheckAll(history), SearchResult::kLinearizable) << "seed " << seed << "\n"
                                                              << WriteEdn(history, {});
  }
  EXPECT_GT(crashed, Histories() / 2);
  EXPECT_GT(overlapping, Histories());
}

TEST(HeapModel, SaysNothingOfALegalHistoryAndFindsNearlyEachThatIsNot) {
  int legal = 0;
  int illegal = 0;
  int missed = 0;
  for (int seed = 0; seed < Histories(); ++seed) {
    Random random(static_cast<uint64_t>(seed) + 1);
    std::vector<Operation> history = SmallHeap(static_cast<uint64_t>(seed)).Run(7);
    ChangeOneThing(random, &history);
    DropWhatTellsNothing(&history);
    const bool allowed = HeapBruteForce(history).Linearizable();
    const SearchResult answer = CheckAll(history);
    ASSERT_NE(answer, SearchResult::kUndecided);
    const bool found = answer == SearchResult::kViolated;
    ASSERT_FALSE(allowed && found) << "seed " << seed << "\n" << WriteEdn(history, {});
    ++(allowed ? legal : illegal);
    missed += !allowed && !found;
    if (!allowed && !found && std::getenv("KILL9_SHOW_MISSED") != nullptr) {
      std::cout << "seed " << seed << "\n" << WriteEdn(history, {});
    }
  }
  RecordProperty("missed", missed);
  std::cout << legal << " legal, " << illegal << " not, of these " << missed << " missed\n";
  EXPECT_GT(legal, Histories() / 10);
  EXPECT_GT(illegal, Histories() / 10);
  EXPECT_LT(missed * 50, illegal);
}

}  // namespace
}  // namespace kill9
