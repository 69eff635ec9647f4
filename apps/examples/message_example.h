// What message_server and message_client have in common.
#ifndef KILL9_APPS_EXAMPLES_MESSAGE_EXAMPLE_H_
#define KILL9_APPS_EXAMPLES_MESSAGE_EXAMPLE_H_

#include <sys/un.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "variants/registry.h"

namespace kill9 {

// The last byte of a run over the socket.
inline constexpr char kEndOfRun = '.';

inline void MustHold(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(1);
}
template <typename T>
T MustHold(absl::StatusOr<T> result) {
  MustHold(result.status());
  return *std::move(result);
}

// The channel of this name, made by whoever comes first.
inline std::unique_ptr<Channel> Join(const std::string& name, MemberRole role) {
  const auto& design = static_cast<const ChannelDesign&>(*FindDesign("mutex_vector"));
  SegmentOptions options;
  options.location = {.kind = SegmentKind::kNamed, .name = name};
  options.size_bytes = 64 << 20;
  absl::StatusOr<std::shared_ptr<Segment>> segment = design.Create(options);
  if (absl::IsAlreadyExists(segment.status())) segment = design.Open(options.location);
  return MustHold(design.Attach(MustHold(std::move(segment)), {.role = role}));
}

// In the abstract namespace: it goes with its server.
inline sockaddr_un SocketAddress(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "kill9-" + name;
  path.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  return address;
}

}  // namespace kill9

#endif  // KILL9_APPS_EXAMPLES_MESSAGE_EXAMPLE_H_
