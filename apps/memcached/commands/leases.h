// The items that clients of one connection were told to make anew (`W`), and have not set yet. When
// the connection ends, others may be told so.
#ifndef KILL9_APPS_MEMCACHED_COMMANDS_LEASES_H_
#define KILL9_APPS_MEMCACHED_COMMANDS_LEASES_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "apps/memcached/items/items.h"

namespace kill9::memcached {

class Leases {
 public:
  void Add(std::string_view key, uint64_t token) {
    const auto [place, is_new] = tokens_.try_emplace(std::string(key), token);
    place->second = token;
    if (is_new) bytes_ += key.size() + kBytesOfOne;
  }
  // It was set: whatever comes of the item later is another's.
  void Forget(std::string_view key) {
    if (tokens_.empty()) return;
    const auto place = tokens_.find(key);
    if (place == tokens_.end()) return;
    bytes_ -= key.size() + kBytesOfOne;
    tokens_.erase(place);
  }
  void TakeAllBack(Items& items) {
    for (const auto& [key, token] : tokens_) items.TakeTokenBack(key, token);
    tokens_.clear();
    bytes_ = 0;
  }
  // A part of what a connection takes of its worker's memory.
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kBytesOfOne = 112;  // a node, and a string of its own

  std::map<std::string, uint64_t, std::less<>> tokens_;
  uint64_t bytes_ = 0;
};

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_COMMANDS_LEASES_H_
