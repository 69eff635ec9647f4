#include "apps/http_cache/net/fetch.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kill9::http {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr int64_t kConnectPatience_ms = 5000;
std::array<char, kReadBytes> read_buffer;

}  // namespace

absl::StatusOr<OriginAddress> ResolveOrigin(const std::string& origin) {
  std::string_view text = origin;
  if (text.starts_with("https://"))
    return absl::InvalidArgumentError("an origin behind HTTPS is not supported");
  if (text.starts_with("http://")) text.remove_prefix(7);
  if (text.ends_with('/')) text.remove_suffix(1);
  const size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && text.find(']', colon) == text.npos;
  std::string host(text.substr(0, has_port ? colon : text.size()));
  const std::string port(has_port ? text.substr(colon + 1) : "80");
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0)
    return absl::InvalidArgumentError(absl::StrCat("origin ", origin, ": ", gai_strerror(error)));
  OriginAddress address;
  std::memcpy(&address.name, found->ai_addr, found->ai_addrlen);
  address.name_bytes = found->ai_addrlen;
  address.authority = text;
  freeaddrinfo(found);
  return address;
}

std::unique_ptr<Stream> OriginPool::TakeIdle() {
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Stream> stream = std::move(idle_.back());
  idle_.pop_back();
  return stream;
}

std::unique_ptr<Stream> OriginPool::Connect() {
  const int fd = socket(address_.name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address_.name), address_.name_bytes) != 0 &&
      errno != EINPROGRESS) {
    close(fd);
    return nullptr;
  }
  return std::make_unique<Stream>(loop_->base(), fd, nullptr, Stream::Handler());
}

void OriginPool::GiveBack(std::unique_ptr<Stream> stream) {
  if (idle_.size() >= kMostIdle) return;
  Stream* const idle = stream.get();
  // Whatever an idle connection says, it is used no more.
  const auto drop = [this, idle] {
    idle_.remove_if([&](const std::unique_ptr<Stream>& each) { return each.get() == idle; });
  };
  idle->SetHandler({drop, drop});
  idle->WatchRead(true);
  idle_.push_back(std::move(stream));
}

Fetch::Fetch(OriginPool* pool, Request request, FetchListener* listener, int64_t patience_ms)
    : pool_(pool),
      request_(std::move(request)),
      listener_(listener),
      patience_ms_(patience_ms),
      last_progress_ms_(Loop::MonotonicMs()) {}

void Fetch::Start() {
  pool_->counters()->Add(Counter::kOriginRequests);
  // A request that must not come twice goes over a connection of its own: an idle one may be closed
  // by the origin at this moment, and then nobody knows whether it was heard.
  std::unique_ptr<Stream> idle = request_.may_repeat ? pool_->TakeIdle() : nullptr;
  const bool fresh = idle == nullptr;
  Use(fresh ? pool_->Connect() : std::move(idle), fresh);
}

void Fetch::Use(std::unique_ptr<Stream> stream, bool fresh) {
  stream_ = std::move(stream);
  fresh_ = fresh;
  connecting_ = fresh;
  if (!stream_) return Finish(End::kNoResponse);
  stream_->SetHandler({[this] { OnReadable(); }, [this] { OnWritable(); }});
  stream_->Write(request_.head);
  if (!unsent_body_.empty()) stream_->Write(unsent_body_);
  unsent_body_.clear();
  if (connecting_) return stream_->WatchConnect();
  stream_->WatchRead(!paused_);
  if (!stream_->Flush()) Failed(End::kNoResponse);
}

void Fetch::SendBody(std::string_view bytes) {
  if (ended_) return;
  if (!stream_) {
    unsent_body_.append(bytes);
    return;
  }
  stream_->Write(bytes);
  // A broken connection shows when it is read from: there may be an answer before that.
  if (!connecting_) stream_->Flush();
}

void Fetch::Pause(bool pause) {
  paused_ = pause;
  last_progress_ms_ = Loop::MonotonicMs();
  if (stream_ && !connecting_ && !ended_) stream_->WatchRead(!pause);
}

void Fetch::Drop() {
  listener_ = this;
  ended_ = true;
  stream_.reset();
  pool_->loop()->Bury(this);
}

