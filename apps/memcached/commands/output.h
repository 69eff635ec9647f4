// The answers to what came in one turn, written together: bytes of its own, and values that are
// pinned in the segment. One of it serves all connections of a worker.
#ifndef KILL9_APPS_MEMCACHED_COMMANDS_OUTPUT_H_
#define KILL9_APPS_MEMCACHED_COMMANDS_OUTPUT_H_

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "variants/store.h"

namespace kill9::memcached {

class Output {
 public:
  // Who answers more than this at once sends first.
  static constexpr size_t kFullBytes = 256 << 10;
  static constexpr size_t kPinsMost = 16;

  void Append(std::string_view bytes) { text_.append(bytes); }
  template <typename Number>
  void AppendNumber(Number number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text_.append(digits, static_cast<size_t>(end - digits));
  }
  void AppendLine(std::string_view line) {
    text_.append(line);
    text_.append("\r\n");
  }
  // `bytes` are of the pinned value.
  void AppendPinned(PinnedValue pin, std::string_view bytes) {
    pinned_bytes_ += bytes.size();
    pins_.push_back({text_.size(), bytes, std::move(pin)});
  }

  size_t size() const { return text_.size() + pinned_bytes_; }
  bool full() const { return size() >= kFullBytes; }
  bool may_pin() const { return pins_.size() < kPinsMost; }
  void Clear() {
    text_.clear();
    pins_.clear();
    pinned_bytes_ = 0;
  }

  // Writes all of it, then it is empty. What `fd` does not take now is added to *unsent: nothing
  // stays pinned for who does not read. False: the connection is broken.
  bool Send(int fd, std::string* unsent, uint64_t* written);

 private:
  struct Pinned {
    size_t at = 0;  // it comes after so many bytes of text_
    std::string_view bytes;
    PinnedValue pin;
  };

  std::string text_;
  std::vector<Pinned> pins_;
  size_t pinned_bytes_ = 0;
};

// What `fd` takes of `bytes` now; -1: the connection is broken.
int64_t SendSome(int fd, std::string_view bytes);

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_COMMANDS_OUTPUT_H_
