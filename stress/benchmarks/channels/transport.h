// What the benchmark of channels measures: the designs, what other systems pass messages with, and
// bare rings that show what the hardware allows. All behind one interface, so that they can be
// taken in turn within each round of one run.
#ifndef KILL9_STRESS_BENCHMARKS_CHANNELS_TRANSPORT_H_
#define KILL9_STRESS_BENCHMARKS_CHANNELS_TRANSPORT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment/processor.h"

namespace kill9::transports {

// Ends the process: of a measurement nothing is left that would mean anything.
[[noreturn]] void Die(std::string_view what);
template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}
inline void Must(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

// Messages, known from their numbers: bytes from a common block, so that no source is cold.
class Load {
 public:
  static Load OfSizesUpTo(size_t most_bytes, size_t messages);  // 1 to most_bytes, drawn
  static Load OfSize(size_t bytes, size_t messages);

  size_t count() const { return sizes_.size(); }
  size_t largest_bytes() const { return largest_bytes_; }
  uint64_t total_bytes() const { return total_bytes_; }
  std::string_view message(size_t i) const { return {bytes_.data() + i % kShifts, sizes_[i]}; }
  // As cheap as a check can be.
  void Check(size_t i, std::string_view got) const {
    if (got.size() != sizes_[i] || got.back() != message(i).back()) Die("a wrong message came");
  }

 private:
  static constexpr size_t kShifts = 256;
  Load(size_t largest_bytes, std::vector<uint32_t> sizes);

  size_t largest_bytes_;
  uint64_t total_bytes_ = 0;
  std::vector<uint32_t> sizes_;
  std::string bytes_;
};

// A part of a load: what one of several senders sends, or one of several receivers gets.
struct Part {
  size_t begin;
  size_t count;
  size_t batch = 1;      // how many a call sends, and takes at most
  bool in_order = true;  // one sender and one receiver: each message is known
};

// How an end waits: it looks again and again; it calls again and again with calls that do not wait
// (what differs of a channel only); it sleeps in the kernel.
enum class Wait : uint8_t { kSpinning, kPolling, kSleeping };
enum class Side : uint8_t { kSends, kReceives };

// One end, in the process that opened it.
class Port {
 public:
  virtual ~Port() = default;
  virtual void Send(std::string_view message) = 0;
  virtual void Receive(std::string* message) = 0;
  // Of a broadcast: how many messages the sender has overwritten that this end never got, up to the
  // one that it received last.
  virtual uint64_t missed() const { return 0; }
  virtual void SendPart(const Load& load, const Part& part) = 0;
  virtual void ReceivePart(const Load& load, const Part& part) = 0;
  // Filled in place, and read in place: one byte of each. Where TransportKind::in_place.
  virtual void SendInPlace(size_t, size_t) { Die("has no room to fill in place"); }
  virtual void ReceiveInPlace(size_t) { Die("cannot show a message in place"); }
  // Receives a message, and gives it up only after `use` has seen it, where the transport knows
  // such a thing.
  virtual void Use(absl::FunctionRef<void(std::string_view message, bool redelivered)> use) {
    Receive(&used_);
    use(used_, false);
  }

 private:
  std::string used_;
};

// The loops over what `Own` does with one message and with a batch; compiled into one.
//
//     size_t SendBatch(const Load& load, size_t begin, size_t count)      optional
//     template <typename See> size_t ReceiveBatch(size_t most, See see)   optional; how many
template <typename Own>
class PortOf : public Port {
 public:
  void SendPart(const Load& load, const Part& part) final {
    for (size_t i = 0; i < part.count;) {
      const size_t count = std::min(part.batch, part.count - i);
      own().SendBatch(load, part.begin + i, count);
      i += count;
    }
  }
  void ReceivePart(const Load& load, const Part& part) final {
    for (size_t got = 0; got < part.count;) {
      size_t number = part.begin + got;
      got += own().ReceiveBatch(part.batch, [&](std::string_view message) {
        if (part.in_order) load.Check(number++, message);
      });
    }
  }
  void SendBatch(const Load& load, size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count; ++i) own().Send(load.message(i));
  }
  template <typename See>
  size_t ReceiveBatch(size_t, See see) {
    own().Receive(&message_);
    see(std::string_view(message_));
    return 1;
  }

 private:
  Own& own() { return static_cast<Own&>(*this); }
  std::string message_;
};

// One direction. Made before the processes fork; it lives in all of them.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::unique_ptr<Port> Open(Side side, Wait wait) = 0;
};

struct TransportKind {
  std::string name;
  std::string role;  // "design", "baseline", "peer", "limit"
  size_t most_bytes = SIZE_MAX;
  bool batches = false;     // there is a call that sends, or takes, many
  bool many = false;        // any number of senders and of receivers
  bool spins = false;       // an end can wait without the kernel
  bool polls = false;       // it can also be asked by calls that do not wait
  bool sleeps = false;      // an end can wait in the kernel
  bool in_place = false;    // messages are filled and read in place
  bool broadcasts = false;  // each receiver gets each message that is not overwritten meanwhile
  bool reopens = true;      // an end may be opened anew when its process has died
  // Of a transport for messages of at most so many bytes.
  std::function<std::unique_ptr<Transport>(size_t largest_bytes)> make;
};

std::vector<TransportKind> Designs();  // every registered channel: designs, baselines, peers
std::vector<TransportKind> BareRings();
std::vector<TransportKind> KernelTransports();  // sockets, pipe, message queue
// Those whose libraries were found when this was built.
std::vector<TransportKind> LibqbRings();
std::vector<TransportKind> Iceoryx();
std::vector<TransportKind> AllTransports();
// Why one that could have been built in is not there; empty: all are.
std::vector<std::string> MissingTransports();

}  // namespace kill9::transports

#endif  // KILL9_STRESS_BENCHMARKS_CHANNELS_TRANSPORT_H_
