// A box for one message, behind one word of a pool's segment: so whoever knows that segment, byte
// by byte, knows the whole channel. It is empty or full, and so first-in first-out.
#ifndef KILL9_HARNESS_POOL_DRIVER_BOX_MESSAGE_BOX_H_
#define KILL9_HARNESS_POOL_DRIVER_BOX_MESSAGE_BOX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "variants/buffers/buffer_pool.h"
#include "variants/channel.h"

namespace kill9 {

// What lies outside of the segment, in memory that all processes share: a number in the word says
// which text it is. Only its sender writes a text, and the same in each run.
struct BoxTexts {
  static constexpr uint32_t kMembers = 16, kOfEach = 16;
  struct Text {
    size_t bytes = 0;
    std::array<char, 64> text = {};
  };
  std::array<Text, kMembers * kOfEach> all;
  std::array<ParticipantId, kMembers> ids;  // whether who has taken the message lives
};

// As member `number` of the box. Its word is a mark of the last place for recoverers, which no
// participant has.
std::unique_ptr<Channel> NewMessageBox(BufferPool& pool, BoxTexts& texts, uint32_t number);
// Whether a message is in the box, waiting or taken.
bool IsBoxFull(const BufferPool& pool);
// What it says. REQUIRES: it is full.
Message LookIntoBox(const BufferPool& pool, const BoxTexts& texts);

}  // namespace kill9

#endif  // KILL9_HARNESS_POOL_DRIVER_BOX_MESSAGE_BOX_H_
