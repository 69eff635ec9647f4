#include "absl/strings/escaping.h"
#include "apps/memcached/protocol/parser.h"
#include "apps/memcached/protocol/words.h"

namespace kill9::memcached {
namespace {

constexpr std::string_view kBadToken = "CLIENT_ERROR bad token in command line format";
constexpr std::string_view kInvalidFlag = "CLIENT_ERROR invalid flag";
constexpr size_t kOpaqueBytesMost = 32;

// Letters that each command knows. P and L are hints to proxies, and mean nothing here.
std::string_view KnownFlags(Command command) {
  switch (command) {
    case Command::kMetaGet:
      return "bcfhklOqstuvNRTPL";
    case Command::kMetaSet:
      return "bcCFIkOqTMSPL";
    case Command::kMetaDelete:
      return "bCIkOqTPL";
    case Command::kMetaArithmetic:
      return "bCkNJDTMOqtcvPL";
    default:
      return "b";
  }
}

// What follows a flag's letter, where it is more than a switch.
std::string_view ParseFlagToken(const MetaFlag& flag, Request* request) {
  bool good = true;
  switch (flag.letter) {
    case 'C':
      good = request->has_cas = ParseNumber(flag.token, &request->cas);
      break;
    case 'T':
      good = request->has_exptime = ParseNumber(flag.token, &request->exptime);
      break;
    case 'F':
      good = ParseNumber(flag.token, &request->client_flags);
      break;
    case 'N':
      good = ParseNumber(flag.token, &request->vivify_ttl);
      break;
    case 'R':
      good = ParseNumber(flag.token, &request->recache_ttl);
      break;
    case 'J':
      good = ParseNumber(flag.token, &request->initial);
      break;
    case 'D':
      good = ParseNumber(flag.token, &request->delta);
      if (!good) return "CLIENT_ERROR invalid numeric delta argument";
      break;
    case 'M': {
      const bool arithmetic = request->command == Command::kMetaArithmetic;
      const std::string_view modes = arithmetic ? "IiDd+-" : "EeAaPpRrSs";
      good = flag.token.size() == 1 && modes.find(flag.token[0]) != modes.npos;
      if (!good) return "CLIENT_ERROR invalid mode for command";
      request->mode = flag.token[0];
      break;
    }
    case 'O':
      if (flag.token.size() > kOpaqueBytesMost) return "CLIENT_ERROR opaque token too long";
      break;
    default:
      break;
  }
  return good ? std::string_view() : kBadToken;
}

}  // namespace

std::string_view ParseMetaKeyAndFlags(std::string_view key, std::string_view flags,
                                      Request* request) {
  if (key.empty() || key.size() > kKeyBytesMost) return "CLIENT_ERROR bad command line format";
  request->key = request->key_as_sent = key;
  const std::string_view known = KnownFlags(request->command);
  Words words(flags);
  for (std::string_view word = words.Next(); !word.empty(); word = words.Next()) {
    const MetaFlag flag = {word[0], word.substr(1)};
    if (known.find(flag.letter) == known.npos) return kInvalidFlag;
    if (!request->flags.Add(flag)) return "CLIENT_ERROR duplicate flag";
    if (const std::string_view wrong = ParseFlagToken(flag, request); !wrong.empty()) return wrong;
  }
  request->noreply = request->flags.Has('q');
  if (request->flags.Has('b')) {
    if (!absl::Base64Unescape({key.data(), key.size()}, &request->decoded_key) ||
        request->decoded_key.empty()) {
      return "CLIENT_ERROR error decoding key";
    }
    request->key = request->decoded_key;
  }
  return {};
}

}  // namespace kill9::memcached
