// One request of the memcached text protocol: what a client asked for.
#ifndef KILL9_APPS_MEMCACHED_PROTOCOL_REQUEST_H_
#define KILL9_APPS_MEMCACHED_PROTOCOL_REQUEST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kill9::memcached {

inline constexpr size_t kKeyBytesMost = 250;
// Of memcached's, whose protocol this is: clients look at it to know what they may ask for.
#define KILL9_MEMCACHED_VERSION "1.6.18-kill9-" KILL9_VERSION

enum class Command : uint8_t {
  kGet,
  kGets,
  kGat,
  kGats,
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,
  kIncr,
  kDecr,
  kTouch,
  kDelete,
  kFlushAll,
  kStats,
  kVerbosity,
  kVersion,
  kQuit,
  kShutdown,
  kDebugTime,
  kMetaGet,
  kMetaSet,
  kMetaDelete,
  kMetaArithmetic,
  kMetaDebug,
  kMetaNoop,
};

// A flag of a meta command: its letter, and what follows the letter.
struct MetaFlag {
  char letter = 0;
  std::string_view token;
};

// The flags of a meta command, in the order in which the answer repeats them.
class MetaFlags {
 public:
  static constexpr size_t kMost = 32;

  bool Has(char letter) const { return (letters_ >> Bit(letter) & 1) != 0; }
  // False: it is there, or there is no more room.
  bool Add(MetaFlag flag) {
    if (Has(flag.letter) || count_ == kMost) return false;
    letters_ |= uint64_t{1} << Bit(flag.letter);
    flags_[count_++] = flag;
    return true;
  }
  std::span<const MetaFlag> all() const { return {flags_.data(), count_}; }
  void Clear() { count_ = letters_ = 0; }

 private:
  // Letters are at 'A' (65) to 'z' (122).
  static constexpr int Bit(char letter) { return letter - 'A'; }

  std::array<MetaFlag, kMost> flags_;  // the first count_ of them
  uint64_t count_ = 0;
  uint64_t letters_ = 0;
};

// It is filled in place, and shows parts of itself: it is not copied.
struct Request {
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  Command command = Command::kGet;
  bool noreply = false;
  std::string_view key;        // as the store has it
  std::string_view arguments;  // get and its like: all keys; stats, verbosity, ...: the rest
  std::string_view data;       // of what stores
  uint32_t client_flags = 0;
  int64_t exptime = 0;
  bool has_exptime = false;  // a meta command's T; flush_all's delay
  uint64_t cas = 0;
  bool has_cas = false;
  uint64_t delta = 1;
  // Meta commands only.
  std::string_view key_as_sent;
  MetaFlags flags;
  char mode = 0;            // M
  int64_t vivify_ttl = 0;   // N
  int64_t recache_ttl = 0;  // R
  uint64_t initial = 0;     // J
  std::string decoded_key;  // what `key` shows where it came as base64

  void Clear() {
    noreply = has_exptime = has_cas = false;
    key = arguments = data = key_as_sent = {};
    client_flags = 0;
    exptime = vivify_ttl = recache_ttl = 0;
    cas = initial = 0;
    delta = 1;
    mode = 0;
    flags.Clear();
  }
};

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_PROTOCOL_REQUEST_H_
