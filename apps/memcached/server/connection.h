// One client: what it sent and is not answered, and what it was answered and has not read.
//
// Memory: a client that has nothing under way holds no buffer. One that has begun a request holds
// what it sent of it (a value at most), one that does not read its answers what one turn answered;
// it is not read from meanwhile. The worker bounds the sum.
#ifndef KILL9_APPS_MEMCACHED_SERVER_CONNECTION_H_
#define KILL9_APPS_MEMCACHED_SERVER_CONNECTION_H_

#include <event2/event.h>

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "apps/memcached/commands/executor.h"
#include "apps/memcached/protocol/parser.h"

namespace kill9::memcached {

class Connection;

// What the connections of a worker share.
struct ConnectionContext {
  const Options& options;
  Items& items;
  Executor& executor;
  Output& output;
  SharedState& shared;
  WorkerSlot& slot;
  event_base* base;
  std::span<char> read_buffer;
  Request request = {};
  uint64_t buffered_bytes = 0;  // of all connections
  std::list<std::unique_ptr<Connection>> connections = {};

  // The time, for all that is done until the next call.
  int64_t Tick();
  // Relaxed: only this worker writes it.
  void CountConnections() { slot.connections.store(connections.size(), std::memory_order_relaxed); }
};

class Connection {
 public:
  // Takes `fd` over, and stands in context.connections until it ends.
  static void Begin(ConnectionContext& context, int fd);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int64_t active_ms() const { return active_ms_; }
  bool has_something_under_way() const { return !input_.empty() || !unsent_.empty() || skip_ > 0; }
  // Another worker can go on with it as if it had just come. What it is to make anew is noted here.
  bool may_be_given_away() const {
    return !has_something_under_way() && leases_.bytes() == 0 && !ends_;
  }
  int fd() const { return fd_; }
  // Ends it: *this is gone.
  void Close();

 private:
  Connection(ConnectionContext& context, int fd) : context_(context), fd_(fd) {}

  static void OnEvent(int fd, short what, void* self);
  // These: false, the connection is to be closed.
  bool OnReadable();
  bool OnWritable();
  bool WorkOnInput();
  bool Send();

  // How much of `input` is done with.
  size_t Work(std::string_view input);
  void Refuse(const Parsed& parsed);
  // Whether the request is done with.
  bool RunRequest();
  // Waits for what comes next.
  void Watch();
  bool KeepWithinBounds();

  ConnectionContext& context_;
  const int fd_;
  event* readable_ = nullptr;
  event* writable_ = nullptr;
  std::list<std::unique_ptr<Connection>>::iterator place_;
  int64_t active_ms_ = 0;
  std::string input_;     // begun, and not answered
  std::string unsent_;    // answered, and not read
  size_t skip_ = 0;       // bytes to come that are passed over
  size_t needed_ = 0;     // bytes of the request that is under way, if that is known
  size_t keys_done_ = 0;  // of the request that has paused
  Leases leases_;
  uint64_t counted_bytes_ = 0;  // of these buffers, in context_.buffered_bytes
  bool ends_ = false;           // when all is sent
  bool broken_ = false;
  bool yields_ = false;  // it had its turn, and has more
};

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_SERVER_CONNECTION_H_