void Fetch::Tick(int64_t monotonic_ms) {
  if (ended_ || paused_) return;
  const int64_t patience_ms = connecting_ ? kConnectPatience_ms : patience_ms_;
  if (monotonic_ms - last_progress_ms_ > patience_ms) Finish(End::kTooLate);
}

void Fetch::OnWritable() {
  if (ended_) return;
  last_progress_ms_ = Loop::MonotonicMs();
  if (connecting_) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(stream_->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Failed(End::kNoResponse);
    connecting_ = false;
    stream_->WatchRead(!paused_);
  }
  if (!stream_->Flush()) return;  // reading tells
  if (stream_->unwritten() == 0) listener_->OnRequestSent();
}

void Fetch::OnReadable() {
  for (int turn = 0; turn < 4 && !ended_ && !paused_; ++turn) {
    size_t bytes = 0;
    switch (stream_->Read(read_buffer, &bytes)) {
      case Stream::Got::kNothingYet:
        return;
      case Stream::Got::kBytes:
        last_progress_ms_ = Loop::MonotonicMs();
        Take({read_buffer.data(), bytes});
        if (bytes < read_buffer.size()) return;
        break;
      case Stream::Got::kEnd:
        if (has_head_ && body_.WholeAtClose()) {
          keep_alive_ = false;
          return Finish(End::kWhole);
        }
        return Failed(has_head_ ? End::kCut : End::kNoResponse);
      case Stream::Got::kError:
        return Failed(has_head_ ? End::kCut : End::kNoResponse);
    }
  }
}

bool Fetch::TakeHead() {
  const size_t size = FindHeadEnd(in_);
  if (size == 0) {
    if (in_.size() > kMaxHeadBytes) Finish(End::kNoResponse);
    return false;
  }
  const std::string bytes = in_.substr(0, size);
  in_.erase(0, size);
  ResponseHead head;
  if (!ParseResponse(bytes, request_.to_head, &head) || head.status == 101) {
    Finish(End::kNoResponse);
    return false;
  }
  if (head.status < 200) {
    listener_->OnInterim(head);
    return true;
  }
  has_head_ = true;
  keep_alive_ = head.keep_alive;
  body_ = BodyReader(head.framing);
  listener_->OnHead(head);
  if (!ended_ && body_.done()) Finish(End::kWhole);
  return !ended_;
}

void Fetch::Take(std::string_view bytes) {
  if (has_head_ && in_.empty()) {
    const size_t consumed = body_.Read(bytes, [&](std::string_view body) {
      if (!ended_) listener_->OnBody(body);
    });
    bytes.remove_prefix(consumed);
  }
  in_.append(bytes);
  while (!ended_ && !has_head_ && !in_.empty()) {
    if (!TakeHead()) break;
  }
  if (ended_ || !has_head_) return;
  if (!in_.empty()) {
    const std::string waiting = std::move(in_);
    in_.clear();
    const size_t consumed = body_.Read(waiting, [&](std::string_view body) {
      if (!ended_) listener_->OnBody(body);
    });
    in_ = waiting.substr(consumed);
  }
  if (ended_) return;
  if (body_.failed()) return Finish(End::kCut);
  if (body_.done()) Finish(End::kWhole);
}

void Fetch::Failed(End end) {
  if (ended_) return;
  // The origin had closed a connection that was idle: it never saw the request.
  if (!fresh_ && !has_head_ && in_.empty() && request_.may_repeat) {
    Use(pool_->Connect(), true);
    return;
  }
  Finish(end);
}

void Fetch::Finish(End end) {
  if (ended_) return;
  ended_ = true;
  const bool all_sent = stream_ && stream_->unwritten() == 0;
  if (end == End::kWhole && keep_alive_ && in_.empty() && all_sent) {
    stream_->WatchRead(false);
    pool_->GiveBack(std::move(stream_));
  } else if (stream_) {
    stream_->WatchRead(false);
  }
  if (end != End::kWhole) pool_->counters()->Add(Counter::kOriginErrors);
  FetchListener* const listener = listener_;
  pool_->loop()->Bury(this);
  listener->OnEnd(end);
}

}  // namespace kill9::http
