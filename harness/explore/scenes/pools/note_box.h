// A channel for scenes of buffer pools: a few messages, each behind one word of the pool's segment.
// So a message is sent, taken and acknowledged in one step, and the machine knows one segment. It
// keeps no order.
#ifndef KILL9_HARNESS_EXPLORE_SCENES_POOLS_NOTE_BOX_H_
#define KILL9_HARNESS_EXPLORE_SCENES_POOLS_NOTE_BOX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "harness/explore/runtime/question.h"
#include "variants/buffers/buffer_pool.h"
#include "variants/channel.h"

namespace kill9::explore {

// What lies outside of the segment: which message it is follows from the word.
struct NoteTexts {
  static constexpr uint32_t kOfEach = 16;  // that one participant may send
  struct Text {
    size_t bytes = 0;
    std::array<char, 64> text = {};
  };
  std::array<Text, (kMostParticipants + 1) * kOfEach> all;
  // Of the participants: whether a taker lives.
  std::array<ParticipantId, kMostParticipants + 1> ids = {};
};

// Its words are the marks of the slot. Explored code: compiled for the explorer as the designs are.
std::unique_ptr<Channel> NewNoteBox(BufferPool& pool, uint32_t slot, NoteTexts& texts,
                                    int participant);

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SCENES_POOLS_NOTE_BOX_H_
