#include "apps/memcached/server/worker.h"

#include <event2/event.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "apps/cluster/cluster.h"
#include "apps/memcached/server/connection.h"
#include "apps/server/disk_writer.h"
#include "apps/server/master.h"

namespace kill9::memcached {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr timeval kEverySecond = {1, 0};
constexpr timeval kGiveWay = {0, 2000};
constexpr timeval kFarewell = {1, 0};

class Worker {
 public:
  Worker(const ServerParts& parts, int index, server::Cluster& stores)
      : parts_(parts),
        index_(index),
        slot_(parts.shared->slots[static_cast<size_t>(index)]),
        items_(stores, parts.options.uses_cas),
        executor_(parts.options, items_, *parts.shared, slot_, output_),
        read_buffer_(kReadBytes),
        base_(event_base_new()),
        context_{.options = parts.options,
                 .items = items_,
                 .executor = executor_,
                 .output = output_,
                 .shared = *parts.shared,
                 .slot = slot_,
                 .base = base_,
                 .read_buffer = read_buffer_} {}

  int Run() {
    if (base_ == nullptr) return 1;
    context_.Tick();
    for (const int fd : parts_.listeners) {
      accepts_.push_back(event_new(base_, fd, EV_READ | EV_PERSIST, OnArrival, this));
      event_add(accepts_.back(), nullptr);
    }
    event_add(event_new(base_, -1, EV_PERSIST, OnSecond, this), &kEverySecond);
    event_add(
        event_new(base_, parts_.hand_over->Inbox(index_), EV_READ | EV_PERSIST, OnLetter, this),
        nullptr);
    AskForConnection();
    for (const int signal : {SIGTERM, SIGINT}) {
      event_add(evsignal_new(base_, signal, OnEnd, this), nullptr);
    }
    return event_base_dispatch(base_) < 0 ? 1 : 0;
  }

 private:
  // Level-triggered: who is not taken up now wakes up all of us again. Who has more clients than
  // another one leaves it the next for a moment; if nobody takes it (the other may be stopped), it
  // does so itself.
  static void OnArrival(int fd, short, void* object) {
    auto& self = *static_cast<Worker*>(object);
    self.context_.Tick();
    if (!self.HasMoreThanAnother()) return self.Accept(fd);
    for (event* accept : self.accepts_) event_del(accept);
    event_base_once(self.base_, -1, EV_TIMEOUT, OnGaveWay, object, &kGiveWay);
  }
  static void OnGaveWay(int, short, void* object) {
    auto& self = *static_cast<Worker*>(object);
    if (self.ending_) return;
    self.context_.Tick();
    for (const int fd : self.parts_.listeners) self.Accept(fd);
    for (event* accept : self.accepts_) event_add(accept, nullptr);
  }

  bool HasMoreThanAnother() const {
    const uint64_t mine = context_.connections.size();
    for (int i = 0; i < parts_.shared->workers; ++i) {
      const WorkerSlot& other = parts_.shared->slots[static_cast<size_t>(i)];
      // Relaxed: a hint.
      if (other.pid.load(std::memory_order_relaxed) != 0 &&
          other.connections.load(std::memory_order_relaxed) < mine) {
        return true;
      }
    }
    return false;
  }

  void Accept(int listener) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;  // another worker has it, or the client has gone
    if (parts_.shared->Connections() >= parts_.options.connections_most) {
      SendSome(fd, "ERROR Too many open connections\r\n");
      close(fd);
      slot_.Add(Counter::kRejectedConnections);
      return;
    }
    Connection::Begin(context_, fd);
    slot_.Add(Counter::kTotalConnections);
  }

  void AskForConnection() {
    parts_.hand_over->Ask(index_, [this](int worker) {
      const WorkerSlot& slot = parts_.shared->slots[static_cast<size_t>(worker)];
      // Relaxed: hints.
      return slot.pid.load(std::memory_order_relaxed) == 0
                 ? 0
                 : slot.connections.load(std::memory_order_relaxed);
    });
  }

  void GiveConnection(int to) {
    const WorkerSlot& other = parts_.shared->slots[static_cast<size_t>(to)];
    // Relaxed: a hint.
    const uint64_t theirs = other.connections.load(std::memory_order_relaxed);
    if (!ending_) parts_.hand_over->Give(index_, to, context_.connections, theirs);
  }

  static void OnLetter(int, short, void* object) {
    auto& self = *static_cast<Worker*>(object);
    server::HandOver::Letter letter;
    if (!self.parts_.hand_over->Take(self.index_, &letter)) return;
    if (letter.connection < 0) return self.GiveConnection(letter.from);
    self.context_.Tick();
    Connection::Begin(self.context_, letter.connection);
    self.AskForConnection();
  }

  static void OnSecond(int, short, void* object) {
    auto& self = *static_cast<Worker*>(object);
    const int64_t now_ms = self.context_.Tick();
    auto& all = self.context_.connections;
    for (auto next = all.begin(); next != all.end();) {
      Connection& one = **next++;
      const bool stalls = one.has_something_under_way();
      const int64_t seconds =
          stalls ? self.parts_.options.stall_seconds : self.parts_.options.idle_seconds;
      if (seconds == 0 || now_ms - one.active_ms() < seconds * 1000) continue;
      self.slot_.Add(Counter::kIdleKicks);
      one.Close();
    }
    if (!self.ending_) self.AskForConnection();
  }

  // Who has nothing under way ends now, the others may take a second.
  static void OnEnd(int, short, void* object) {
    auto& self = *static_cast<Worker*>(object);
    self.ending_ = true;
    for (event* accept : self.accepts_) event_del(accept);
    auto& all = self.context_.connections;
    for (auto next = all.begin(); next != all.end();) {
      Connection& one = **next++;
      if (!one.has_something_under_way()) one.Close();
    }
    const timeval at_once = {0, 0};
    event_base_loopexit(self.base_, all.empty() ? &at_once : &kFarewell);
  }

  const ServerParts& parts_;
  const int index_;
  WorkerSlot& slot_;
  Items items_;
  Output output_;
  Executor executor_;
  std::vector<char> read_buffer_;
  event_base* base_;
  ConnectionContext context_;
  std::vector<event*> accepts_;
  bool ending_ = false;
};

}  // namespace

int RunWorker(const ServerParts& parts, int index) {
  const auto stores = server::Cluster::Attach(*parts.design, parts.segments);
  if (!stores.ok()) {
    std::fprintf(stderr, "kill9-memcached: a worker cannot join: %s\n",
                 std::string(stores.status().message()).c_str());
    return 1;
  }
  if (parts.options.may_move_clock) Expiry::MoveClock(&parts.shared->clock_shift_ms);
  std::vector<std::unique_ptr<server::DiskWriter>> disk_writers;
  if (parts.options.disk_seconds > 0 && !parts.options.files.empty()) {
    for (const std::shared_ptr<Segment>& segment : parts.segments) {
      auto opened = server::DiskWriter::Open(segment->fd());
      if (!opened.ok()) {
        std::fprintf(stderr, "kill9-memcached: --disk-seconds: %s\n",
                     std::string(opened.status().message()).c_str());
        return server::kHopeless;
      }
      disk_writers.push_back(*std::move(opened));
      disk_writers.back()->Begin(parts.options.disk_seconds, &parts.shared->disk_writes);
    }
  }
  // It ends with the process, after its participant has left in order.
  Worker worker(parts, index, **stores);
  return worker.Run();
}

}  // namespace kill9::memcached
