// From bytes to requests. It keeps nothing between calls: what is not complete is shown to it again
// with more behind it.
#ifndef KILL9_APPS_MEMCACHED_PROTOCOL_PARSER_H_
#define KILL9_APPS_MEMCACHED_PROTOCOL_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "apps/memcached/protocol/request.h"

namespace kill9::memcached {

// A line is at most this long; one that only names keys to read may be longer.
inline constexpr size_t kLineBytesMost = 2048;
inline constexpr size_t kKeysLineBytesMost = 1 << 20;

enum class ParseOutcome : uint8_t {
  kRequest,   // *request is complete
  kNeedMore,  // nothing is consumed; `needed` bytes in all, if that is known, else 0
  kRefused,   // `answer` says why; what was consumed and `skip` more bytes are to be passed over
  kHangUp,    // nobody speaks this protocol here; `answer`, if any, then close
};

struct Parsed {
  ParseOutcome outcome = ParseOutcome::kNeedMore;
  size_t consumed = 0;
  size_t needed = 0;
  size_t skip = 0;
  std::string_view answer = {};  // without the line's end; empty: none
  // Of a value that was refused for its size: the key must not keep an older one.
  bool drops_key = false;
};

// `data_bytes_most`: of a value. *request shows bytes of `input`.
Parsed ParseRequest(std::string_view input, size_t data_bytes_most, Request* request);

// Fills in what a meta command's line says after its name. Empty: it is right; else the answer that
// refuses it. `flags` is the rest of the line after the key (and the size of the data).
std::string_view ParseMetaKeyAndFlags(std::string_view key, std::string_view flags,
                                      Request* request);

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_PROTOCOL_PARSER_H_
