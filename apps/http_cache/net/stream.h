// A connected socket in libevent's loop, with TLS or without, and what is still to be written.
//
// Reading and writing are done at once where the socket lets them, so that a hit costs three system
// calls: epoll_wait, read, writev. What refers to others' bytes (evbuffer_add_reference) is written
// from where it lies.
#ifndef KILL9_APPS_HTTP_CACHE_NET_STREAM_H_
#define KILL9_APPS_HTTP_CACHE_NET_STREAM_H_

#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

namespace kill9::http {

class Stream {
 public:
  struct Handler {
    std::function<void()> readable;
    std::function<void()> writable;  // all has been written that could not be at once
  };

  // Takes over `fd` and `tls` (null: none). Nothing is watched yet.
  Stream(event_base* base, int fd, SSL* tls, Handler handler);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  enum class Got : uint8_t { kBytes, kNothingYet, kEnd, kError };
  Got Read(std::span<char> buffer, size_t* bytes);
  void WatchRead(bool watch);
  void SetHandler(Handler handler) { handler_ = std::move(handler); }

  void Write(std::string_view bytes) { evbuffer_add(out_, bytes.data(), bytes.size()); }
  evbuffer* out() { return out_; }
  size_t unwritten() const { return evbuffer_get_length(out_); }
  // Writes what can be written; the rest is written later. False: the connection is broken.
  bool Flush();
  // Calls `writable` once the socket can be written to: a connection that is being made.
  void WatchConnect();
  void ShutDownWriting();

  int fd() const { return fd_; }
  uint64_t written() const { return written_; }  // bytes so far

 private:
  bool FlushTls();
  void WatchWrite(bool watch);
  static void OnReadable(int, short, void* self);
  static void OnWritable(int, short, void* self);

  const int fd_;
  SSL* const tls_;
  Handler handler_;
  evbuffer* const out_;
  event* const read_event_;
  event* const write_event_;
  bool reading_ = false;
  bool writing_ = false;
  bool write_wants_read_ = false;
  uint64_t written_ = 0;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_NET_STREAM_H_
