#include "apps/http_cache/net/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace kill9::http {
namespace {

bool MustWait() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Stream::Stream(event_base* base, int fd, SSL* tls, Handler handler)
    : fd_(fd),
      tls_(tls),
      handler_(std::move(handler)),
      out_(evbuffer_new()),
      read_event_(event_new(base, fd, EV_READ | EV_PERSIST, OnReadable, this)),
      write_event_(event_new(base, fd, EV_WRITE | EV_PERSIST, OnWritable, this)) {
  if (tls_ != nullptr) {
    SSL_set_fd(tls_, fd_);
    SSL_set_accept_state(tls_);
    SSL_set_mode(tls_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                           SSL_MODE_RELEASE_BUFFERS);
  }
}

Stream::~Stream() {
  event_free(read_event_);
  event_free(write_event_);
  evbuffer_free(out_);
  if (tls_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(tls_);
    SSL_free(tls_);
  }
  close(fd_);
}

Stream::Got Stream::Read(std::span<char> buffer, size_t* bytes) {
  *bytes = 0;
  if (tls_ == nullptr) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got > 0) *bytes = static_cast<size_t>(got);
    if (got > 0) return Got::kBytes;
    if (got == 0) return Got::kEnd;
    return MustWait() ? Got::kNothingYet : Got::kError;
  }
  ERR_clear_error();
  const int got = SSL_read(tls_, buffer.data(), static_cast<int>(buffer.size()));
  if (got > 0) {
    *bytes = static_cast<size_t>(got);
    return Got::kBytes;
  }
  switch (SSL_get_error(tls_, got)) {
    case SSL_ERROR_WANT_READ:
      return Got::kNothingYet;
    case SSL_ERROR_WANT_WRITE:
      WatchWrite(true);
      return Got::kNothingYet;
    case SSL_ERROR_ZERO_RETURN:
      return Got::kEnd;
    default:
      return Got::kError;
  }
}

void Stream::WatchRead(bool watch) {
  if (watch == reading_) return;
  reading_ = watch;
  if (watch) {
    event_add(read_event_, nullptr);
    // What TLS has decrypted already makes no socket readable.
    if (tls_ != nullptr && SSL_has_pending(tls_) != 0) event_active(read_event_, EV_READ, 0);
  } else {
    event_del(read_event_);
  }
}

void Stream::WatchWrite(bool watch) {
  if (watch == writing_) return;
  writing_ = watch;
  if (watch) {
    event_add(write_event_, nullptr);
  } else {
    event_del(write_event_);
  }
}

void Stream::WatchConnect() { WatchWrite(true); }

bool Stream::FlushTls() {
  while (evbuffer_get_length(out_) > 0) {
    evbuffer_iovec piece;
    if (evbuffer_peek(out_, -1, nullptr, &piece, 1) < 1) return false;
    ERR_clear_error();
    const int put = SSL_write(tls_, piece.iov_base,
                              static_cast<int>(std::min<size_t>(piece.iov_len, 64 << 10)));
    if (put > 0) {
      written_ += static_cast<uint64_t>(put);
      evbuffer_drain(out_, static_cast<size_t>(put));
      continue;
    }
    const int error = SSL_get_error(tls_, put);
    write_wants_read_ = error == SSL_ERROR_WANT_READ;
    if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) return false;
    WatchWrite(error == SSL_ERROR_WANT_WRITE);
    return true;
  }
  WatchWrite(false);
  return true;
}

bool Stream::Flush() {
  if (tls_ != nullptr) return FlushTls();
  while (evbuffer_get_length(out_) > 0) {
    std::array<evbuffer_iovec, 16> pieces;
    const int used = std::min<int>(evbuffer_peek(out_, -1, nullptr, pieces.data(), pieces.size()),
                                   pieces.size());
    msghdr message = {};
    message.msg_iov = reinterpret_cast<iovec*>(pieces.data());
    message.msg_iovlen = static_cast<size_t>(used);
    const ssize_t put = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (put < 0) {
      if (!MustWait()) return false;
      WatchWrite(true);
      return true;
    }
    written_ += static_cast<uint64_t>(put);
    evbuffer_drain(out_, static_cast<size_t>(put));
  }
  WatchWrite(false);
  return true;
}

void Stream::ShutDownWriting() {
  if (tls_ != nullptr) SSL_shutdown(tls_);
  shutdown(fd_, SHUT_WR);
}

void Stream::OnReadable(int, short, void* self) {
  Stream& stream = *static_cast<Stream*>(self);
  if (stream.write_wants_read_) {
    stream.write_wants_read_ = false;
    stream.WatchWrite(true);
  }
  // A copy: the call may replace the handler, or destroy the stream.
  const std::function<void()> readable = stream.handler_.readable;
  readable();
}

void Stream::OnWritable(int, short, void* self) {
  const std::function<void()> writable = static_cast<Stream*>(self)->handler_.writable;
  writable();
}

}  // namespace kill9::http
