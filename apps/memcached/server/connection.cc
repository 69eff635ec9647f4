#include "apps/memcached/server/connection.h"

#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kill9::memcached {
namespace {

constexpr size_t kReadMost = 1 << 20;
constexpr size_t kKeptBytes = 16 << 10;  // a buffer that is empty again is kept up to this size

void ShrinkIfEmpty(std::string& buffer) {
  if (buffer.empty() && buffer.capacity() > kKeptBytes) std::string().swap(buffer);
}

}  // namespace

int64_t ConnectionContext::Tick() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  // Relaxed: it stands for itself.
  const int64_t shift = shared.clock_shift_ms.load(std::memory_order_relaxed);
  const int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + shift;
  items.set_now_ms(now_ms);
  return now_ms;
}

void Connection::Begin(ConnectionContext& context, int fd) {
  auto& all = context.connections;
  all.push_front(std::unique_ptr<Connection>(new Connection(context, fd)));
  Connection& self = *all.front();
  self.place_ = all.begin();
  self.active_ms_ = context.items.now_ms();
  self.readable_ = event_new(context.base, fd, EV_READ | EV_PERSIST, OnEvent, &self);
  self.writable_ = event_new(context.base, fd, EV_WRITE, OnEvent, &self);
  event_add(self.readable_, nullptr);
  context.CountConnections();
}

void Connection::Close() {
  ConnectionContext& context = context_;
  context.connections.erase(place_);
  context.CountConnections();
}

Connection::~Connection() {
  event_free(readable_);
  event_free(writable_);
  close(fd_);
  context_.buffered_bytes -= counted_bytes_;
  leases_.TakeAllBack(context_.items);
}

void Connection::OnEvent(int, short what, void* object) {
  auto& self = *static_cast<Connection*>(object);
  self.active_ms_ = self.context_.Tick();
  bool goes_on = true;
  if ((what & EV_WRITE) != 0) {
    goes_on = self.OnWritable();
  } else if ((what & EV_READ) != 0) {
    goes_on = self.OnReadable();
  } else {
    goes_on = self.WorkOnInput();  // its next turn
  }
  if (goes_on) goes_on = self.KeepWithinBounds();
  if (goes_on) {
    self.Watch();
  } else {
    self.Close();
  }
}

bool Connection::OnReadable() {
  const bool begins = input_.empty();
  const size_t had = input_.size();
  std::span<char> room = context_.read_buffer;
  if (!begins) {
    const size_t wanted = std::max(needed_, had + 1) - had;
    input_.resize(had + std::clamp(wanted, room.size(), kReadMost));
    room = {input_.data() + had, input_.size() - had};
  }
  const ssize_t got = recv(fd_, room.data(), room.size(), MSG_DONTWAIT);
  if (!begins) input_.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  context_.slot.Add(Counter::kBytesRead, static_cast<uint64_t>(got));
  if (!begins) return WorkOnInput();
  const std::string_view fresh(room.data(), static_cast<size_t>(got));
  const size_t done = Work(fresh);
  input_.assign(fresh.substr(done));
  return Send();
}

bool Connection::WorkOnInput() {
  input_.erase(0, Work(input_));
  ShrinkIfEmpty(input_);
  return Send();
}

bool Connection::OnWritable() {
  const int64_t sent = SendSome(fd_, unsent_);
  if (sent < 0) return false;
  context_.slot.Add(Counter::kBytesWritten, static_cast<uint64_t>(sent));
  unsent_.erase(0, static_cast<size_t>(sent));
  if (!unsent_.empty()) return true;
  ShrinkIfEmpty(unsent_);
  if (ends_) return false;
  return WorkOnInput();
}

size_t Connection::Work(std::string_view input) {
  size_t at = 0;
  yields_ = false;
  for (uint64_t requests = 0; at < input.size() && unsent_.empty() && !ends_ && !broken_;) {
    if (skip_ > 0) {
      const size_t passed = std::min(skip_, input.size() - at);
      skip_ -= passed;
      at += passed;
      continue;
    }
    if (requests++ == context_.options.requests_per_turn) {
      context_.slot.Add(Counter::kConnectionYields);
      yields_ = true;
      break;
    }
    const Parsed parsed =
        ParseRequest(input.substr(at), context_.options.value_bytes_most, &context_.request);
    needed_ = parsed.needed;
    if (parsed.outcome == ParseOutcome::kNeedMore) break;
    if (parsed.outcome != ParseOutcome::kRequest) {
      Refuse(parsed);
    } else if (!RunRequest()) {
      continue;
    }
    at += parsed.consumed;
  }
  return at;
}

bool Connection::RunRequest() {
  const auto next = context_.executor.Run(context_.request, &keys_done_, &leases_);
  if (next == Executor::Next::kPaused) {
    broken_ = !Send();
    return false;
  }
  keys_done_ = 0;
  if (next == Executor::Next::kClose) ends_ = true;
  // The master ends all workers, this one as well.
  if (next == Executor::Next::kShutDown) kill(context_.shared.master_pid, SIGTERM);
  if (context_.output.full()) broken_ = !Send();
  return true;
}

void Connection::Refuse(const Parsed& parsed) {
  if (parsed.drops_key) context_.executor.DropTooLarge(context_.request);
  if (!parsed.answer.empty()) context_.output.AppendLine(parsed.answer);
  skip_ = parsed.skip;
  if (parsed.outcome == ParseOutcome::kHangUp) ends_ = true;
}

bool Connection::Send() {
  if (broken_) {
    context_.output.Clear();
    return false;
  }
  uint64_t written = 0;
  if (context_.output.size() > 0 && !context_.output.Send(fd_, &unsent_, &written)) return false;
  context_.slot.Add(Counter::kBytesWritten, written);
  return !ends_ || !unsent_.empty();
}

void Connection::Watch() {
  if (!unsent_.empty()) {
    event_del(readable_);
    event_add(writable_, nullptr);
  } else {
    if (!event_pending(readable_, EV_READ, nullptr)) event_add(readable_, nullptr);
    if (yields_) event_active(readable_, EV_TIMEOUT, 0);
  }
}

bool Connection::KeepWithinBounds() {
  const uint64_t bytes = (input_.empty() ? 0 : input_.capacity()) +
                         (unsent_.empty() ? 0 : unsent_.capacity()) + leases_.bytes();
  context_.buffered_bytes += bytes - counted_bytes_;
  counted_bytes_ = bytes;
  if (context_.buffered_bytes <= context_.options.buffer_bytes_most) return true;
  context_.slot.Add(Counter::kOutOfBuffers);
  SendSome(fd_, "SERVER_ERROR out of memory reading request\r\n");
  return false;
}

}  // namespace kill9::memcached
