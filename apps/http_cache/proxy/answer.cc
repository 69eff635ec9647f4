// What a Client writes.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/http_cache/http/http_date.h"
#include "apps/http_cache/proxy/client.h"

namespace kill9::http {
namespace {

// Up to here a body is copied beside its head; a longer one is written from where it lies.
constexpr size_t kMostCopiedBytes = 8 << 10;
constexpr size_t kMostAheadBytes = 1 << 20;  // of pieces

bool MayHaveBody(int status) { return status >= 200 && status != 204 && status != 304; }

// Of the fields that describe a body, a 304 has only those that identify it (RFC 9110, 15.4.5).
bool BelongsInNotModified(std::string_view name) {
  return !(LowerCase(name).starts_with("content-") && !SameName(name, "content-location"));
}

using Held = std::shared_ptr<const Found>;

void LetGo(const void*, size_t, void* held) { delete static_cast<Held*>(held); }

}  // namespace

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 416:
      return "Range Not Satisfiable";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

void Client::EndHead(std::string_view cache_status, std::string& head) {
  if (!cache_status.empty())
    head.append("Cache-Status: kill9; ").append(cache_status).append("\r\n");
  head.append("Via: 1.1 kill9\r\n");
  if (!keep_alive_) {
    head.append("Connection: close\r\n");
  } else if (request_ && request_->head.minor_version == 0) {
    head.append("Connection: keep-alive\r\n");
  }
  head.append("\r\n");
  stream_.Write(head);
}

void Client::SendText(int status, std::string_view type, std::string_view text,
                      std::string_view cache_status) {
  std::string head = absl::StrCat(
      "HTTP/1.1 ", status, " ", std::string(ReasonOf(status)),
      "\r\nDate: ", FormatDate(Loop::WallMs() / 1000), "\r\nContent-Type: ", std::string(type),
      "\r\nContent-Length: ", text.size(), "\r\nCache-Control: no-store\r\n");
  EndHead(cache_status, head);
  if (!headless_) stream_.Write(text);
}

void Client::Interim(const ResponseHead& head) {
  if (request_->head.minor_version == 0) return;
  std::string text = absl::StrCat("HTTP/1.1 ", head.status, " ");
  text.append(head.reason).append("\r\n");
  const HopByHop hop(head.fields);
  for (const Field& field : head.fields) {
    if (!hop.Has(field.name))
      text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  stream_.Write(text.append("\r\n"));
  Flush();
}

void Client::Begin(const ResponseHead& head, std::string_view cache_status) {
  std::string text = absl::StrCat("HTTP/1.1 ", head.status, " ");
  text.append(head.reason).append("\r\n");
  const HopByHop hop(head.fields);
  bool dated = false;
  for (const Field& field : head.fields) {
    if (hop.Has(field.name)) continue;
    if (SameName(field.name, "content-length") && head.framing.kind != Framing::Kind::kLength &&
        !headless_) {
      continue;
    }
    dated = dated || SameName(field.name, "date");
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (!dated) text.append("Date: ").append(FormatDate(Loop::WallMs() / 1000)).append("\r\n");
  headless_ = headless_ || !MayHaveBody(head.status);
  const bool unknown = head.framing.kind == Framing::Kind::kChunked ||
                       head.framing.kind == Framing::Kind::kUntilClose;
  chunked_ = unknown && !headless_ && request_->head.minor_version >= 1;
  if (unknown && !headless_ && !chunked_) keep_alive_ = false;
  if (chunked_) text.append("Transfer-Encoding: chunked\r\n");
  if (!request_body_.done()) keep_alive_ = false;
  EndHead(cache_status, text);
  if (head.framing.kind == Framing::Kind::kNone) return;  // End comes at once
  Flush();
}

void Client::Body(std::string_view bytes) {
  if (state_ == State::kClosed || headless_ || bytes.empty()) return;
  if (chunked_) stream_.Write(absl::StrCat(absl::Hex(bytes.size()), "\r\n"));
  stream_.Write(bytes);
  if (chunked_) stream_.Write("\r\n");
  Flush();
}

void Client::End() {
  exchange_ = nullptr;
  if (chunked_) stream_.Write("0\r\n\r\n");
  Finish();
  Flush();
  Process();
}

void Client::Break() {
  exchange_ = nullptr;
  // So that nobody takes it for whole: no end of chunks, no close that looks as if it were meant.
  Close();
}

void Client::Error(int status, std::string_view cache_status) {
  exchange_ = nullptr;
  if (!request_body_.done()) keep_alive_ = false;
  services_->counters->Add(Counter::kRefused);
  SendText(status, "text/plain", absl::StrCat(status, " ", std::string(ReasonOf(status)), "\n"),
           cache_status);
  Finish();
  Flush();
  Process();
}

void Client::Finish() {
  if (state_ == State::kClosed) return;
  chunked_ = false;
  state_ = State::kHead;
  since_ms_ = Loop::MonotonicMs();
  if (!request_body_.done() || retired_) keep_alive_ = false;
}

void Client::Stored(Found found, std::string_view cache_status) {
  const bool asked = std::exchange(exchange_, nullptr) != nullptr;
  const Record& record = found.record;
  const int64_t age_s = record.life().AgeMs(Loop::WallMs()) / 1000;
  const Fields& fields = request_->head.fields;
  std::string head;
  uint64_t first = 0;
  uint64_t bytes = record.fixed.body_bytes;
  const bool whole_status = record.fixed.status == 200;
  if (whole_status && NotModified(fields, record.validators())) {
    services_->counters->Add(Counter::kNotModified);
    head = "HTTP/1.1 304 Not Modified\r\n";
    const std::string stored = std::string(record.head) + "\r\n";
    ResponseHead parsed;
    if (ParseResponse(stored, true, &parsed)) {
      for (const Field& field : parsed.fields) {
        if (BelongsInNotModified(field.name))
          head.append(field.name).append(": ").append(field.value).append("\r\n");
      }
    }
    bytes = 0;
    headless_ = true;
  } else {
    ByteRange range = {ByteRange::Kind::kWhole, 0, bytes};
    if (whole_status && request_->Is("GET"))
      range = SelectRange(fields, record.validators(), record.fixed.body_bytes);
    if (range.kind == ByteRange::Kind::kNotSatisfiable) {
      head = "HTTP/1.1 416 Range Not Satisfiable\r\n";
      absl::StrAppend(&head, "Content-Range: bytes */", record.fixed.body_bytes, "\r\n");
      bytes = 0;
    } else if (range.kind == ByteRange::Kind::kPart) {
      head = "HTTP/1.1 206 Partial Content\r\n";
      head.append(record.head.substr(record.head.find("\r\n") + 2));
      absl::StrAppend(&head, "Content-Range: bytes ", range.first, "-",
                      range.first + range.bytes - 1, "/", record.fixed.body_bytes, "\r\n");
      first = range.first;
      bytes = range.bytes;
    } else {
      head = record.head;
    }
    if (MayHaveBody(record.fixed.status)) absl::StrAppend(&head, "Content-Length: ", bytes, "\r\n");
  }
  absl::StrAppend(&head, "Age: ", age_s, "\r\n");
  EndHead(cache_status, head);
  if (headless_ || bytes == 0) {
    Finish();
  } else {
    SendStoredBody(std::move(found), first, bytes);
  }
  if (!asked) return;  // the caller goes on with what the client has sent
  Flush();
  Process();
}

void Client::SendStoredBody(Found found, uint64_t first, uint64_t bytes) {
  if (found.record.in_pieces()) {
    pieces_of_ = found.record.fixed;
    next_byte_ = first;
    end_byte_ = first + bytes;
    state_ = State::kPieces;
    return PumpPieces();
  }
  const std::string_view body = found.record.body.substr(first, bytes);
  SendHeld(std::make_shared<Found>(std::move(found)), body);
  Finish();
}

void Client::SendHeld(std::shared_ptr<const Found> found, std::string_view bytes) {
  if (bytes.size() <= kMostCopiedBytes) return stream_.Write(bytes);
  holds_ = true;
  evbuffer_add_reference(stream_.out(), bytes.data(), bytes.size(), LetGo,
                         new Held(std::move(found)));
}

void Client::PumpPieces() {
  const uint64_t piece_bytes = pieces_of_.piece_bytes;
  while (state_ == State::kPieces && stream_.unwritten() < kMostAheadBytes) {
    if (next_byte_ == end_byte_) {
      Finish();
      Write();
      return Process();
    }
    Held piece =
        services_->cache->FindPiece(request_->resource, pieces_of_, next_byte_ / piece_bytes);
    if (!piece) return Close();  // it has been forgotten meanwhile
    std::string_view bytes = piece->record.body.substr(next_byte_ % piece_bytes);
    bytes = bytes.substr(0, std::min<uint64_t>(bytes.size(), end_byte_ - next_byte_));
    next_byte_ += bytes.size();
    SendHeld(std::move(piece), bytes);
    Write();
  }
}

// A client that takes its time must not keep the store from using the room.
void Client::CopyHeld() {
  holds_ = false;
  evbuffer* const out = stream_.out();
  std::string bytes(evbuffer_get_length(out), '\0');
  evbuffer_remove(out, bytes.data(), bytes.size());
  stream_.Write(bytes);
}

}  // namespace kill9::http
