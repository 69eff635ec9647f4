// A client's connection: reads requests one after the other, answers each from the cache or by an
// Exchange, and is the one place that writes to the client.
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_CLIENT_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_CLIENT_H_

#include <optional>
#include <string>
#include <string_view>

#include "apps/http_cache/proxy/exchange.h"

namespace kill9::http {

class Client : public Member, public AnswerSink, public FlightWaiter {
 public:
  Client(const Services* services, int fd, SSL* tls, std::function<void()> closed);
  ~Client() override;
  void Tick(int64_t monotonic_ms) override;
  // No request after the one that is being answered.
  void Retire();
  // Another worker can go on with it as if it had just come: all was answered that it has asked.
  bool may_be_given_away() const {
    return state_ == State::kHead && request_ != nullptr && in_.empty() && !tls_ && !retired_ &&
           stream_.unwritten() == 0;
  }
  int fd() const { return stream_.fd(); }
  // The client is left as it is: if another process has its socket, it notices nothing.
  void Close();

 private:
  enum class State : uint8_t {
    kHead,      // a request is awaited, or its head is coming
    kFlight,    // somebody else fetches what it wants
    kExchange,  // the origin is asked
    kPieces,    // a stored body is sent piece by piece
    kLinger,    // all is said; the client's last bytes are thrown away, so that it can read ours
    kClosed,
  };

  void OnReadable();
  void OnWritable();
  void Process();
  void Handle();
  void Refuse(int status);
  void Flush();  // what is in the stream, and what is still to come of a stored body
  void Write();  // what is in the stream
  bool Statistics();
  void Purge();
  enum class Turn : uint8_t { kFirst, kLeads, kAlone };
  void LookUp(Turn turn);
  void AskOrigin(Place place, Exchange::Mode mode, const Record* stored);
  void PassOn(std::string_view why);
  void PumpRequestBody();
  void Revalidate(const Lookup& lookup);
  void OnLanded(Landing landing) override;
  void LandIfLeading();

  void Interim(const ResponseHead& head) override;
  void Begin(const ResponseHead& head, std::string_view cache_status) override;
  void Body(std::string_view bytes) override;
  void End() override;
  void Break() override;
  void Stored(Found found, std::string_view cache_status) override;
  void Error(int status, std::string_view cache_status) override;
  size_t Queued() const override { return stream_.unwritten(); }
  void RequestSent() override;

  void Finish();  // the answer is in the stream
  void EndHead(std::string_view cache_status, std::string& head);
  void SendText(int status, std::string_view type, std::string_view text,
                std::string_view cache_status);
  void SendStoredBody(Found found, uint64_t first, uint64_t bytes);
  void SendHeld(std::shared_ptr<const Found> found, std::string_view bytes);
  void PumpPieces();
  void CopyHeld();

  const Services* const services_;
  const std::function<void()> closed_;
  Stream stream_;
  State state_ = State::kHead;
  std::string in_;
  std::string peer_;
  SharedRequest request_;
  BodyReader request_body_;
  Exchange* exchange_ = nullptr;
  std::string flight_key_;
  bool leads_ = false;  // the flight of that key is this one's to land
  const bool tls_;
  bool keep_alive_ = true;
  bool chunked_ = false;   // the answer is
  bool headless_ = false;  // the answer has no body
  bool processing_ = false;
  bool retired_ = false;
  bool holds_ = false;  // a stored body is being written from where it lies
  int64_t since_ms_;    // the last progress in what it waits for
  uint64_t written_then_ = 0;
  // Of kPieces.
  RecordHead pieces_of_;
  uint64_t next_byte_ = 0;
  uint64_t end_byte_ = 0;
};

// "Not Found" of 404.
std::string_view ReasonOf(int status);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_CLIENT_H_
