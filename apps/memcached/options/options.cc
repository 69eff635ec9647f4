#include "apps/memcached/options/options.h"

#include <getopt.h>

#include <algorithm>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "apps/memcached/protocol/words.h"

namespace kill9::memcached {
namespace {

// Long options without a letter.
enum LongOption : int {
  kDesign = 1000,
  kEntries,
  kStall,
  kIdle,
  kBuffers,
  kDiskSeconds,
};

constexpr option kLongOptions[] = {
    {"design", required_argument, nullptr, kDesign},
    {"expected-entries", required_argument, nullptr, kEntries},
    {"idle-seconds", required_argument, nullptr, kIdle},
    {"stall-seconds", required_argument, nullptr, kStall},
    {"buffers", required_argument, nullptr, kBuffers},
    {"disk-seconds", required_argument, nullptr, kDiskSeconds},
    {"file", required_argument, nullptr, 'e'},
    {"memory-file", required_argument, nullptr, 'e'},
    {"memory", required_argument, nullptr, 'm'},
    {"memory-limit", required_argument, nullptr, 'm'},
    {"workers", required_argument, nullptr, 't'},
    {"threads", required_argument, nullptr, 't'},
    {"port", required_argument, nullptr, 'p'},
    {"udp-port", required_argument, nullptr, 'U'},
    {"listen", required_argument, nullptr, 'l'},
    {"unix-socket", required_argument, nullptr, 's'},
    {"unix-mask", required_argument, nullptr, 'a'},
    {"listen-backlog", required_argument, nullptr, 'b'},
    {"conn-limit", required_argument, nullptr, 'c'},
    {"max-item-size", required_argument, nullptr, 'I'},
    {"max-reqs-per-event", required_argument, nullptr, 'R'},
    {"protocol", required_argument, nullptr, 'B'},
    {"user", required_argument, nullptr, 'u'},
    {"pidfile", required_argument, nullptr, 'P'},
    {"daemon", no_argument, nullptr, 'd'},
    {"disable-cas", no_argument, nullptr, 'C'},
    {"disable-evictions", no_argument, nullptr, 'M'},
    {"disable-flush-all", no_argument, nullptr, 'F'},
    {"enable-shutdown", no_argument, nullptr, 'A'},
    {"extended", required_argument, nullptr, 'o'},
    {"verbose", no_argument, nullptr, 'v'},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {nullptr, 0, nullptr, 0},
};
constexpr char kLetters[] = "e:m:t:p:U:l:s:a:b:c:I:R:B:u:P:dCMFAo:vhVrk";

// What memcached tunes with -o and has no counterpart here: slabs, its crawler, its hash table.
constexpr std::string_view kWithoutEffect[] = {
    "maxconns_fast",       "no_maxconns_fast", "hashpower",        "hash_algorithm",
    "tail_repair_time",    "no_lru_crawler",   "lru_crawler",      "lru_crawler_sleep",
    "lru_crawler_tocrawl", "modern",           "no_modern",        "lru_maintainer",
    "no_lru_maintainer",   "slab_reassign",    "no_slab_reassign", "slab_automove",
    "slab_chunk_max",      "slab_sizes",       "track_sizes",      "relaxed_privileges",
    "hot_lru_pct",         "warm_lru_pct",     "temporary_ttl",    "resp_obj_mem_limit",
    "no_hashexpand"};

std::string Wrong(std::string_view option, std::string_view value, std::string_view wanted) {
  return absl::StrCat(std::string(option), " is '", std::string(value), "'; it must be ",
                      std::string(wanted));
}

// Reads the options one by one; the first that is wrong stays in error().
class Reader {
 public:
  explicit Reader(Options& options) : options_(options) {}
  const std::string& error() const { return error_; }

  void Read(int letter, std::string_view value) {
    if (!ReadSwitch(letter) && !ReadPlace(letter, value)) ReadLimit(letter, value);
  }

 private:
  bool ReadSwitch(int letter) {
    switch (letter) {
      case 'd':
        return options_.daemon = true;
      case 'C':
        return !(options_.uses_cas = false);
      case 'M':
        return options_.design = "cas_slots", true;
      case 'F':
        return !(options_.may_flush = false);
      case 'A':
        return options_.may_shut_down = true;
      case 'v':
        return ++options_.verbosity, true;
      case 'h':
        return options_.shows_help = true;
      case 'V':
        return options_.shows_version = true;
      case 'r':
      case 'k':
        return true;  // core files, locked memory: the system's own settings
      default:
        return false;
    }
  }

  bool ReadPlace(int letter, std::string_view value) {
    switch (letter) {
      case kDesign:
        return options_.design = value, true;
      case 'e':
        return options_.files.emplace_back(value), true;
      case 's':
        return options_.unix_path = value, true;
      case 'u':
        return options_.user = value, true;
      case 'P':
        return options_.pid_file = value, true;
      case 'l':
        options_.addresses.clear();
        for (Words words(value, ',');;) {
          const std::string_view one = words.Next();
          if (one.empty()) return true;
          options_.addresses.emplace_back(one);
        }
      case 'a':
        options_.unix_mode = 0;
        for (const char digit : value) {
          if (digit < '0' || digit > '7') error_ = Wrong("-a", value, "octal digits, as 0700");
          options_.unix_mode = options_.unix_mode * 8 + (digit - '0');
        }
        return true;
      case 'B':
        if (value != "auto" && value != "ascii") {
          error_ = Wrong("-B", value, "auto or ascii: the binary protocol is not served");
        }
        return true;
      case 'o':
        return ReadExtended(value), true;
      default:
        return false;
    }
  }

