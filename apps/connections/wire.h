// What a server and its clients say to each other: a Frame is the header of a message of the pool
// (variants/buffers/buffer_pool.h), with the user's bytes behind it.
//
//     Hello (client)        connect me: session s. Its mark says the same
//     Welcome (server)      you are connected
//     Bye (client)          the session is over
//     Closed, Stopped       the server ends the session; the server ends
//     Message, Request, Answer
//     Ping, Pong            are you there
//     Relieved              there is room again where you found none
//     Died (server)         from the server to itself, behind all that the dead client had sent
#ifndef KILL9_APPS_CONNECTIONS_WIRE_H_
#define KILL9_APPS_CONNECTIONS_WIRE_H_

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "variants/heap.h"

namespace kill9::connections {

enum class FrameKind : uint32_t {
  kHello = 1,
  kWelcome,
  kBye,
  kClosed,
  kStopped,
  kMessage,
  kRequest,
  kAnswer,
  kPing,
  kPong,
  kRelieved,
  kDied,
};

struct Frame {
  FrameKind kind = FrameKind::kMessage;
  uint32_t session = 0;  // of the client that it is from, or for
  ParticipantId client;
  int64_t tag = 0;
  uint64_t correlation = 0;  // of a Request and its Answer; else 0
};
static_assert(sizeof(Frame) == 32 && std::is_trivially_copyable_v<Frame>);

inline std::string Pack(const Frame& frame, std::string_view bytes) {
  std::string packed(reinterpret_cast<const char*>(&frame), sizeof frame);
  packed.append(bytes);
  return packed;
}
inline std::optional<Frame> Unpack(std::string_view packed) {
  Frame frame;
  if (packed.size() < sizeof frame) return std::nullopt;
  std::memcpy(&frame, packed.data(), sizeof frame);
  return frame;
}

// The marks of a client's slot in the pool. Each has the client's generation in its high half, so
// that what an earlier client left says nothing.
enum Mark : uint32_t {
  kSession = 0,     // the session in which it wants to be, or is. Cleared by either side to end it
  kOverloaded = 1,  // the server found no room for a message to it, and wants to be told of room
  kWantsRoom = 2,   // it found no room for a message to the server, and wants to be told of room
};
constexpr uint64_t MarkOf(uint32_t generation, uint32_t value) {
  return uint64_t{generation} << 32 | value;
}

inline constexpr uint32_t kServerSeat = 0;
// What is sent to the server, and to the client of a slot (BufferPool::DropSent).
inline constexpr uint32_t kServerBox = 0;
constexpr uint32_t BoxOf(uint32_t slot) { return slot + 1; }

}  // namespace kill9::connections

#endif  // KILL9_APPS_CONNECTIONS_WIRE_H_
