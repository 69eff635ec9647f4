// Requests to the origin, over connections that are used again.
#ifndef KILL9_APPS_HTTP_CACHE_NET_FETCH_H_
#define KILL9_APPS_HTTP_CACHE_NET_FETCH_H_

#include <sys/socket.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "apps/http_cache/http/parser.h"
#include "apps/http_cache/net/counters.h"
#include "apps/http_cache/net/loop.h"
#include "apps/http_cache/net/stream.h"

namespace kill9::http {

struct OriginAddress {
  sockaddr_storage name = {};
  socklen_t name_bytes = 0;
  std::string authority;  // "host:port", for a Host field where a client has none
};
// "http://host:port", "host:port", "http://host".
absl::StatusOr<OriginAddress> ResolveOrigin(const std::string& origin);

// The connections to the origin of one worker.
class OriginPool {
 public:
  OriginPool(Loop* loop, OriginAddress address, CounterRow* counters)
      : loop_(loop), address_(std::move(address)), counters_(counters) {}
  // An idle one, or none.
  std::unique_ptr<Stream> TakeIdle();
  // A new one, which is being made; null if the system refuses it.
  std::unique_ptr<Stream> Connect();
  void GiveBack(std::unique_ptr<Stream> stream);
  Loop* loop() const { return loop_; }
  CounterRow* counters() const { return counters_; }
  const OriginAddress& address() const { return address_; }

 private:
  static constexpr size_t kMostIdle = 128;
  Loop* const loop_;
  const OriginAddress address_;
  CounterRow* const counters_;
  std::list<std::unique_ptr<Stream>> idle_;
};

class FetchListener {
 public:
  enum class End : uint8_t {
    kWhole,
    kCut,         // the origin ended, or failed, within the body
    kNoResponse,  // there was no head, or none that can be believed
    kTooLate,     // it kept silent for too long
  };
  virtual ~FetchListener() = default;
  virtual void OnInterim(const ResponseHead& head) = 0;  // 1xx
  virtual void OnHead(const ResponseHead& head) = 0;
  virtual void OnBody(std::string_view bytes) = 0;
  virtual void OnEnd(End end) = 0;   // the last call
  virtual void OnRequestSent() = 0;  // what was to be sent so far has been
};

class Fetch : public Member, public FetchListener {
 public:
  struct Request {
    std::string head;
    bool to_head = false;     // HEAD: the response has no body
    bool may_repeat = false;  // harmless twice, and has no body
  };
  // `listener` outlives the fetch, or calls Drop.
  Fetch(OriginPool* pool, Request request, FetchListener* listener, int64_t patience_ms);

  void Start();
  void SendBody(std::string_view bytes);
  size_t unsent() const { return stream_ ? stream_->unwritten() : unsent_body_.size(); }
  void Pause(bool pause);  // reading
  // Nothing is told any more; the connection is given up.
  void Drop();
  void Tick(int64_t monotonic_ms) override;

 private:
  void OnInterim(const ResponseHead&) override {}
  void OnHead(const ResponseHead&) override {}
  void OnBody(std::string_view) override {}
  void OnEnd(End) override {}
  void OnRequestSent() override {}

  void Use(std::unique_ptr<Stream> stream, bool fresh);
  void OnReadable();
  void OnWritable();
  void Take(std::string_view bytes);
  bool TakeHead();
  void Failed(End end);
  void Finish(End end);

  OriginPool* const pool_;
  const Request request_;
  FetchListener* listener_;
  const int64_t patience_ms_;
  std::unique_ptr<Stream> stream_;
  bool fresh_ = false;  // the connection was made for this
  bool connecting_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool has_head_ = false;
  bool keep_alive_ = false;
  std::string unsent_body_;
  std::string in_;
  BodyReader body_;
  int64_t last_progress_ms_;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_NET_FETCH_H_
