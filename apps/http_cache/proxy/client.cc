#include "apps/http_cache/proxy/client.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/http_cache/proxy/statistics.h"
#include "apps/server/listener.h"

namespace kill9::http {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMostWaitingBytes = 256 << 10;  // of requests that are not looked at yet
constexpr size_t kMostUnsentBytes = 256 << 10;   // of a request's body
constexpr size_t kMostUnwrittenBytes = 1 << 20;  // of answers, before the next request is looked at
constexpr int64_t kRetiredPatience_ms = 1000;
constexpr int64_t kHoldPatience_ms = 2000;  // then what is held is copied
std::array<char, kReadBytes> client_buffer;

}  // namespace

Client::Client(const Services* services, int fd, SSL* tls, std::function<void()> closed)
    : services_(services),
      closed_(std::move(closed)),
      stream_(services->loop->base(), fd, tls,
              {[this] { OnReadable(); }, [this] { OnWritable(); }}),
      peer_(server::PeerAddress(fd)),
      tls_(tls != nullptr),
      since_ms_(Loop::MonotonicMs()) {
  stream_.WatchRead(true);
}

Client::~Client() = default;

void Client::Close() {
  if (state_ == State::kClosed) return;
  const State was = std::exchange(state_, State::kClosed);
  if (was == State::kFlight) services_->flights->Leave(flight_key_, this);
  if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->Leave();
  if (was == State::kExchange || was == State::kPieces) services_->counters->Add(Counter::kCutOff);
  services_->counters->Add(Counter::kBytesToClients, stream_.written());
  stream_.WatchRead(false);
  closed_();
  services_->loop->Bury(this);
}

void Client::Retire() {
  retired_ = true;
  // A client that has just come is about to ask: it gets its answer (Tick).
  const bool has_asked = request_ != nullptr;
  if (has_asked && state_ == State::kHead && in_.empty() && stream_.unwritten() == 0) Close();
}

void Client::Tick(int64_t monotonic_ms) {
  const ProxyOptions& options = *services_->options;
  const int64_t waited_ms = monotonic_ms - since_ms_;
  if (stream_.written() != written_then_) {
    written_then_ = stream_.written();
    since_ms_ = monotonic_ms;
  }
  if (holds_ && waited_ms > kHoldPatience_ms) CopyHeld();
  if (stream_.unwritten() > 0) {
    if (waited_ms > options.stall_patience_ms) Close();
  } else if (state_ == State::kHead && !in_.empty()) {
    if (waited_ms > options.head_patience_ms) Refuse(408);
  } else if (state_ == State::kHead) {
    if (waited_ms > (retired_ ? kRetiredPatience_ms : options.idle_patience_ms)) Close();
  } else if (state_ == State::kLinger) {
    if (waited_ms > 2000) Close();
  } else if (state_ == State::kExchange && !request_body_.done()) {
    if (waited_ms > options.stall_patience_ms) Close();
  }
}

void Client::OnReadable() {
  size_t bytes = 0;
  switch (stream_.Read(client_buffer, &bytes)) {
    case Stream::Got::kNothingYet:
      return;
    case Stream::Got::kEnd:
      // A client that has said all it wants to say may still listen; but hardly any does, and one
      // that has gone should cost nothing.
      return Close();
    case Stream::Got::kError:
      return Close();
    case Stream::Got::kBytes:
      break;
  }
  if (state_ == State::kLinger || state_ == State::kClosed) return;
  // A head has so long from its first byte.
  if (state_ != State::kHead || in_.empty()) since_ms_ = Loop::MonotonicMs();
  in_.append(client_buffer.data(), bytes);
  if (state_ == State::kHead) {
    Process();
  } else if (state_ == State::kExchange && !request_body_.done()) {
    PumpRequestBody();
  } else if (in_.size() > kMostWaitingBytes) {
    stream_.WatchRead(false);
  }
}

void Client::OnWritable() {
  Flush();
  if (state_ == State::kHead) Process();
}

void Client::Flush() {
  Write();
  if (state_ == State::kPieces) PumpPieces();
}

// Once all is written nobody is told that the client could take more: whoever has more to give is
// asked for it at each write.
void Client::Write() {
  if (state_ == State::kClosed) return;
  if (!stream_.Flush()) return Close();
  if (exchange_ != nullptr && stream_.unwritten() < kMostUnwrittenBytes / 2)
    exchange_->ClientDrained();
  if (stream_.unwritten() > 0) return;
  holds_ = false;
  if (state_ == State::kHead && !keep_alive_) {
    state_ = State::kLinger;
    since_ms_ = Loop::MonotonicMs();
    stream_.ShutDownWriting();
    stream_.WatchRead(true);
  }
}

