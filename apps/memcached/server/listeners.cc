#include "apps/memcached/server/listeners.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "apps/server/listener.h"

namespace kill9::memcached {
namespace {

// HOST, HOST:PORT, [V6] or [V6]:PORT; a V6 address alone has more than one colon.
void SplitAddress(const std::string& address, std::string* host, std::string* port) {
  const size_t colon = address.rfind(':');
  const size_t bracket = address.rfind(']');
  const bool has_port = colon != address.npos &&
                        (bracket != address.npos ? colon > bracket : address.find(':') == colon);
  *host = has_port ? address.substr(0, colon) : address;
  if (has_port) *port = address.substr(colon + 1);
  if (host->starts_with('[') && host->ends_with(']')) *host = host->substr(1, host->size() - 2);
}

}  // namespace

absl::StatusOr<std::vector<int>> Listen(const Options& options) {
  if (!options.unix_path.empty()) {
    const absl::StatusOr<int> fd =
        server::ListenUnix(options.unix_path, options.unix_mode, options.backlog);
    if (!fd.ok()) return fd.status();
    return std::vector<int>{*fd};
  }
  std::vector<int> fds;
  for (const std::string& address : options.addresses) {
    if (options.port == 0) break;
    std::string host, port = absl::StrCat(options.port);
    SplitAddress(address, &host, &port);
    const absl::StatusOr<std::vector<int>> more = server::ListenTcp(host, port, options.backlog);
    if (!more.ok()) return more.status();
    fds.insert(fds.end(), more->begin(), more->end());
  }
  if (fds.empty()) {
    return absl::InvalidArgumentError("nobody could come: give a port (-p) or a socket (-s)");
  }
  return fds;
}

}  // namespace kill9::memcached
