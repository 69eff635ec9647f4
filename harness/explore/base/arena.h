// The private memory of explored code: everything that it allocates. After each schedule it is as
// it was after the scene was made, whatever was allocated, freed, or left behind by the dead.
#ifndef KILL9_HARNESS_EXPLORE_BASE_ARENA_H_
#define KILL9_HARNESS_EXPLORE_BASE_ARENA_H_

#include <cstddef>
#include <cstdint>

namespace kill9::explore {

class Arena {
 public:
  static Arena& Get() { return the_; }

  // While it is on, operator new and malloc take from the arena.
  bool on = false;

  void* Allocate(size_t bytes, size_t alignment);
  bool Contains(const void* memory) const {
    return static_cast<size_t>(static_cast<const char*>(memory) - begin_) < kBytes;
  }
  // The bytes of an allocation, as realloc needs them.
  static size_t BytesOf(const void* memory) { return static_cast<const size_t*>(memory)[-1]; }
  // What is there now is what Restore brings back.
  void Save();
  void Restore();
  // What is there now stays for ever: explored code keeps some things for as long as its process
  // lives. Of that, Restore brings back the pages that were written to since the last Save.
  void KeepAll();
  // REQUIRES: a write to the address has raised SIGSEGV. Whether that was to find out about it:
  // then it is possible now.
  bool AllowWrite(const void* address);

 private:
  constexpr Arena() = default;
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kMostKeptPages = 64;
  struct KeptPage {
    char* page;
    char content[kPageBytes];
  };

  void Map();
  // Of addresses. What is kept of one scene after another takes some hundred KiB each.
  static constexpr size_t kBytes = size_t{8} << 30;
  static constexpr size_t kMostOfAScene = size_t{64} << 20;
  static constinit Arena the_;  // the very first allocation of the program asks for it
  char* begin_ = nullptr;
  size_t first_ = 0;  // of what Save saves
  size_t used_ = 0;
  size_t kept_ = 0;
  char* copy_ = nullptr;
  size_t written_pages_ = 0;  // of what is kept
  static KeptPage written_[kMostKeptPages];
};

// The explorer's own code, called from explored code, allocates elsewhere.
class OutsideArena {
 public:
  OutsideArena() : was_on_(Arena::Get().on) { Arena::Get().on = false; }
  ~OutsideArena() { Arena::Get().on = was_on_; }
  OutsideArena(const OutsideArena&) = delete;
  OutsideArena& operator=(const OutsideArena&) = delete;

 private:
  bool was_on_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_BASE_ARENA_H_
