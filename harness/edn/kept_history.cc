#include "harness/edn/kept_history.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "harness/base/text/write_text.h"
#include "harness/edn/edn.h"

namespace kill9 {
namespace {

bool IsOnAKey(const Operation& operation) {
  return RowOf(operation.function).target == Target::kValue;
}

// Whatever the key held before, it holds the argument after it.
bool SaysWhatTheKeyHolds(const Operation& operation) {
  const FunctionRow& row = RowOf(operation.function);
  return operation.outcome == Outcome::kOk && row.effect == Effect::kWrites &&
         row.argument == Field::kValue && row.expected == Field::kUnused;
}

// From which of its kept operations on a key's history says something.
struct Beginning {
  uint64_t busy_until = 0;
  uint64_t candidate = kNever;  // the call of a put that nothing overlaps so far
  uint64_t candidate_ends = 0;
  uint64_t from = kNever;

  void Note(const Operation& operation) {
    if (from != kNever) return;
    if (candidate != kNever) {
      if (operation.invoke > candidate_ends) {
        from = candidate;
        return;
      }
      candidate = kNever;
    }
    if (operation.invoke > busy_until && SaysWhatTheKeyHolds(operation)) {
      candidate = operation.invoke;
      candidate_ends = operation.finish;
    }
    busy_until = std::max(busy_until, operation.finish);
  }
};

}  // namespace

void KeptHistory::Add(std::span<const Operation> operations) {
  added_ += operations.size();
  for (const Operation& operation : operations) {
    if (taken_ == taken_most_) return;
    ++taken_;
    if (ring_.size() < most_) {
      ring_.push_back(operation);
      continue;
    }
    forgotten_until_ = std::max(forgotten_until_, ring_[oldest_].finish);
    ring_[oldest_] = operation;
    if (++oldest_ == most_) oldest_ = 0;
  }
}

void KeptHistory::EndSoon() {
  if (taken_most_ == ~uint64_t{0}) taken_most_ = taken_ + most_ / 4;
}

KeptHistory::Kept KeptHistory::Take() const {
  Kept kept{ring_, added_ == ring_.size(), true};
  SortByInvocation(&kept.operations);
  if (kept.whole) return kept;
  kept.checkable = std::all_of(ring_.begin(), ring_.end(), [](const Operation& operation) {
    return IsOnAKey(operation) || RowOf(operation.function).target == Target::kObject;
  });
  if (kept.checkable) kept.operations = Checkable(std::move(kept.operations));
  return kept;
}

std::vector<Operation> KeptHistory::Checkable(std::vector<Operation> kept) const {
  absl::flat_hash_map<uint64_t, Beginning> beginnings;
  for (const Operation& operation : kept) {
    if (!IsOnAKey(operation)) continue;
    beginnings.try_emplace(operation.key, Beginning{.busy_until = forgotten_until_})
        .first->second.Note(operation);
  }
  std::erase_if(kept, [&beginnings](const Operation& operation) {
    return IsOnAKey(operation) && operation.invoke < beginnings.at(operation.key).from;
  });
  return kept;
}

HistoryFile WriteHistory(const KeptHistory& history, const Naming& naming,
                         const std::string& path) {
  const KeptHistory::Kept kept = history.Take();
  HistoryFile file{.path = path,
                   .why = "",
                   .operations = kept.operations.size(),
                   .of = history.added(),
                   .whole = kept.whole,
                   .checkable = kept.checkable};
  const absl::Status written =
      WriteTextInFolder(WriteEdn(kept.operations, naming), path, "the history");
  if (!written.ok()) {
    file.why = std::string(written.message());
    file.path.clear();
  }
  return file;
}

}  // namespace kill9
