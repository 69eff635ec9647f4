#include "harness/explore/base/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "harness/explore/base/real_libc.h"

namespace kill9::explore {

constinit Arena Arena::the_;
constinit Arena::KeptPage Arena::written_[] = {};

void Arena::Map() {
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  begin_ = static_cast<char*>(memory);
}

void* Arena::Allocate(size_t bytes, size_t alignment) {
  if (begin_ == nullptr) Map();
  const size_t unit = std::max<size_t>(alignment, 16);
  // The size stands before what is handed out.
  const size_t at = (used_ + sizeof(size_t) + unit - 1) / unit * unit;
  if (bytes > kMostOfAScene || at + bytes > first_ + kMostOfAScene) {
    std::fputs("kill9-explore: explored code allocates without end\n", stderr);
    std::abort();
  }
  if (at + bytes > kBytes) {
    std::fputs("kill9-explore: too many scenes for one process: give fewer of them\n", stderr);
    std::abort();
  }
  used_ = at + bytes;
  std::memcpy(begin_ + at - sizeof(size_t), &bytes, sizeof bytes);
  return begin_ + at;
}

void Arena::KeepAll() {
  if (begin_ == nullptr) return;
  if (copy_ != nullptr) Restore();
  written_pages_ = 0;
  used_ = (used_ + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (mprotect(begin_, used_, PROT_READ | PROT_WRITE) != 0) std::abort();
  first_ = used_;
}

void Arena::Save() {
  kept_ = used_;
  __real_free(copy_);
  copy_ = static_cast<char*>(__real_malloc(kept_ - first_ + 1));
  if (copy_ == nullptr) std::abort();
  __real_memcpy(copy_, begin_ + first_, kept_ - first_);
  // A write to what was there before is told by AllowWrite.
  if (first_ > 0 && mprotect(begin_, first_, PROT_READ) != 0) std::abort();
}

bool Arena::AllowWrite(const void* address) {
  const auto at = static_cast<size_t>(static_cast<const char*>(address) - begin_);
  if (begin_ == nullptr || at >= first_) return false;
  if (written_pages_ == kMostKeptPages) {
    std::fputs("kill9-explore: explored code changes too much of what outlives a scene\n", stderr);
    std::abort();
  }
  KeptPage& kept = written_[written_pages_++];
  kept.page = begin_ + at / kPageBytes * kPageBytes;
  __real_memcpy(kept.content, kept.page, kPageBytes);
  return mprotect(kept.page, kPageBytes, PROT_READ | PROT_WRITE) == 0;
}

void Arena::Restore() {
  __real_memcpy(begin_ + first_, copy_, kept_ - first_);
  for (size_t i = 0; i < written_pages_; ++i) {
    __real_memcpy(written_[i].page, written_[i].content, kPageBytes);
  }
  used_ = kept_;
}

}  // namespace kill9::explore

using kill9::explore::Arena;

// ---- What allocates -----------------------------------------------------------------------------

extern "C" {

void* __wrap_malloc(size_t bytes) {
  Arena& arena = Arena::Get();
  return arena.on ? arena.Allocate(bytes, alignof(std::max_align_t)) : __real_malloc(bytes);
}
void* __wrap_calloc(size_t count, size_t bytes) {
  Arena& arena = Arena::Get();
  if (!arena.on) return __real_calloc(count, bytes);
  void* memory = arena.Allocate(count * bytes, alignof(std::max_align_t));
  return __real_memset(memory, 0, count * bytes);
}
void* __wrap_realloc(void* memory, size_t bytes) {
  Arena& arena = Arena::Get();
  if (!arena.on && !arena.Contains(memory)) return __real_realloc(memory, bytes);
  void* larger = __wrap_malloc(bytes);
  if (memory != nullptr) __real_memcpy(larger, memory, std::min(bytes, Arena::BytesOf(memory)));
  return larger;
}
void __wrap_free(void* memory) {
  if (!Arena::Get().Contains(memory)) __real_free(memory);
}

}  // extern "C"

namespace {

void* New(size_t bytes, size_t alignment) {
  Arena& arena = Arena::Get();
  if (arena.on) return arena.Allocate(bytes, alignment);
  void* memory =
      alignment <= alignof(std::max_align_t)
          ? __real_malloc(std::max<size_t>(bytes, 1))
          : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

void Delete(void* memory) {
  if (!Arena::Get().Contains(memory)) __real_free(memory);
}

}  // namespace

void* operator new(size_t bytes) { return New(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return New(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return New(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return New(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { Delete(memory); }
void operator delete[](void* memory) noexcept { Delete(memory); }
void operator delete(void* memory, size_t) noexcept { Delete(memory); }
void operator delete[](void* memory, size_t) noexcept { Delete(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Delete(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { Delete(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { Delete(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { Delete(memory); }