  void ReadLimit(int letter, std::string_view value) {
    switch (letter) {
      case 'm':
        options_.memory_bytes = Size("-m", value, 20, 1 << 20, uint64_t{1} << 44);
        break;
      case 'I':
        options_.value_bytes_most = Size("-I", value, 0, 1024, 128 << 20);
        break;
      case kBuffers:
        options_.buffer_bytes_most = Size("--buffers", value, 20, 1 << 20, uint64_t{1} << 40);
        break;
      case 't':
        options_.workers = static_cast<int>(Number("-t", value, 1, 64));
        break;
      case 'p':
        options_.port = static_cast<int>(Number("-p", value, 0, 65535));
        break;
      case 'b':
        options_.backlog = static_cast<int>(Number("-b", value, 1, 1 << 20));
        break;
      case 'c':
        options_.connections_most = Number("-c", value, 1, 1 << 20);
        break;
      case 'R':
        options_.requests_per_turn = Number("-R", value, 1, 1 << 30);
        break;
      case kEntries:
        options_.expected_entries = Number("--expected-entries", value, 0, 1e12);
        break;
      case kStall:
        options_.stall_seconds = static_cast<int>(Number("--stall-seconds", value, 1, 1e6));
        break;
      case kDiskSeconds:
        options_.disk_seconds = static_cast<int>(Number("--disk-seconds", value, 0, 1e6));
        break;
      case kIdle:
        options_.idle_seconds = static_cast<int>(Number("--idle-seconds", value, 0, 1e9));
        break;
      case 'U':
        if (value != "0") error_ = Wrong("-U", value, "0: UDP is not served");
        break;
      default:
        error_ = "see --help";
    }
  }

  void ReadExtended(std::string_view list) {
    Words words(list, ',');
    for (std::string_view one = words.Next(); !one.empty(); one = words.Next()) {
      const std::string_view name = one.substr(0, one.find('='));
      const std::string_view value = one.substr(std::min(name.size() + 1, one.size()));
      if (name == "idle_timeout") {
        options_.idle_seconds = static_cast<int>(Number("-o idle_timeout", value, 0, 1e9));
      } else if (name == "read_buf_mem_limit") {
        options_.buffer_bytes_most =
            Size("-o read_buf_mem_limit", value, 20, 1 << 20, uint64_t{1} << 40);
      } else if (name == "debugtime") {
        options_.may_move_clock = true;
      } else if (std::find(std::begin(kWithoutEffect), std::end(kWithoutEffect), name) ==
                 std::end(kWithoutEffect)) {
        error_ =
            absl::StrCat("-o ", std::string(name), " is not known; --help lists those that are");
      }
    }
  }

  uint64_t Number(std::string_view option, std::string_view value, uint64_t least, double most) {
    uint64_t number = 0;
    if (ParseNumber(value, &number) && number >= least && static_cast<double>(number) <= most) {
      return number;
    }
    error_ = Wrong(option, value,
                   absl::StrCat("a number from ", least, " to ", static_cast<uint64_t>(most)));
    return least;
  }

  // 64, 512k, 64m, 2g; a number alone counts units of 2^unit bytes.
  uint64_t Size(std::string_view option, std::string_view value, int unit, uint64_t least,
                uint64_t most) {
    std::string_view digits = value;
    if (!digits.empty()) {
      const size_t suffix = std::string_view("kKmMgG").find(digits.back());
      if (suffix != std::string_view::npos) {
        unit = 10 * (static_cast<int>(suffix) / 2 + 1);
        digits.remove_suffix(1);
      }
    }
    uint64_t number = 0;
    if (ParseNumber(digits, &number) && number <= most >> unit && number << unit >= least) {
      return number << unit;
    }
    error_ = Wrong(option, value,
                   absl::StrCat("a size from ", least, " to ", most,
                                " bytes; k, m or g may follow the number"));
    return least;
  }

  Options& options_;
  std::string error_;
};

}  // namespace

absl::StatusOr<Options> ParseOptions(int argc, char** argv) {
  Options options;
  options.workers = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 4u));
  Reader reader(options);
  optind = 1;
  opterr = 0;
  for (;;) {
    const int at = optind;
    const int letter = getopt_long(argc, argv, kLetters, kLongOptions, nullptr);
    if (letter < 0) break;
    if (letter == '?' || letter == ':') {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", argv[at], "' is not known, or lacks its value; --help lists all options"));
    }
    reader.Read(letter, optarg == nullptr ? "" : optarg);
    if (!reader.error().empty()) return absl::InvalidArgumentError(reader.error());
  }
  if (optind < argc) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", argv[optind], "' is no option; --help lists all"));
  }
  return options;
}

}  // namespace kill9::memcached
