// What no channel can be faster than: a ring of bytes of one sender and one receiver, in which no
// process dies and no message is longer than the ring. Spinning; and with a futex, on which whoever
// finds nothing sleeps at once.
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstring>

#include "stress/benchmarks/channels/transport.h"

namespace kill9::transports {
namespace {

struct BareRing {
  static constexpr uint64_t kBytes = 1 << 20;
  alignas(128) std::atomic<uint64_t> tail;  // bytes sent
  alignas(128) std::atomic<uint64_t> head;  // bytes received
  alignas(128) std::atomic<uint32_t> news;  // a futex: what both wait on
  std::atomic<uint32_t> sleepers;
  alignas(128) char bytes[kBytes];
};

struct Record {
  static constexpr uint64_t kWraps = ~uint64_t{0};
  uint64_t size;
  static uint64_t Bytes(size_t size) { return sizeof(Record) + (size + 7) / 8 * 8; }
};

template <bool kSleeps>
class BarePort final : public PortOf<BarePort<kSleeps>> {
  // Who looks for sleepers after a change must see them, or be seen; who spins needs no more than
  // the change.
  static constexpr auto kTell = kSleeps ? std::memory_order_seq_cst : std::memory_order_release;

 public:
  explicit BarePort(BareRing& ring) : ring_(ring) {}

  void Send(std::string_view message) override {
    Put(message);
    Flush();
  }
  void Receive(std::string* message) override {
    const std::string_view found = Next();
    message->assign(found.data(), found.size());
    Release();
  }
  // Visible, and given back, at once.
  void SendBatch(const Load& load, size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count; ++i) Put(load.message(i));
    Flush();
  }
  template <typename See>
  size_t ReceiveBatch(size_t most, See see) {
    if (most == 1) return PortOf<BarePort>::ReceiveBatch(1, see);
    see(Next());
    size_t count = 1;
    for (; count < most && head_ != tail_; ++count) see(Next());
    Release();
    return count;
  }
  void Flush() {
    ring_.tail.store(tail_, kTell);
    WakeOther();
  }

 private:
  void Put(std::string_view message) {
    const uint64_t need = Record::Bytes(message.size());
    const uint64_t to_end = BareRing::kBytes - tail_ % BareRing::kBytes;
    const bool wraps = to_end < need + sizeof(Record);
    const uint64_t next = wraps ? tail_ + to_end : tail_;
    if (next + need - head_ > BareRing::kBytes) {
      ring_.tail.store(tail_, std::memory_order_release);
      WaitUntil([&] {
        head_ = ring_.head.load(std::memory_order_seq_cst);
        return next + need - head_ <= BareRing::kBytes;
      });
    }
    if (wraps) At(tail_).size = Record::kWraps;
    At(next).size = message.size();
    std::memcpy(&At(next) + 1, message.data(), message.size());
    tail_ = next + need;
  }
  std::string_view Next() {
    if (head_ == tail_) {
      ring_.head.store(head_, std::memory_order_release);
      WaitUntil([&] {
        tail_ = ring_.tail.load(std::memory_order_seq_cst);
        return head_ != tail_;
      });
    }
    if (At(head_).size == Record::kWraps) head_ += BareRing::kBytes - head_ % BareRing::kBytes;
    const Record& record = At(head_);
    head_ += Record::Bytes(record.size);
    return {reinterpret_cast<const char*>(&record + 1), record.size};
  }
  void Release() {
    ring_.head.store(head_, kTell);
    WakeOther();
  }
  Record& At(uint64_t place) {
    return *reinterpret_cast<Record*>(ring_.bytes + place % BareRing::kBytes);
  }

  template <typename Condition>
  void WaitUntil(Condition holds) {
    while (!holds()) {
      if constexpr (!kSleeps) {
        CpuRelax();
      } else {
        const uint32_t news = ring_.news.load(std::memory_order_seq_cst);
        ring_.sleepers.fetch_add(1, std::memory_order_seq_cst);
        if (!holds()) syscall(SYS_futex, &ring_.news, FUTEX_WAIT, news, nullptr, nullptr, 0);
        ring_.sleepers.fetch_sub(1, std::memory_order_seq_cst);
      }
    }
  }
  void WakeOther() {
    if (!kSleeps || ring_.sleepers.load(std::memory_order_seq_cst) == 0) return;
    ring_.news.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, &ring_.news, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }

  BareRing& ring_;
  uint64_t tail_ = 0, head_ = 0;
};

class BareTransport final : public Transport {
 public:
  BareTransport()
      : ring_(static_cast<BareRing*>(mmap(nullptr, sizeof(BareRing), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    if (ring_ == MAP_FAILED) Die("no room for a bare ring");
  }
  ~BareTransport() override { munmap(ring_, sizeof(BareRing)); }
  std::unique_ptr<Port> Open(Side, Wait wait) override {
    // So that no page fault is measured.
    for (uint64_t at = 0; at < BareRing::kBytes; at += 4096) {
      *static_cast<volatile char*>(ring_->bytes + at) = 0;
    }
    if (wait == Wait::kSleeping) return std::make_unique<BarePort<true>>(*ring_);
    return std::make_unique<BarePort<false>>(*ring_);
  }

 private:
  BareRing* const ring_;
};

TransportKind Kind(const char* name, Wait wait) {
  return {.name = name,
          .role = "limit",
          .most_bytes = BareRing::kBytes / 4,
          .batches = true,
          .spins = wait == Wait::kSpinning,
          .sleeps = wait == Wait::kSleeping,
          .reopens = false,
          .make = [](size_t) { return std::make_unique<BareTransport>(); }};
}

}  // namespace

std::vector<TransportKind> BareRings() {
  return {Kind("bare_ring", Wait::kSpinning), Kind("bare_futex_ring", Wait::kSleeping)};
}

}  // namespace kill9::transports
