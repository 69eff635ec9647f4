// What all servers on one file share beside the store: which flush was the last, and the number of
// the next item. It is a page of its own, FILE.control, which lives as long as the file.
//
// A page that is new beside a file that is not begins with a generation drawn at random: what was
// stored before is then of another one, and absent. So a lost page costs the warm cache, and never
// brings back what was flushed.
#ifndef KILL9_APPS_MEMCACHED_ITEMS_CONTROL_PAGE_H_
#define KILL9_APPS_MEMCACHED_ITEMS_CONTROL_PAGE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kill9::memcached {

class ControlPage {
 public:
  // An empty path: of memory, shared with the children of this process.
  static absl::StatusOr<std::unique_ptr<ControlPage>> Open(const std::string& path);
  ~ControlPage();
  ControlPage(const ControlPage&) = delete;
  ControlPage& operator=(const ControlPage&) = delete;

  // The present generation. A flush whose time has come takes place first.
  uint32_t Generation(int64_t now_ms) {
    // Acquire, both: pairs with the stores of Flush and Settle.
    const uint64_t pending = page_->pending.load(std::memory_order_acquire);
    if (pending != 0 && now_ms >= static_cast<int64_t>(pending >> 32) * 1000) Settle(pending);
    return page_->generation.load(std::memory_order_acquire);
  }
  // All items are absent from now on. One that is on its way to the store belongs to before. A
  // flush that waits is dropped. ON CRASH: it has happened, or not.
  void Flush();
  // The same at a later time.
  void FlushAt(int64_t seconds);
  // A number that no item had before; a later one is greater.
  uint64_t NextCas() {
    // Relaxed: it orders nothing else.
    return page_->cas.fetch_add(1, std::memory_order_relaxed) + 1;
  }

 private:
  struct Page {
    char magic[8];
    std::atomic<uint32_t> generation;
    uint32_t reserved;
    // seconds << 32 | the generation that it makes; 0: none. So it happens once, whoever dies.
    std::atomic<uint64_t> pending;
    alignas(64) std::atomic<uint64_t> cas;
  };
  static_assert(sizeof(Page) == 128 && std::atomic<uint64_t>::is_always_lock_free);

  explicit ControlPage(Page* page) : page_(page) {}
  static absl::StatusOr<std::unique_ptr<ControlPage>> Map(int fd, const std::string& path);
  static absl::Status Create(const std::string& path);
  void Settle(uint64_t pending);

  Page* page_;
};

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_ITEMS_CONTROL_PAGE_H_
