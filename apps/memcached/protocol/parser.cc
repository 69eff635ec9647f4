#include "apps/memcached/protocol/parser.h"

#include <algorithm>
#include <limits>

#include "apps/memcached/protocol/words.h"

namespace kill9::memcached {
namespace {

constexpr std::string_view kError = "ERROR";
constexpr std::string_view kBadFormat = "CLIENT_ERROR bad command line format";
constexpr std::string_view kBadExptime = "CLIENT_ERROR invalid exptime argument";
constexpr std::string_view kBadChunk = "CLIENT_ERROR bad data chunk";
constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache";
constexpr std::string_view kNoReply = "noreply";
constexpr size_t kEndBytes = 2;  // "\r\n" after the data

struct Name {
  std::string_view name;
  Command command;
};
constexpr Name kNames[] = {
    {"get", Command::kGet},
    {"set", Command::kSet},
    {"mg", Command::kMetaGet},
    {"ms", Command::kMetaSet},
    {"gets", Command::kGets},
    {"gat", Command::kGat},
    {"gats", Command::kGats},
    {"add", Command::kAdd},
    {"replace", Command::kReplace},
    {"append", Command::kAppend},
    {"prepend", Command::kPrepend},
    {"cas", Command::kCas},
    {"incr", Command::kIncr},
    {"decr", Command::kDecr},
    {"touch", Command::kTouch},
    {"delete", Command::kDelete},
    {"md", Command::kMetaDelete},
    {"ma", Command::kMetaArithmetic},
    {"me", Command::kMetaDebug},
    {"mn", Command::kMetaNoop},
    {"flush_all", Command::kFlushAll},
    {"stats", Command::kStats},
    {"verbosity", Command::kVerbosity},
    {"version", Command::kVersion},
    {"quit", Command::kQuit},
    {"shutdown", Command::kShutdown},
    {"debugtime", Command::kDebugTime},
};

bool ReadsKeys(std::string_view name) {
  return name == "get" || name == "gets" || name == "gat" || name == "gats";
}

// A line's request. Sets what refuses it, and how much data belongs to it.
class LineParser {
 public:
  LineParser(std::string_view line, Request* request) : words_(line), request_(*request) {}

  std::string_view refusal() const { return refusal_; }
  bool has_data() const { return has_data_; }
  uint64_t data_bytes() const { return data_bytes_; }

  void Parse() {
    const std::string_view name = words_.Next();
    const auto* known = std::find_if(std::begin(kNames), std::end(kNames),
                                     [&](const Name& one) { return one.name == name; });
    if (known == std::end(kNames)) return Refuse(kError);
    request_.command = known->command;
    switch (known->command) {
      case Command::kGet:
      case Command::kGets:
        return ParseKeys();
      case Command::kGat:
      case Command::kGats:
        if (const std::string_view time = words_.Next(); time.empty())
          return Refuse(kError);
        else if (!ParseNumber(time, &request_.exptime))
          return Refuse(kBadExptime);
        return ParseKeys();
      case Command::kSet:
      case Command::kAdd:
      case Command::kReplace:
      case Command::kAppend:
      case Command::kPrepend:
      case Command::kCas:
        return ParseStorage();
      case Command::kIncr:
      case Command::kDecr:
      case Command::kTouch:
        return ParseKeyAndNumber();
      case Command::kDelete:
        return ParseDelete();
      case Command::kMetaSet:
      case Command::kMetaGet:
      case Command::kMetaDelete:
      case Command::kMetaArithmetic:
      case Command::kMetaDebug:
        return ParseMeta();
      case Command::kFlushAll:
        return ParseFlush();
      case Command::kVerbosity:
        return ParseVerbosity();
      default:
        request_.arguments = words_.rest();
    }
  }

 private:
  void Refuse(std::string_view answer) { refusal_ = answer; }

  // All of them are looked at before the first is answered.
  void ParseKeys() {
    request_.arguments = words_.rest();
    std::string_view key = words_.Next();
    if (key.empty()) return Refuse(kError);
    for (; !key.empty(); key = words_.Next()) {
      if (key.size() > kKeyBytesMost) return Refuse(kBadFormat);
    }
  }

  bool ParseKey() {
    request_.key = words_.Next();
    if (request_.key.empty()) Refuse(kError);
    if (request_.key.size() > kKeyBytesMost) Refuse(kBadFormat);
    return refusal_.empty();
  }

  // The last word, which is optional.
  void ParseNoReply() {
    request_.noreply = words_.Next() == kNoReply;
    ParseEnd();
  }
  void ParseEnd() {
    if (!words_.Next().empty()) Refuse(kError);
  }

  // How much data follows the line. What is refused for another reason is passed over all the same:
  // data must not be taken for commands.
  void ParseSize(std::string_view bytes) {
    int32_t size = 0;
    has_data_ = ParseNumber(bytes, &size) && size >= 0 &&
                size <= std::numeric_limits<int32_t>::max() - static_cast<int32_t>(kEndBytes);
    data_bytes_ = has_data_ ? static_cast<uint64_t>(size) : 0;
  }

