#include "apps/connections/connections.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/connections/wire.h"

namespace kill9::connections {
namespace {

constexpr uint32_t kMostClients = 4000;
// Of a channel: members of one that is attached twice for a moment, and who looks on.
constexpr uint32_t kSpareMembers = 8;

// Of the server's channel at least, for what a client is in it, and for what it sends.
constexpr uint64_t kBytesForAClient = 4 << 10;

const ChannelDesign& Design() {
  static const auto& design = static_cast<const ChannelDesign&>(*FindDesign("slot_ring"));
  return design;
}

SegmentLocation PoolOf(const std::string& name) {
  return {.kind = SegmentKind::kNamed, .name = absl::StrCat(name, ".pool")};
}
SegmentLocation ServerChannelOf(const std::string& name) {
  return {.kind = SegmentKind::kNamed, .name = absl::StrCat(name, ".server")};
}
SegmentLocation ClientChannelOf(const std::string& name, uint32_t slot) {
  return {.kind = SegmentKind::kNamed, .name = absl::StrCat(name, ".client.", slot)};
}

// Opens what is there; makes it if nothing is.
absl::StatusOr<std::unique_ptr<Channel>> JoinOrMake(const SegmentOptions& options,
                                                    MemberRole role) {
  absl::StatusOr<std::shared_ptr<Segment>> segment = Design().Open(options.location);
  if (absl::IsNotFound(segment.status())) {
    segment = Design().Create(options);
    if (absl::IsAlreadyExists(segment.status())) segment = Design().Open(options.location);
  }
  if (!segment.ok()) return segment.status();
  return Design().Attach(*std::move(segment), {.role = role});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Place>> Place::Open(const Options& options) {
  if (options.name.empty() || options.clients_most == 0 || options.clients_most > kMostClients) {
    return absl::InvalidArgumentError("a place has a name, and 1 to 4,000 clients");
  }
  std::unique_ptr<Place> place(new Place(options));
  absl::StatusOr<std::shared_ptr<Segment>> segment = BufferPool::Open(PoolOf(options.name));
  if (absl::IsNotFound(segment.status())) {
    SegmentOptions own;
    own.location = PoolOf(options.name);
    own.size_bytes = options.pool_bytes;
    own.max_participants = options.clients_most + kSpareMembers;
    segment = BufferPool::Create({.segment = own,
                                  .buffers_most = options.buffers_most,
                                  .holds_most = options.clients_most + uint64_t{60}});
    if (absl::IsAlreadyExists(segment.status())) segment = BufferPool::Open(own.location);
  }
  if (!segment.ok()) return segment.status();
  absl::StatusOr<std::unique_ptr<BufferPool>> pool = BufferPool::Attach(*std::move(segment));
  if (!pool.ok()) return pool.status();
  place->pool_ = *std::move(pool);
  return place;
}

void Place::Remove(const std::string& name) {
  Segment::Unlink(PoolOf(name)).IgnoreError();
  Segment::Unlink(ServerChannelOf(name)).IgnoreError();
  for (uint32_t slot = 0; slot < kMostClients + kSpareMembers; ++slot) {
    Segment::Unlink(ClientChannelOf(name, slot)).IgnoreError();
  }
}

absl::StatusOr<std::unique_ptr<Channel>> Place::JoinServerChannel(MemberRole role) const {
  SegmentOptions own;
  own.location = ServerChannelOf(options_.name);
  own.size_bytes =
      std::max<uint64_t>(options_.server_channel_bytes, options_.clients_most * kBytesForAClient);
  own.max_participants = options_.clients_most + kSpareMembers;
  return JoinOrMake(own, role);
}

absl::StatusOr<std::unique_ptr<Channel>> Place::JoinClientChannel(uint32_t slot,
                                                                  MemberRole role) const {
  SegmentOptions own;
  own.location = ClientChannelOf(options_.name, slot);
  own.size_bytes = options_.client_channel_bytes;
  own.max_participants = kSpareMembers;
  return JoinOrMake(own, role);
}

bool Place::IsServerAlive() const { return pool_->IsAlive(pool_->SeatedAt(kServerSeat)); }

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

absl::Status SendFrame(BufferPool& pool, Channel& channel, const Frame& frame,
                       const Outgoing& outgoing, Deadline deadline, uint32_t box) {
  Buffer none;
  absl::Status sent = pool.Send(channel, outgoing.buffer != nullptr ? *outgoing.buffer : none,
                                Pack(frame, outgoing.bytes), deadline, box)
                          .status();
  if (absl::IsDeadlineExceeded(sent) && !deadline.waits()) {
    return absl::ResourceExhaustedError("the other side is overloaded: there is no room");
  }
  return sent;
}

}  // namespace kill9::connections
