#include "harness/checker/models/heap_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/checker/models/checkers.h"
#include "harness/checker/whole_by_stream.h"

namespace kill9 {
namespace {

bool LetsGo(const Operation& operation) {
  if (HeapModel::WasRefused(operation)) return false;
  const bool to_itself = SizeOrOwnerOf(operation) == CallerOf(operation);
  return operation.function == Function::kFree ||
         (operation.function == Function::kTransfer && !to_itself);
}

template <typename Owners>
void Remove(uint64_t owner, Owners* owners) {
  const auto place = std::find(owners->begin(), owners->end(), owner);
  if (place != owners->end()) owners->erase(place);
}

}  // namespace

SearchResult HeapStream::Add(const Operation& operation) {
  shown_.push_back(operation);
  if (shown_.size() > kShownMost) shown_.pop_front();
  SearchResult answer = ReturnAllBefore(operation.invoke);
  if (answer != SearchResult::kLinearizable) return answer;
  if (!under_way_.empty()) ++overlapping_;
  Block& block = blocks_[operation.argument];
  NoteCall(operation, &block);
  answer = Invoke(operation, &block);
  if (answer != SearchResult::kLinearizable) return Answer(answer, operation);
  under_way_.push(operation);
  return answer;
}

SearchResult HeapStream::ReturnAllBefore(uint64_t time) {
  while (!under_way_.empty() && under_way_.top().finish < time) {
    const Operation operation = under_way_.top();
    under_way_.pop();
    const SearchResult answer = OnReturn(operation);
    if (answer != SearchResult::kLinearizable) return Answer(answer, operation);
  }
  return SearchResult::kLinearizable;
}

SearchResult HeapStream::OnReturn(const Operation& operation) {
  const uint64_t name = operation.argument;
  if (!IsOptional(operation) && !taken_for_dead_.empty()) {
    const auto dead = taken_for_dead_.find(CallerOf(operation));
    if (dead != taken_for_dead_.end() && dead->second.since < operation.finish) {
      return Fail(dead->second.block, operation,
                  "B3: its room was given to another block, and its owner goes on");
    }
  }
  Block& block = blocks_[name];
  NoteReturn(operation, &block);
  const SearchResult answer = Return(operation, &block);
  if (answer != SearchResult::kLinearizable) return answer;
  if (operation.function == Function::kAllocate) {
    // Of one that was cut off nobody knows the block.
    if (IsOptional(operation)) {
      blocks_.erase(name);
      return answer;
    }
    return TakePlace(operation);
  }
  ForgetIfGone(name);
  return answer;
}

SearchResult HeapStream::Invoke(const Operation& operation, Block* block) {
  if (block->engine == nullptr) {
    if (!block->is_under_way) {
      block->under_way = operation;
      block->is_under_way = true;
      return SearchResult::kLinearizable;
    }
    block->engine = std::make_unique<BlockEngine>(std::vector{block->state}, limits_);
    block->is_under_way = false;
    const SearchResult answer = block->engine->Invoke(HeapModel::OfBlock(block->under_way));
    if (answer != SearchResult::kLinearizable) return answer;
  }
  return block->engine->Invoke(HeapModel::OfBlock(operation));
}

SearchResult HeapStream::Return(const Operation& operation, Block* block) {
  if (block->engine == nullptr) {
    if (!block->is_under_way) return SearchResult::kLinearizable;  // with another one of its time
    block->is_under_way = false;
    if (!IsOptional(operation)) {
      return HeapModel::Step(HeapModel::OfBlock(operation), &block->state)
                 ? SearchResult::kLinearizable
                 : SearchResult::kViolated;
    }
    block->engine = std::make_unique<BlockEngine>(std::vector{block->state}, limits_);
    const SearchResult answer = block->engine->Invoke(HeapModel::OfBlock(operation));
    if (answer != SearchResult::kLinearizable) return answer;
  }
  return ReturnUntil(operation.finish, block);
}

SearchResult HeapStream::ReturnUntil(uint64_t finish, Block* block) {
  const SearchResult answer = block->engine->ReturnAllBefore(finish + 1);
  if (answer != SearchResult::kLinearizable) return answer;
  // Back to one state where the engine has come to it.
  if (!block->engine->quiescent() || block->engine->configurations().size() != 1) return answer;
  block->state = block->engine->configurations().front().state;
  block->engine.reset();
  return answer;
}

void HeapStream::ForgetIfGone(uint64_t name) {
  const auto entry = blocks_.find(name);
  if (entry == blocks_.end()) return;
  Block& block = entry->second;
  if (block.engine != nullptr || block.is_under_way || !block.state.owners.empty()) return;
  if (block.has_place) places_.erase(block.offset);
  blocks_.erase(entry);
}

SearchResult HeapStream::TakePlace(const Operation& allocation) {
  const uint64_t begin = allocation.result;
  const uint64_t end = begin + SizeOrOwnerOf(allocation);
  if (begin == end) return SearchResult::kLinearizable;
  std::vector<uint64_t> overlapped;
  auto place = places_.upper_bound(begin);
  if (place != places_.begin() && std::prev(place)->second.end > begin) --place;
  while (place != places_.end() && place->first < end) {
    if (place->second.since != allocation.finish) {
      overlapped.push_back((place++)->second.block);
      continue;
    }
    // Which of the two came first is not known.
    blocks_.at(place->second.block).has_place = false;
    place = places_.erase(place);
  }
  for (const uint64_t other : overlapped) {
    const SearchResult answer = GiveAway(allocation, other);
    if (answer != SearchResult::kLinearizable) return answer;
  }
  const auto entry = blocks_.find(allocation.argument);
  Block& block = entry->second;
  block.has_place = true;
  block.offset = begin;
  places_[begin] = {end, allocation.argument, allocation.finish};
  return SearchResult::kLinearizable;
}

void HeapStream::NoteCall(const Operation& operation, Block* block) {
  if (LetsGo(operation)) {
    block->letting_go.push_back(CallerOf(operation));
    for (Question& question : block->questions) Remove(CallerOf(operation), &question.owners);
  } else if (operation.function == Function::kOwners) {
    block->questions.push_back({operation.process, SureOwners(*block)});
  }
}

void HeapStream::NoteReturn(const Operation& operation, Block* block) {
  if (LetsGo(operation)) Remove(CallerOf(operation), &block->letting_go);
  if (operation.function != Function::kOwners) return;
  const auto question =
      std::find_if(block->questions.begin(), block->questions.end(),
                   [&](const Question& one) { return one.process == operation.process; });
  if (question == block->questions.end()) return;
  for (const uint64_t owner : question->owners) {
    if ((operation.result & OwnerBit(owner)) != 0) continue;
    taken_for_dead_.try_emplace(owner, Death{operation.finish, operation.argument});
  }
  block->questions.erase(question);
}

HeapStream::Owners HeapStream::SureOwners(const Block& block) {
  const HeapModel::State& first =
      block.engine == nullptr ? block.state : block.engine->configurations().front().state;
  Owners sure;
  for (const uint64_t owner : first.owners) {
    bool owns = std::find(block.letting_go.begin(), block.letting_go.end(), owner) ==
                block.letting_go.end();
    if (block.engine != nullptr) {
      for (const auto& configuration : block.engine->configurations()) {
        owns = owns && HeapModel::Owns(configuration.state, owner);
      }
    }
    if (owns) sure.push_back(owner);
  }
  return sure;
}

SearchResult HeapStream::GiveAway(const Operation& allocation, uint64_t name) {
  Block& block = blocks_.at(name);
  places_.erase(block.offset);
  block.has_place = false;
  for (const uint64_t owner : SureOwners(block)) {
    taken_for_dead_.try_emplace(owner, Death{allocation.finish, name});
  }
  SearchResult answer = SearchResult::kLinearizable;
  const Operation gone = HeapModel::RoomGivenAway(allocation);
  if (block.engine == nullptr && !block.is_under_way) {
    if (!HeapModel::Step(HeapModel::OfBlock(gone), &block.state)) answer = SearchResult::kViolated;
  } else {
    answer = Invoke(gone, &block);
    if (answer == SearchResult::kLinearizable) answer = ReturnUntil(allocation.finish, &block);
  }
  if (answer == SearchResult::kViolated) {
    return Fail(name, allocation, "B2: its room was given to another block of its owner");
  }
  if (answer != SearchResult::kLinearizable) return answer;
  ForgetIfGone(name);
  return SearchResult::kLinearizable;
}

SearchResult HeapStream::Fail(uint64_t block, const Operation& operation, std::string why) {
  failed_block_ = block;
  failed_ = operation;
  why_ = std::move(why);
  return SearchResult::kViolated;
}

SearchResult HeapStream::Answer(SearchResult answer, const Operation& operation) {
  if (answer == SearchResult::kViolated && why_.empty()) {
    Fail(operation.argument, operation, "B1: the block's owners are not in any order");
  }
  return answer;
}

// The operations of the block, those in its place, and what was under way at the end.
Counterexample HeapStream::Explain() const {
  Counterexample result;
  result.model = HeapModel::kName;
  result.key = failed_.key;
  result.initial_states = {why_};
  uint64_t begin = 0;
  uint64_t end = 0;
  for (const Operation& one : shown_) {
    if (one.function != Function::kAllocate || one.argument != failed_block_) continue;
    begin = one.result;
    end = begin + SizeOrOwnerOf(one);
  }
  const auto is_failed = [this](const Operation& one) {
    return one.process == failed_.process && one.invoke == failed_.invoke;
  };
  for (const Operation& one : shown_) {
    const bool in_its_place = one.function == Function::kAllocate && one.result < end &&
                              one.result + SizeOrOwnerOf(one) > begin;
    if (one.argument == failed_block_ || in_its_place || is_failed(one)) {
      result.operations.push_back(one);
    }
  }
  for (size_t i = 0; i < result.operations.size(); ++i) {
    if (is_failed(result.operations[i])) result.failed = i;
  }
  result.unplaceable = {result.failed};
  return result;
}

SearchResult HeapChecker::Check(Condition condition, const Recoveries& recoveries,
                                const EngineLimits& limits, const KeyHistory& recorded,
                                Counterexample* counterexample) const {
  return CheckWholeByStream(HeapStream(limits), condition, recoveries, recorded, counterexample);
}

const ModelChecker& TheHeapChecker() {
  static const HeapChecker checker;
  return checker;
}

}  // namespace kill9