  void ParseStorage() {
    const std::string_view key = words_.Next(), flags = words_.Next(), exptime = words_.Next(),
                           bytes = words_.Next();
    const bool has_cas = request_.command == Command::kCas;
    const std::string_view cas = has_cas ? words_.Next() : "0";
    if (bytes.empty() || cas.empty()) return Refuse(kError);
    request_.key = key;
    request_.has_cas = has_cas;
    ParseNoReply();
    ParseSize(bytes);
    if (!refusal_.empty()) return;
    if (key.size() > kKeyBytesMost || !has_data_ || !ParseNumber(flags, &request_.client_flags) ||
        !ParseNumber(exptime, &request_.exptime) || !ParseNumber(cas, &request_.cas)) {
      Refuse(kBadFormat);
    }
  }

  void ParseKeyAndNumber() {
    if (!ParseKey()) return;
    const std::string_view number = words_.Next();
    if (number.empty()) return Refuse(kError);
    ParseNoReply();
    if (request_.command == Command::kTouch) {
      if (!ParseNumber(number, &request_.exptime)) Refuse(kBadExptime);
    } else if (!ParseNumber(number, &request_.delta)) {
      Refuse("CLIENT_ERROR invalid numeric delta argument");
    }
  }

  // An old form had a time after the key, which may only be 0.
  void ParseDelete() {
    if (!ParseKey()) return;
    std::string_view word = words_.Next();
    const bool wrong = !word.empty() && word != "0" && word != kNoReply;
    if (word == "0" || wrong) word = words_.Next();
    request_.noreply = word == kNoReply;
    ParseEnd();
    if (wrong || (!word.empty() && word != kNoReply)) {
      Refuse("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]");
    }
  }

  void ParseVerbosity() {
    const std::string_view word = words_.Next();
    uint64_t level = 0;
    request_.noreply = word == kNoReply;
    if (word.empty()) return Refuse(kError);
    if (request_.noreply) return ParseEnd();
    if (!ParseNumber(word, &level)) Refuse(kBadFormat);
    ParseNoReply();
  }

  void ParseFlush() {
    std::string_view word = words_.Next();
    if (!word.empty() && word != kNoReply) {
      request_.has_exptime = true;
      if (!ParseNumber(word, &request_.exptime)) Refuse(kBadExptime);
      word = words_.Next();
    }
    request_.noreply = word == kNoReply;
    ParseEnd();
  }

  void ParseMeta() {
    const std::string_view key = words_.Next();
    if (request_.command == Command::kMetaSet) {
      ParseSize(words_.Next());
      if (!has_data_) return Refuse(kBadFormat);
    }
    Refuse(ParseMetaKeyAndFlags(key, words_.rest(), &request_));
  }

  Words words_;
  Request& request_;
  std::string_view refusal_;
  bool has_data_ = false;
  uint64_t data_bytes_ = 0;
};

bool IsMeta(Command command) { return command >= Command::kMetaGet; }

// What a line without an end, so far, may still become.
Parsed ParseUnended(std::string_view input) {
  if (input.size() <= kLineBytesMost) return {};
  const std::string_view name = Words(input.substr(0, kLineBytesMost)).Next();
  if (ReadsKeys(name) && input.size() <= kKeysLineBytesMost) return {};
  return {.outcome = ParseOutcome::kHangUp, .answer = "CLIENT_ERROR line too long"};
}

// Other protocols: one in binary, and what browsers say (a page must not reach a cache behind its
// reader's firewall).
bool IsForeign(std::string_view input) {
  const auto first = static_cast<unsigned char>(input[0]);
  return first == 0x80 || first == 0x16 || input.starts_with("GET ") ||
         input.starts_with("POST ") || input.starts_with("PUT ") || input.starts_with("DELETE ");
}

}  // namespace

Parsed ParseRequest(std::string_view input, size_t data_bytes_most, Request* request) {
  if (input.empty()) return {};
  if (IsForeign(input)) return {.outcome = ParseOutcome::kHangUp};
  const size_t end = input.find('\n');
  if (end == input.npos) return ParseUnended(input);
  std::string_view line = input.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t line_bytes = end + 1;
  request->Clear();
  LineParser parser(line, request);
  parser.Parse();
  Parsed parsed = {.outcome = ParseOutcome::kRequest, .consumed = line_bytes};
  if (!parser.refusal().empty()) {
    parsed.outcome = ParseOutcome::kRefused;
    // Who was told not to answer stays silent; a meta command's errors are always told.
    if (!request->noreply || IsMeta(request->command)) parsed.answer = parser.refusal();
    if (parser.has_data()) parsed.skip = parser.data_bytes() + kEndBytes;
    return parsed;
  }
  if (!parser.has_data()) return parsed;
  if (parser.data_bytes() > data_bytes_most) {
    return {.outcome = ParseOutcome::kRefused,
            .consumed = line_bytes,
            .skip = parser.data_bytes() + kEndBytes,
            .answer = request->noreply && !IsMeta(request->command) ? "" : kTooLarge,
            .drops_key = true};
  }
  const size_t all = line_bytes + parser.data_bytes() + kEndBytes;
  if (input.size() < all) return {.needed = all};
  parsed.consumed = all;
  request->data = input.substr(line_bytes, parser.data_bytes());
  if (input.substr(all - kEndBytes, kEndBytes) != "\r\n") {
    parsed.outcome = ParseOutcome::kRefused;
    parsed.answer = kBadChunk;
  }
  return parsed;
}

}  // namespace kill9::memcached
