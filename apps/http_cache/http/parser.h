// Reads messages. The syntax is Boost.Beast's business; what is refused beyond it stands here,
// because a cache and its origin that disagree on where a message ends can be made to mix up two
// clients' (request smuggling):
//   - several Content-Length fields, or a list of them; Content-Length beside Transfer-Encoding
//   - a transfer coding other than "chunked", or one in HTTP/1.0
//   - a line that continues the one before it (obs-fold), a line that ends without a CR
//   - no Host, or two, in HTTP/1.1
#ifndef KILL9_APPS_HTTP_CACHE_HTTP_PARSER_H_
#define KILL9_APPS_HTTP_CACHE_HTTP_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "apps/http_cache/http/fields.h"

namespace kill9::http {

inline constexpr size_t kMaxHeadBytes = 64 << 10;
inline constexpr size_t kMaxFields = 200;

// Where the body ends.
struct Framing {
  enum class Kind : uint8_t { kNone, kLength, kChunked, kUntilClose };
  Kind kind = Kind::kNone;
  uint64_t length = 0;  // of kLength
};

struct RequestHead {
  std::string_view method;
  std::string_view target;
  int minor_version = 1;
  bool keep_alive = true;
  Framing framing;
  Fields fields;
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;
  int minor_version = 1;
  bool keep_alive = true;
  Framing framing;
  Fields fields;
};

// One past the empty line that ends a head; 0 if it is not there yet.
size_t FindHeadEnd(std::string_view bytes);

// `head` is a whole head; what is read views it. Returns 0, or the status to answer with: 400, 431
// (too many fields), 501 (a transfer coding), 505 (a version).
int ParseRequest(std::string_view head, RequestHead* request);
// `to_head`: the request was a HEAD, so there is no body whatever the fields say. False: it is no
// response that can be believed.
bool ParseResponse(std::string_view head, bool to_head, ResponseHead* response);

// Takes the bytes of one body out of those that arrive.
class BodyReader {
 public:
  BodyReader();  // of nothing: done
  explicit BodyReader(const Framing& framing);
  ~BodyReader();
  BodyReader(BodyReader&&) noexcept;
  BodyReader& operator=(BodyReader&&) noexcept;

  // Hands the body's bytes in `bytes` to `take`; returns how many were consumed. What was not comes
  // again, with more behind it.
  size_t Read(std::string_view bytes, absl::FunctionRef<void(std::string_view)> take);
  bool done() const { return done_; }
  bool failed() const { return failed_; }
  // The sender has closed: whether the body is whole.
  bool WholeAtClose() const;

 private:
  class Chunks;
  Framing framing_;
  uint64_t left_ = 0;
  std::unique_ptr<Chunks> chunks_;
  bool done_ = true;
  bool failed_ = false;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_HTTP_PARSER_H_
