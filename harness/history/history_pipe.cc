#include "harness/history/history_pipe.h"

#include <sys/mman.h>

#include <bit>

namespace kill9 {
namespace {

constexpr Function kSettled = static_cast<Function>(255);

}  // namespace

absl::StatusOr<std::unique_ptr<HistoryPipe>> HistoryPipe::Create(uint64_t capacity) {
  if (!std::has_single_bit(capacity)) {
    return absl::InvalidArgumentError("a history pipe's capacity is a power of two");
  }
  const size_t bytes = 4096 + capacity * sizeof(Operation);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return absl::ResourceExhaustedError("no memory for a history pipe");
  return std::unique_ptr<HistoryPipe>(new HistoryPipe(static_cast<char*>(memory), bytes, capacity));
}

HistoryPipe::HistoryPipe(char* base, size_t bytes, uint64_t capacity)
    : base_(base),
      bytes_(bytes),
      capacity_(capacity),
      head_(reinterpret_cast<Head*>(base)),
      entries_(reinterpret_cast<Operation*>(base + 4096)) {
  static_assert(sizeof(Head) <= 4096);
}

HistoryPipe::~HistoryPipe() { munmap(base_, bytes_); }

uint64_t HistoryPipe::room() const {
  // Acquire: pairs with the release in Read; what was read may be overwritten.
  return capacity_ - (head_->written.load(std::memory_order_relaxed) -
                      head_->read.load(std::memory_order_acquire));
}

void HistoryPipe::Write(const std::vector<Operation>& operations, uint64_t settled) {
  uint64_t at = head_->written.load(std::memory_order_relaxed);
  for (const Operation& operation : operations) entries_[at++ & (capacity_ - 1)] = operation;
  Operation mark{};
  mark.function = kSettled;
  mark.invoke = settled;
  entries_[at++ & (capacity_ - 1)] = mark;
  head_->written.store(at, std::memory_order_release);  // pairs with the acquire in Read
}

void HistoryPipe::Close() { head_->closed.store(1, std::memory_order_release); }

bool HistoryPipe::closed() const { return head_->closed.load(std::memory_order_acquire) != 0; }

bool HistoryPipe::Read(std::vector<Operation>* operations, uint64_t* settled) {
  uint64_t at = head_->read.load(std::memory_order_relaxed);
  // Acquire: pairs with the release in Write, which writes whole batches: a mark is there.
  if (at == head_->written.load(std::memory_order_acquire)) return false;
  for (;; ++at) {
    const Operation& entry = entries_[at & (capacity_ - 1)];
    if (entry.function == kSettled) break;
    operations->push_back(entry);
  }
  *settled = entries_[at & (capacity_ - 1)].invoke;
  head_->read.store(at + 1, std::memory_order_release);  // pairs with the acquire in room
  return true;
}

}  // namespace kill9
