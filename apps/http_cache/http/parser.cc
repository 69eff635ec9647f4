#include "apps/http_cache/http/parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cstring>
#include <limits>
#include <string>

namespace kill9::http {
namespace {

namespace beast = boost::beast;
using ErrorCode = beast::error_code;

constexpr size_t kMaxChunkLineBytes = 8 << 10;
constexpr uint32_t kMaxTrailerBytes = 8 << 10;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// Collects a head, or hands on the pieces of a body.
template <bool is_request>
class Parser : public beast::http::basic_parser<is_request> {
 public:
  Parser() {
    this->header_limit(static_cast<uint32_t>(kMaxHeadBytes + kMaxTrailerBytes));
    this->body_limit(std::numeric_limits<uint64_t>::max());  // bodies are BodyReader's
  }
  std::string_view method, target, reason;
  int status = 0;
  int version = 11;
  Fields* fields = nullptr;
  absl::FunctionRef<void(std::string_view)>* take = nullptr;
  bool finished = false;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method_text,
                       beast::string_view target_text, int number, ErrorCode&) override {
    method = View(method_text);
    target = View(target_text);
    version = number;
  }
  void on_response_impl(int number, beast::string_view reason_text, int version_number,
                        ErrorCode&) override {
    status = number;
    reason = View(reason_text);
    version = version_number;
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     ErrorCode& error) override {
    if (fields == nullptr) return;  // a trailer's
    if (fields->size() >= kMaxFields) {
      error = beast::http::error::header_limit;
    } else {
      fields->push_back({View(name), View(value)});
    }
  }
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(boost::optional<uint64_t> const&, ErrorCode&) override {}
  size_t on_body_impl(beast::string_view body, ErrorCode&) override { return body.size(); }
  // Beast lets a quoted value go over lines, which others take for the end of the size.
  void on_chunk_header_impl(uint64_t, beast::string_view extension, ErrorCode& error) override {
    if (extension.find_first_of("\r\n") != beast::string_view::npos)
      error = beast::http::error::bad_chunk_extension;
  }
  size_t on_chunk_body_impl(uint64_t, beast::string_view body, ErrorCode&) override {
    if (take != nullptr) (*take)(View(body));
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override { finished = true; }
};

// Lines that continue the line before, and line feeds without a carriage return.
bool HasOddLines(std::string_view head) {
  for (size_t at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    if (at == 0 || head[at - 1] != '\r') return true;
    if (at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t')) return true;
  }
  return head.find('\0') != std::string_view::npos;
}

// What the fields say of the body. Returns 0, or the status of the refusal.
int ReadFraming(const Fields& fields, int minor_version, Framing* framing) {
  int lengths = 0;
  int codings = 0;
  for (const Field& field : fields) {
    if (SameName(field.name, "content-length")) {
      const std::optional<uint64_t> length = ParseNumber(field.value);
      if (!length || ++lengths > 1) return 400;
      *framing = {Framing::Kind::kLength, *length};
    } else if (SameName(field.name, "transfer-encoding")) {
      if (++codings > 1 || minor_version == 0) return 400;
      if (!SameName(field.value, "chunked")) return 501;
    }
  }
  if (codings > 0 && lengths > 0) return 400;
  if (codings > 0) *framing = {Framing::Kind::kChunked, 0};
  return 0;
}

bool KeepsAlive(const Fields& fields, int minor_version) {
  bool close = false;
  bool keep = false;
  for (const Field& field : fields) {
    if (!SameName(field.name, "connection")) continue;
    close = close || ListHas(field.value, "close");
    keep = keep || ListHas(field.value, "keep-alive");
  }
  return !close && (minor_version >= 1 || keep);
}

int CheckHost(const RequestHead& request) {
  int hosts = 0;
  for (const Field& field : request.fields) {
    if (!SameName(field.name, "host")) continue;
    ++hosts;
    if (field.value.find_first_of(" \t,/?#@\\") != std::string_view::npos) return 400;
  }
  return hosts > 1 || (hosts == 0 && request.minor_version >= 1) ? 400 : 0;
}

// A target has no characters that a log or another parser could take for an end.
bool IsTarget(std::string_view target) {
  return !target.empty() && std::all_of(target.begin(), target.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '\x7f';
  });
}

}  // namespace

size_t FindHeadEnd(std::string_view bytes) {
  const void* end = memmem(bytes.data(), bytes.size(), "\r\n\r\n", 4);
  return end == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(end) - bytes.data()) + 4;
}