// Answers what has come, one request after the other.
void Client::Process() {
  if (std::exchange(processing_, true)) return;
  while (state_ == State::kHead && keep_alive_ && stream_.unwritten() < kMostUnwrittenBytes) {
    // Empty lines before a request are ignored (RFC 9112, 2.2).
    while (in_.starts_with("\r\n")) in_.erase(0, 2);
    if (in_.empty()) break;
    const size_t size = FindHeadEnd(in_);
    if (size == 0 ? in_.size() > kMaxHeadBytes : size > kMaxHeadBytes) {
      Refuse(431);
      break;
    }
    if (size == 0) {
      // What cannot become a request is not waited for.
      const unsigned char first = static_cast<unsigned char>(in_.front());
      if (first < 'A' || first > 'z') Refuse(400);
      break;
    }
    if (!request_ || request_.use_count() > 1) request_ = std::make_shared<Request>();
    request_->bytes.assign(in_, 0, size);
    in_.erase(0, size);
    services_->counters->Add(Counter::kRequests);
    Handle();
    Flush();
  }
  processing_ = false;
  if (state_ == State::kHead && keep_alive_) stream_.WatchRead(true);
}

void Client::Refuse(int status) {
  keep_alive_ = false;
  headless_ = false;
  SendText(status, "text/plain", absl::StrCat(status, " ", std::string(ReasonOf(status)), "\n"),
           "");
  services_->counters->Add(Counter::kRefused);
  Finish();
  Flush();
}

void Client::Handle() {
  Request& request = *request_;
  request.peer = peer_;
  request.tls = tls_;
  const int refused = ReadRequest(&request, services_->origin->address().authority);
  if (refused != 0) return Refuse(refused);
  keep_alive_ = request.head.keep_alive && !retired_;
  headless_ = request.Is("HEAD");
  request_body_ = BodyReader(request.head.framing);
  if (request.Is("CONNECT") || request.Is("TRACE")) return Refuse(501);
  if (request.Is("PURGE")) return Purge();
  if (Statistics()) return;
  const bool has_body = request.head.framing.kind != Framing::Kind::kNone;
  if ((request.Is("GET") || request.Is("HEAD")) && !has_body) return LookUp(Turn::kFirst);
  PassOn("method");
}

bool Client::Statistics() {
  const std::string& path = services_->options->statistics_path;
  if (path.empty() || !request_->path.starts_with(path) || !request_body_.done()) return false;
  const std::string_view rest = request_->path.substr(path.size());
  if (rest != "" && rest != ".json") return false;
  if (!request_->Is("GET") && !request_->Is("HEAD")) return false;
  if (!services_->options->statistics_for_all && !server::IsLocalAddress(peer_)) {
    Refuse(403);
    return true;
  }
  const std::span<const CounterRow> rows(services_->rows, static_cast<size_t>(services_->workers));
  if (rest.empty()) {
    SendText(200, "text/html; charset=utf-8", StatisticsPage(rows, services_->about), "");
  } else {
    SendText(200, "application/json", StatisticsJson(rows), "");
  }
  Finish();
  return true;
}

void Client::Purge() {
  if (!services_->options->purge_for_all && !server::IsLocalAddress(peer_)) return Refuse(403);
  if (!request_body_.done()) return Refuse(400);
  services_->counters->Add(Counter::kInvalidated);
  const bool was_there = services_->cache->Invalidate(request_->resource, Loop::WallMs());
  SendText(was_there ? 200 : 404, "text/plain", was_there ? "purged\n" : "not stored\n", "");
  Finish();
}

// What only this client can use, as far as anybody knows.
void Client::PassOn(std::string_view why) {
  services_->counters->Add(Counter::kPassed);
  Exchange::Mode mode;
  mode.why = why;
  Place place;
  place.resource = request_->resource;
  const auto expects = FirstValue(request_->head.fields, "expect");
  if (expects && SameName(*expects, "100-continue") && !request_body_.done())
    stream_.Write("HTTP/1.1 100 Continue\r\n\r\n");
  AskOrigin(std::move(place), mode, nullptr);
}

void Client::AskOrigin(Place place, Exchange::Mode mode, const Record* stored) {
  state_ = State::kExchange;
  since_ms_ = Loop::MonotonicMs();
  exchange_ = services_->loop->Adopt(
      std::make_unique<Exchange>(services_, request_, this, std::move(place), mode));
  exchange_->Start(stored);
  if (exchange_ != nullptr && !request_body_.done()) PumpRequestBody();
}

