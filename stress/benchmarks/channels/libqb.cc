// libqb's ring buffer: one writer and one reader; what Corosync and Pacemaker pass messages with.
// The reader waits on a semaphore in the ring; a writer that finds no room is told so, and tries
// again.
#include "stress/benchmarks/channels/transport.h"

#ifdef KILL9_HAVE_LIBQB
#include <qb/qbrb.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace kill9::transports {
namespace {

constexpr size_t kLeastRingBytes = 1 << 20;

class RingPort final : public PortOf<RingPort> {
 public:
  RingPort(qb_ringbuffer_t* ring, size_t largest_bytes, Wait wait)
      : ring_(ring), timeout_ms_(wait == Wait::kSleeping ? -1 : 0), room_(largest_bytes, '\0') {}
  ~RingPort() override { qb_rb_close(ring_); }

  void Send(std::string_view message) override {
    for (;;) {
      const ssize_t written = qb_rb_chunk_write(ring_, message.data(), message.size());
      if (written >= 0) return;
      if (written != -EAGAIN) Die("qb_rb_chunk_write failed");
      sched_yield();
    }
  }
  void Receive(std::string* message) override {
    for (;;) {
      const ssize_t got = qb_rb_chunk_read(ring_, room_.data(), room_.size(), timeout_ms_);
      if (got > 0) {
        message->assign(room_.data(), static_cast<size_t>(got));
        return;
      }
      if (got != -ETIMEDOUT && got != -EAGAIN && got != 0) {
        Die(absl::StrCat("qb_rb_chunk_read failed: ", got));
      }
    }
  }

 private:
  qb_ringbuffer_t* const ring_;
  const int32_t timeout_ms_;
  std::string room_;
};

class RingTransport final : public Transport {
 public:
  explicit RingTransport(size_t largest_bytes)
      : name_(absl::StrCat("kill9-benchmark-", getpid(), "-", ++made_)),
        largest_bytes_(largest_bytes),
        maker_(Open(QB_RB_FLAG_CREATE)),
        made_by_(getpid()) {}
  ~RingTransport() override {
    if (getpid() == made_by_) qb_rb_close(maker_);  // removes its files
  }
  std::unique_ptr<Port> Open(Side, Wait wait) override {
    return std::make_unique<RingPort>(Open(0), largest_bytes_, wait);
  }

 private:
  qb_ringbuffer_t* Open(uint32_t flags) const {
    qb_ringbuffer_t* ring = qb_rb_open(name_.c_str(), std::max(kLeastRingBytes, 8 * largest_bytes_),
                                       flags | QB_RB_FLAG_SHARED_PROCESS, 0);
    if (ring == nullptr) Die("qb_rb_open failed");
    return ring;
  }

  inline static int made_ = 0;
  const std::string name_;
  const size_t largest_bytes_;
  qb_ringbuffer_t* const maker_;
  const pid_t made_by_;
};

}  // namespace

std::vector<TransportKind> LibqbRings() {
  return {{.name = "libqb_ring",
           .role = "peer",
           .spins = true,
           .sleeps = true,
           .make = [](size_t bytes) { return std::make_unique<RingTransport>(bytes); }}};
}

}  // namespace kill9::transports
#else
namespace kill9::transports {
std::vector<TransportKind> LibqbRings() { return {}; }
}  // namespace kill9::transports
#endif
