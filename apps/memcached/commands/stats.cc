// stats, and what it takes to end the server.
#include <event2/event.h>
#include <sys/resource.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/memcached/commands/executor.h"

namespace kill9::memcached {
namespace {

// A count of all items may take so much of a worker's time: one part in this many.
constexpr int64_t kCensusShare = 20;
constexpr uint64_t kDumpedMost = 5000;  // keys, of `stats cachedump`

std::string Seconds(const timeval& time) {
  const std::string microseconds = absl::StrCat(1000000 + time.tv_usec);
  return absl::StrCat(time.tv_sec, ".", microseconds.substr(1));
}

}  // namespace

void Executor::Stat(std::string_view name, std::string_view value) {
  output_.Append("STAT ");
  output_.Append(name);
  output_.Append(" ");
  output_.AppendLine(value);
}
void Executor::Stat(std::string_view name, uint64_t value) { Stat(name, absl::StrCat(value)); }

void Executor::Stats(const Request& request) {
  Words words(request.arguments);
  const std::string_view what = words.Next();
  if (what == "reset") {
    shared_.Reset(items_.Counted());
    return output_.AppendLine("RESET");
  }
  if (what.empty()) {
    GeneralStats();
  } else if (what == "settings") {
    SettingsStats();
  } else if (what == "conns") {
    WorkerStats();
  } else if (what == "cachedump") {
    uint64_t most = 0;
    words.Next();  // a slab class, of which there are none
    if (!ParseNumber(words.Next(), &most)) {
      return output_.AppendLine("CLIENT_ERROR bad command line");
    }
    DumpKeys(most == 0 ? kDumpedMost : std::min(most, kDumpedMost));
  } else if (what != "items" && what != "slabs" && what != "sizes") {
    return output_.AppendLine("ERROR");
  }
  output_.AppendLine("END");
}

void Executor::GeneralStats() {
  timespec before{}, after{};
  clock_gettime(CLOCK_MONOTONIC, &before);
  const int64_t before_ms = before.tv_sec * 1000 + before.tv_nsec / 1000000;
  if (census_at_ms_ == 0 || before_ms - census_at_ms_ >= census_took_ms_ * kCensusShare) {
    census_ = items_.Count();
    clock_gettime(CLOCK_MONOTONIC, &after);
    census_at_ms_ = after.tv_sec * 1000 + after.tv_nsec / 1000000;
    census_took_ms_ = census_at_ms_ - before_ms;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  Stat("pid", static_cast<uint64_t>(shared_.master_pid));
  Stat("uptime", static_cast<uint64_t>((items_.now_ms() - shared_.started_ms) / 1000));
  Stat("time", items_.now_s());
  Stat("version", KILL9_MEMCACHED_VERSION);
  Stat("libevent", event_get_version());
  Stat("pointer_size", 64);
  Stat("rusage_user", Seconds(usage.ru_utime));
  Stat("rusage_system", Seconds(usage.ru_stime));
  Stat("max_connections", options_.connections_most);
  Stat("curr_connections", shared_.Connections());
  for (size_t i = 0; i < std::size(kCounterNames); ++i) {
    Stat(kCounterNames[i], shared_.Sum(static_cast<Counter>(i)));
  }
  Stat("limit_maxbytes", options_.memory_bytes);
  Stat("accepting_conns", 1);
  Stat("listen_disabled_num", 0);
  Stat("time_in_listen_disabled_us", 0);
  Stat("threads", static_cast<uint64_t>(shared_.workers));
  // Relaxed: it stands for itself.
  Stat("worker_restarts", shared_.restarts.load(std::memory_order_relaxed));
  Stat("disk_writes", shared_.disk_writes.load(std::memory_order_relaxed));
  Stat("design", options_.design);
  Stat("bytes", census_.bytes);
  Stat("curr_items", census_.items);
  const StoreCounters counted = items_.Counted();
  // Relaxed: each word stands for itself.
  const uint64_t expired = counted.expired - shared_.expired_before.load(std::memory_order_relaxed);
  Stat("get_expired", expired);
  Stat("get_flushed", counted.cleared - shared_.flushed_before.load(std::memory_order_relaxed));
  Stat("evictions", counted.evictions - shared_.evicted_before.load(std::memory_order_relaxed));
  Stat("reclaimed", expired);
  Stat("lrutail_reflocked", 0);  // programs expect it; nothing waits for a lock here
}

void Executor::DumpKeys(uint64_t most) {
  items_.ForEach([&](std::string_view key, const Item& item) {
    output_.Append("ITEM ");
    output_.Append(key);
    output_.AppendLine(
        absl::StrCat(" [", item.data.size(), " b; ", item.envelope.expires_ms / 1000, " s]"));
    return --most > 0;
  });
}

void Executor::SettingsStats() {
  const std::string nothing = "NULL";
  Stat("maxbytes", options_.memory_bytes);
  Stat("maxconns", options_.connections_most);
  Stat("tcpport", static_cast<uint64_t>(options_.unix_path.empty() ? options_.port : 0));
  Stat("udpport", 0);
  Stat("inter", options_.addresses.empty() ? nothing : options_.addresses.front());
  Stat("verbosity", static_cast<uint64_t>(options_.verbosity));
  Stat("evictions", options_.design == "seqlock_ring" ? "on" : "off");
  Stat("domain_socket", options_.unix_path.empty() ? nothing : options_.unix_path);
  Stat("umask", absl::StrCat(absl::Hex(options_.unix_mode)));
  Stat("num_threads", static_cast<uint64_t>(options_.workers));
  Stat("reqs_per_event", options_.requests_per_turn);
  Stat("cas_enabled", options_.uses_cas ? "yes" : "no");
  Stat("tcp_backlog", static_cast<uint64_t>(options_.backlog));
  Stat("binding_protocol", "ascii");
  Stat("auth_enabled_sasl", "no");
  Stat("item_size_max", options_.value_bytes_most);
  Stat("flush_enabled", options_.may_flush ? "yes" : "no");
  Stat("dump_enabled", "no");
  Stat("idle_timeout", static_cast<uint64_t>(options_.idle_seconds));
  Stat("shutdown_command", options_.may_shut_down ? "yes" : "no");
  Stat("memory_file", options_.files.empty() ? nothing : absl::StrJoin(options_.files, ","));
  Stat("design", options_.design);
}

void Executor::WorkerStats() {
  for (int i = 0; i < shared_.workers; ++i) {
    const WorkerSlot& slot = shared_.slots[static_cast<size_t>(i)];
    // Relaxed: each word stands for itself.
    const int pid = slot.pid.load(std::memory_order_relaxed);
    Stat(absl::StrCat(i, ":pid"), static_cast<uint64_t>(pid));
    Stat(absl::StrCat(i, ":connections"), slot.connections.load(std::memory_order_relaxed));
  }
}

Executor::Next Executor::ShutDown(const Request& request) {
  if (!options_.may_shut_down) {
    output_.AppendLine("ERROR: shutdown not enabled");
    return Next::kGoOn;
  }
  const std::string_view how = Words(request.arguments).Next();
  // Each worker answers what it has begun.
  if (how.empty() || how == "graceful") return Next::kShutDown;
  output_.AppendLine("CLIENT_ERROR invalid shutdown mode");
  return Next::kGoOn;
}

}  // namespace kill9::memcached
