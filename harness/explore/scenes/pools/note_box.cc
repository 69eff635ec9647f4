#include "harness/explore/scenes/pools/note_box.h"

#include <cstring>
#include <string_view>

#include "harness/explore/runtime/stage.h"
#include "harness/pool_driver/box/box_channel.h"

namespace kill9::explore {
namespace {

enum class NoteState : uint64_t { kEmpty = 0, kFull = 1, kTaken = 2 };

// The state, who has taken it, which text it is, and a hash of that: what two words have in common
// that are equal.
struct NoteWord {
  uint64_t bits = 0;

  static NoteWord Full(uint32_t number, std::string_view text) {
    uint64_t hash = 0;
    for (const char byte : text) hash = Mix(hash, static_cast<unsigned char>(byte));
    return {static_cast<uint64_t>(NoteState::kFull) | uint64_t{number} << 8 | hash << 16};
  }
  NoteState state() const { return static_cast<NoteState>(bits & 3); }
  int taker() const { return static_cast<int>(bits >> 2 & 63); }
  uint32_t number() const { return static_cast<uint32_t>(bits >> 8 & 255); }
  NoteWord Taken(int by) const {
    return {(bits & ~uint64_t{255}) | static_cast<uint64_t>(NoteState::kTaken) |
            static_cast<uint64_t>(by) << 2};
  }
  NoteWord Untaken() const {
    return {(bits & ~uint64_t{255}) | static_cast<uint64_t>(NoteState::kFull)};
  }
};

class NoteBox final : public BoxChannel {
 public:
  NoteBox(BufferPool& pool, uint32_t slot, NoteTexts& texts, int participant)
      : pool_(pool), slot_(slot), texts_(texts), participant_(participant) {}

  size_t max_message_bytes() const override { return sizeof(NoteTexts::Text::text); }

 private:
  buffers::SharedWord& word(uint64_t number) const {
    return pool_.mark(slot_, static_cast<uint32_t>(number));
  }

  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline) override {
    const uint32_t number = static_cast<uint32_t>(participant_) * NoteTexts::kOfEach + sent_++;
    NoteTexts::Text& text = texts_.all[number];
    text.bytes = message.size();
    std::memcpy(text.text.data(), message.data(), message.size());
    for (uint64_t i = 0; i < buffers::kMarks; ++i) {
      uint64_t empty = 0;
      if (word(i).compare_exchange_strong(empty, NoteWord::Full(number, message).bits,
                                          std::memory_order_acq_rel, std::memory_order_relaxed)) {
        return Sequence{0};
      }
    }
    return absl::ResourceExhaustedError("the box is full");
  }

  absl::StatusOr<TakenMessage> DoTake(Deadline) override {
    for (uint64_t i = 0; i < buffers::kMarks; ++i) {
      NoteWord seen{word(i).load(std::memory_order_acquire)};
      if (seen.state() == NoteState::kEmpty) continue;
      // What the dead have taken comes again.
      if (seen.state() == NoteState::kTaken &&
          pool_.IsAlive(texts_.ids[static_cast<size_t>(seen.taker())])) {
        continue;
      }
      if (!word(i).compare_exchange_strong(seen.bits, seen.Taken(participant_).bits,
                                           std::memory_order_acq_rel, std::memory_order_relaxed)) {
        continue;
      }
      const NoteTexts::Text& text = texts_.all[seen.number()];
      Message message;
      message.bytes = {text.text.data(), text.bytes};
      return TakenMessage(this, i, message);
    }
    return absl::DeadlineExceededError("");
  }

  absl::Status DoAcknowledge(uint64_t hold) override {
    word(hold).store(0, std::memory_order_release);
    return absl::OkStatus();
  }
  absl::Status DoReturn(uint64_t hold) override {
    const NoteWord taken{word(hold).load(std::memory_order_relaxed)};
    word(hold).store(taken.Untaken().bits, std::memory_order_release);
    return absl::OkStatus();
  }

  BufferPool& pool_;
  const uint32_t slot_;
  NoteTexts& texts_;
  const int participant_;
  uint32_t sent_ = 0;
};

}  // namespace

std::unique_ptr<Channel> NewNoteBox(BufferPool& pool, uint32_t slot, NoteTexts& texts,
                                    int participant) {
  return std::make_unique<NoteBox>(pool, slot, texts, participant);
}

}  // namespace kill9::explore
