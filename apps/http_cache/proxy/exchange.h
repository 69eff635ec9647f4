// One request to the origin on behalf of a client, or of the cache itself: what comes back is
// handed to the client as it comes, stored if it may be, and told to those who wait for it.
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_EXCHANGE_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_EXCHANGE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apps/http_cache/proxy/request.h"

namespace kill9::http {

// Who gets the answer. Exactly one of End, Break, Stored and Error is the last call.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void Interim(const ResponseHead& head) = 0;
  virtual void Begin(const ResponseHead& head, std::string_view cache_status) = 0;
  virtual void Body(std::string_view bytes) = 0;
  virtual void End() = 0;
  virtual void Break() = 0;  // the body ends here, and is not whole
  virtual void Stored(Found found, std::string_view cache_status) = 0;
  virtual void Error(int status, std::string_view cache_status) = 0;
  virtual size_t Queued() const = 0;  // bytes that the client has not taken yet
  virtual void RequestSent() = 0;     // what was given to SendBody so far has gone
};

class Exchange : public Member, public FetchListener {
 public:
  struct Mode {
    bool keep = false;      // the response may be stored, if its fields allow it
    bool leads = false;     // others wait for it (Flights)
    bool validate = false;  // what is stored is asked about, instead of what the client wants
    bool whole = false;     // without the client's conditions and ranges
    std::string_view why;   // for Cache-Status: "uri-miss", "stale", ...
  };
  // `sink` null: for the cache itself.
  Exchange(const Services* services, SharedRequest request, AnswerSink* sink, Place place,
           Mode mode);

  void Start(const Record* stored);
  void SendBody(std::string_view bytes) { fetch_->SendBody(bytes); }
  size_t unsent() const { return fetch_->unsent(); }
  // The client has gone: what others can use is fetched to its end.
  void Leave();
  void ClientDrained();  // its Queued() is small again
  void Tick(int64_t) override {}

 private:
  void OnInterim(const ResponseHead& head) override;
  void OnHead(const ResponseHead& head) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd(End end) override;
  void OnRequestSent() override;

  bool AnsweredByStored(const ResponseHead& head);
  bool StaleOnError(std::string_view detail);
  void DecideKeeping(const ResponseHead& head);
  void InvalidateBy(const ResponseHead& head);
  void KeepOfPost(const ResponseHead& head);
  void StopKeeping(Landing landing);
  void Store();
  void Land(Landing landing);
  void Over();  // nothing more is told; the exchange is buried
  std::string Status(std::string_view detail) const;

  const Services* const services_;
  const SharedRequest request_;
  AnswerSink* sink_;
  Place place_;
  Mode mode_;
  Fetch* fetch_ = nullptr;
  int64_t request_time_ms_ = 0;
  bool has_head_ = false;
  bool over_ = false;
  int status_ = 0;
  std::string stored_head_;  // while it is kept
  Life life_;
  std::optional<Cache::Body> body_;
  std::optional<uint64_t> body_bytes_;  // how many there will be, where that is known
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_EXCHANGE_H_