void Client::PumpRequestBody() {
  const bool chunks = request_->head.framing.kind == Framing::Kind::kChunked;
  const size_t consumed = request_body_.Read(in_, [&](std::string_view bytes) {
    if (exchange_ == nullptr) return;
    if (chunks) exchange_->SendBody(absl::StrCat(absl::Hex(bytes.size()), "\r\n"));
    exchange_->SendBody(bytes);
    if (chunks) exchange_->SendBody("\r\n");
  });
  in_.erase(0, consumed);
  if (exchange_ == nullptr) return;
  if (request_body_.failed()) {
    std::exchange(exchange_, nullptr)->Leave();
    return Refuse(400);
  }
  if (request_body_.done()) {
    if (chunks) exchange_->SendBody("0\r\n\r\n");
  } else {
    stream_.WatchRead(exchange_->unsent() < kMostUnsentBytes);
  }
}

void Client::RequestSent() {
  if (state_ == State::kExchange) stream_.WatchRead(true);
}

// Fetches anew, for nobody in particular.
void Client::Revalidate(const Lookup& lookup) {
  Exchange::Mode mode;
  mode.keep = mode.leads = mode.validate = mode.whole = true;
  mode.why = "stale";
  const SharedRequest request = std::make_shared<Request>();
  request->bytes = request_->bytes;
  request->peer = peer_;
  request->tls = tls_;
  if (ReadRequest(request.get(), services_->origin->address().authority) != 0) return;
  request->head.method = "GET";
  if (!services_->flights->Begin(lookup.place.key)) return;  // somebody does it already
  Exchange* const exchange = services_->loop->Adopt(
      std::make_unique<Exchange>(services_, request, nullptr, lookup.place, mode));
  exchange->Start(&lookup.found->record);
}

void Client::LookUp(Turn turn) {
  const int64_t now_ms = Loop::WallMs();
  const Fields& fields = request_->head.fields;
  const RequestFacts& facts = request_->facts;
  Lookup lookup = services_->cache->Find(request_->resource, fields, now_ms);
  Exchange::Mode mode;
  mode.why = lookup.found ? "stale" : lookup.other_variants ? "vary-miss" : "uri-miss";
  if (HasOriginCondition(fields)) return PassOn("bypass");
  if (lookup.found) {
    const Life life = lookup.found->record.life();
    const Use use = MayUse(facts, life, now_ms);
    if (use != Use::kAfterValidation) {
      services_->counters->Add(Counter::kHits);
      if (use == Use::kWhileRevalidate) Revalidate(lookup);
      if (use != Use::kFresh) services_->counters->Add(Counter::kStaleServed);
      return Stored(*std::move(lookup.found),
                    absl::StrCat("hit; ttl=", life.LeftMs(now_ms) / 1000));
    }
    if (life.LeftMs(now_ms) > 0) mode.why = "request";
  }
  if (facts.control.only_if_cached) return Error(504, absl::StrCat("fwd=", std::string(mode.why)));
  if (!request_->Is("GET")) return PassOn(mode.why);
  const bool conditional =
      FirstValue(fields, "if-none-match") || FirstValue(fields, "if-modified-since");
  if (!lookup.found && FirstValue(fields, "range")) return PassOn(mode.why);

  mode.keep = !facts.control.no_store;
  mode.validate = lookup.found.has_value();
  mode.whole = !conditional || mode.validate;
  const bool shared = mode.keep && mode.whole && !lookup.pass && !facts.authorization;
  if (shared && turn == Turn::kFirst) {
    flight_key_ = lookup.place.key;
    if (!services_->flights->BeginOrWait(flight_key_, this)) {
      services_->counters->Add(Counter::kCollapsed);
      state_ = State::kFlight;
      return;
    }
    mode.leads = true;
  } else if (shared && leads_ && flight_key_ == lookup.place.key) {
    mode.leads = true;
    leads_ = false;  // it is the exchange's now
  }
  services_->counters->Add(Counter::kMisses);
  AskOrigin(std::move(lookup.place), mode, lookup.found ? &lookup.found->record : nullptr);
}

void Client::OnLanded(Landing landing) {
  leads_ = landing == Landing::kLead;
  if (state_ != State::kFlight) return LandIfLeading();
  state_ = State::kHead;
  // What the flight brought answers this request as well, or it goes alone.
  if (landing == Landing::kFailed) {
    Lookup lookup =
        services_->cache->Find(request_->resource, request_->head.fields, Loop::WallMs());
    if (lookup.found &&
        MayUseOnError(request_->facts, lookup.found->record.life(), Loop::WallMs())) {
      services_->counters->Add(Counter::kStaleServed);
      Stored(*std::move(lookup.found), "fwd=stale; collapsed; detail=origin-error");
    } else {
      Error(502, "fwd=miss; collapsed");
    }
  } else {
    LookUp(leads_ ? Turn::kLeads : Turn::kAlone);
  }
  LandIfLeading();
  Flush();
  Process();
}

// Nothing had to be fetched after all: the others look again, too.
void Client::LandIfLeading() {
  if (std::exchange(leads_, false)) services_->flights->Land(flight_key_, Landing::kLookAgain);
}

}  // namespace kill9::http
