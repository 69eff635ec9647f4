// The checker of heaps. It goes along with a run: operations come by invoke, each complete. What
// must hold:
//
//   B1  a block's owners are those that its operations made owners, in some order that the history
//       allows (HeapModel, heap.h): each block's operations are searched for one;
//   B2  two blocks are never in one place: when an allocation has returned whose room overlaps that
//       of another block, that one is gone, or its last owners are dead;
//   B3  who is taken for dead returns from no operation any more.
//
// B1 is decided block by block. Nearly always one operation of a block is under way at a time, and
// the block has one state; only where some overlap, or one was cut off, the engine searches. B2
// is exact: of two allocations in one place one returned first; the other can only have come
// later, so the first one's block was gone before the other's return. B3 is asked of those that
// surely were owners.
//
// Its memory is that of the blocks that are there, and a word for each owner taken for dead.
#ifndef KILL9_HARNESS_CHECKER_MODELS_HEAP_CHECKER_H_
#define KILL9_HARNESS_CHECKER_MODELS_HEAP_CHECKER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/models/heap.h"

namespace kill9 {

class HeapStream final : public StreamChecker {
 public:
  explicit HeapStream(const EngineLimits& limits) : limits_(limits) {}

  SearchResult Add(const Operation& operation) override;
  void Keep(const Operation&) override {}
  SearchResult Finish() override { return ReturnAllBefore(kNever); }
  bool HoldsUnder(Condition, const Recoveries&) const override { return false; }
  Counterexample Explain() const override;
  uint64_t overlapping() const override { return overlapping_; }

 private:
  static constexpr size_t kShownMost = 4096;  // operations remembered for a counterexample
  using BlockEngine = Engine<HeapModel>;

  using Owners = HeapModel::State::Owners;
  // Who owned the block when its owners were asked for, and cannot have let go of it since.
  struct Question {
    uint32_t process;
    Owners owners;
  };
  struct Block {
    // Without an engine: the one state, and the operation under way, if any.
    HeapModel::State state;
    Operation under_way{};
    bool is_under_way = false;
    std::unique_ptr<BlockEngine> engine;  // several are under way, or were and left several states
    Owners letting_go;                    // callers of what is under way
    absl::InlinedVector<Question, 1> questions;
    bool has_place = false;  // it is in places_, from `offset` on
    uint64_t offset = 0;
  };
  struct Place {
    uint64_t end;
    uint64_t block;
    uint64_t since;  // its allocation's return
  };
  // That an owner is dead since then, or the block is in two hands.
  struct Death {
    uint64_t since;
    uint64_t block;
  };
  struct ByFinish {
    bool operator()(const Operation& a, const Operation& b) const { return a.finish > b.finish; }
  };

  SearchResult ReturnAllBefore(uint64_t time);
  SearchResult OnReturn(const Operation& operation);
  // The block's next operation is called.
  SearchResult Invoke(const Operation& operation, Block* block);
  SearchResult Return(const Operation& operation, Block* block);
  SearchResult ReturnUntil(uint64_t finish, Block* block);  // REQUIRES: it has an engine
  SearchResult TakePlace(const Operation& allocation);
  // What a call and a return say of who may have let go of the block.
  void NoteCall(const Operation& operation, Block* block);
  void NoteReturn(const Operation& operation, Block* block);
  // Its owners, but for those that may have let go of it.
  static Owners SureOwners(const Block& block);
  // Its room belongs to another block from then on.
  SearchResult GiveAway(const Operation& allocation, uint64_t name);
  // What nobody can say anything of any more is forgotten.
  void ForgetIfGone(uint64_t name);
  SearchResult Fail(uint64_t block, const Operation& operation, std::string why);
  SearchResult Answer(SearchResult answer, const Operation& operation);

  const EngineLimits limits_;
  absl::flat_hash_map<uint64_t, Block> blocks_;
  absl::btree_map<uint64_t, Place> places_;              // by where they begin
  absl::flat_hash_map<uint64_t, Death> taken_for_dead_;  // by owner
  std::priority_queue<Operation, std::vector<Operation>, ByFinish> under_way_;
  uint64_t overlapping_ = 0;

  std::deque<Operation> shown_;
  uint64_t failed_block_ = kNothing;
  Operation failed_{};
  std::string why_;
};

class HeapChecker final : public ModelChecker {
 public:
  std::string_view name() const override { return HeapModel::kName; }
  std::string_view summary() const override { return HeapModel::kSummary; }
  bool Accepts(Function function) const override { return HeapModel::Accepts(function); }
  SearchResult Check(Condition condition, const Recoveries& recoveries, const EngineLimits& limits,
                     const KeyHistory& recorded, Counterexample* counterexample) const override;
  std::unique_ptr<StreamChecker> NewStream(bool, const EngineLimits& limits) const override {
    return std::make_unique<HeapStream>(limits);
  }
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_HEAP_CHECKER_H_