int ParseRequest(std::string_view head, RequestHead* request) {
  if (HasOddLines(head)) return 400;
  Parser<true> parser;
  request->fields.clear();
  parser.fields = &request->fields;
  ErrorCode error;
  parser.put(beast::net::const_buffer(head.data(), head.size()), error);
  if (error == beast::http::error::header_limit) return 431;
  if (error == beast::http::error::bad_version) return 505;
  // Beast has its own opinion of what a body's fields mean; ours comes first.
  request->minor_version = parser.version % 10;
  request->framing = {};
  const int refused = ReadFraming(request->fields, request->minor_version, &request->framing);
  if (refused != 0) return refused;
  if (error || !parser.is_header_done()) return 400;
  if (parser.version / 10 != 1 || request->minor_version > 1) return 505;
  request->method = parser.method;
  request->target = parser.target;
  request->keep_alive = KeepsAlive(request->fields, request->minor_version);
  if (!IsTarget(request->target)) return 400;
  return CheckHost(*request);
}

bool ParseResponse(std::string_view head, bool to_head, ResponseHead* response) {
  if (HasOddLines(head)) return false;
  Parser<false> parser;
  parser.skip(true);  // the body is BodyReader's
  response->fields.clear();
  parser.fields = &response->fields;
  ErrorCode error;
  parser.put(beast::net::const_buffer(head.data(), head.size()), error);
  if (error || !parser.is_header_done() || parser.version / 10 != 1) return false;
  response->status = parser.status;
  response->reason = parser.reason;
  response->minor_version = parser.version % 10;
  response->framing = {Framing::Kind::kUntilClose, 0};
  if (ReadFraming(response->fields, response->minor_version, &response->framing) != 0) return false;
  if (to_head || response->status < 200 || response->status == 204 || response->status == 304)
    response->framing = {};
  response->keep_alive = KeepsAlive(response->fields, response->minor_version) &&
                         response->framing.kind != Framing::Kind::kUntilClose;
  return response->status >= 100 && response->status <= 999;
}

// Beast's chunks, without the head that it has read already: it is shown one that says "chunked".
class BodyReader::Chunks {
 public:
  Chunks() {
    constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    ErrorCode error;
    parser_.put(beast::net::const_buffer(kHead.data(), kHead.size()), error);
    parser_.eager(true);
  }
  size_t Read(std::string_view bytes, absl::FunctionRef<void(std::string_view)> take, bool* done,
              bool* failed) {
    parser_.take = &take;
    size_t consumed = 0;
    while (consumed < bytes.size() && !parser_.finished) {
      ErrorCode error;
      const size_t step = parser_.put(
          beast::net::const_buffer(bytes.data() + consumed, bytes.size() - consumed), error);
      consumed += step;
      if (error == beast::http::error::need_more) {
        *failed = bytes.size() - consumed > kMaxChunkLineBytes;
        break;
      }
      if (error) {
        *failed = true;
        break;
      }
    }
    parser_.take = nullptr;
    *done = parser_.finished;
    return consumed;
  }

 private:
  Parser<false> parser_;
};

BodyReader::BodyReader(const Framing& framing)
    : framing_(framing),
      left_(framing.length),
      done_(framing.kind == Framing::Kind::kNone ||
            (framing.kind == Framing::Kind::kLength && framing.length == 0)) {
  if (framing.kind == Framing::Kind::kChunked) chunks_ = std::make_unique<Chunks>();
}
BodyReader::BodyReader() = default;
BodyReader::~BodyReader() = default;
BodyReader::BodyReader(BodyReader&&) noexcept = default;
BodyReader& BodyReader::operator=(BodyReader&&) noexcept = default;

size_t BodyReader::Read(std::string_view bytes, absl::FunctionRef<void(std::string_view)> take) {
  if (done_ || failed_ || bytes.empty()) return 0;
  if (chunks_) return chunks_->Read(bytes, take, &done_, &failed_);
  if (framing_.kind == Framing::Kind::kUntilClose) {
    take(bytes);
    return bytes.size();
  }
  const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  take(bytes.substr(0, size));
  left_ -= size;
  done_ = left_ == 0;
  return size;
}

bool BodyReader::WholeAtClose() const {
  return !failed_ && (done_ || framing_.kind == Framing::Kind::kUntilClose);
}

}  // namespace kill9::http
