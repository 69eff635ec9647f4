#include "harness/pool_driver/box/message_box.h"

#include <cstring>
#include <string_view>

#include "harness/pool_driver/box/box_channel.h"

namespace kill9 {
namespace {

enum class BoxState : uint64_t { kEmpty = 0, kFull = 1, kTaken = 2 };

// The state, who has taken it, which text it is, whether it came again, its place in the order.
struct BoxWord {
  uint64_t bits = 0;

  BoxState state() const { return static_cast<BoxState>(bits & 3); }
  uint32_t taker() const { return static_cast<uint32_t>(bits >> 2 & 63); }
  uint32_t number() const { return static_cast<uint32_t>(bits >> 8 & 255); }
  bool redelivered() const { return (bits >> 16 & 1) != 0; }
  uint64_t sequence() const { return bits >> 17; }
  BoxWord Filled(uint32_t number) const {
    return {static_cast<uint64_t>(BoxState::kFull) | uint64_t{number} << 8 |
            (sequence() + 1) << 17};
  }
  BoxWord TakenBy(uint32_t member) const {
    const uint64_t again = state() == BoxState::kTaken ? uint64_t{1} << 16 : 0;
    return {(bits & ~uint64_t{255}) | again | static_cast<uint64_t>(BoxState::kTaken) |
            uint64_t{member} << 2};
  }
  BoxWord GivenBack() const {
    return {(bits & ~uint64_t{255}) | uint64_t{1} << 16 | static_cast<uint64_t>(BoxState::kFull)};
  }
  BoxWord Emptied() const { return {sequence() << 17}; }
};

buffers::SharedWord& WordOf(const BufferPool& pool) {
  return pool.mark(pool.participants().size() - 1, 0);
}

Message MessageOf(BoxWord word, const BoxTexts& texts) {
  const BoxTexts::Text& text = texts.all[word.number()];
  return {{text.text.data(), text.bytes}, {word.sequence(), word.redelivered(), 0}};
}

class MessageBox final : public BoxChannel {
 public:
  MessageBox(BufferPool& pool, BoxTexts& texts, uint32_t member)
      : pool_(pool), word_(WordOf(pool)), texts_(texts), member_(member) {}

  size_t max_message_bytes() const override { return sizeof(BoxTexts::Text::text); }

 private:
  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline) override {
    BoxWord seen{word_.load(std::memory_order_acquire)};
    // Before the text is written: what is in the box may be this member's.
    if (seen.state() != BoxState::kEmpty) return absl::DeadlineExceededError("the box is full");
    const uint32_t number = member_ * BoxTexts::kOfEach + sent_++ % BoxTexts::kOfEach;
    BoxTexts::Text& text = texts_.all[number];
    text.bytes = message.size();
    std::memcpy(text.text.data(), message.data(), message.size());
    const BoxWord filled = seen.Filled(number);
    if (!word_.compare_exchange_strong(seen.bits, filled.bits, std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {
      return absl::DeadlineExceededError("the box is full");
    }
    return Sequence{filled.sequence()};
  }

  absl::StatusOr<TakenMessage> DoTake(Deadline) override {
    for (;;) {
      BoxWord seen{word_.load(std::memory_order_acquire)};
      // What the dead have taken comes again.
      if (seen.state() == BoxState::kEmpty ||
          (seen.state() == BoxState::kTaken && pool_.IsAlive(texts_.ids[seen.taker()]))) {
        return absl::DeadlineExceededError("nothing waits");
      }
      const BoxWord taken = seen.TakenBy(member_);
      if (!word_.compare_exchange_strong(seen.bits, taken.bits, std::memory_order_acq_rel,
                                         std::memory_order_relaxed)) {
        continue;
      }
      return TakenMessage(this, 0, MessageOf(taken, texts_));
    }
  }

  absl::Status DoAcknowledge(uint64_t) override {
    const BoxWord taken{word_.load(std::memory_order_relaxed)};
    word_.store(taken.Emptied().bits, std::memory_order_release);
    return absl::OkStatus();
  }
  absl::Status DoReturn(uint64_t) override {
    const BoxWord taken{word_.load(std::memory_order_relaxed)};
    word_.store(taken.GivenBack().bits, std::memory_order_release);
    return absl::OkStatus();
  }

  BufferPool& pool_;
  buffers::SharedWord& word_;
  BoxTexts& texts_;
  const uint32_t member_;
  uint32_t sent_ = 0;
};

}  // namespace

std::unique_ptr<Channel> NewMessageBox(BufferPool& pool, BoxTexts& texts, uint32_t number) {
  texts.ids[number] = pool.id();
  return std::make_unique<MessageBox>(pool, texts, number);
}

bool IsBoxFull(const BufferPool& pool) {
  return BoxWord{WordOf(pool).load(std::memory_order_acquire)}.state() != BoxState::kEmpty;
}

Message LookIntoBox(const BufferPool& pool, const BoxTexts& texts) {
  return MessageOf({WordOf(pool).load(std::memory_order_acquire)}, texts);
}

}  // namespace kill9
