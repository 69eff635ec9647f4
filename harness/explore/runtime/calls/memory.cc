// memcpy and its kin, as explored code calls them: in the segment each word is an access of its
// own. The link leads all calls of the program here (--wrap), the standard library's, too.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "harness/explore/base/real_libc.h"
#include "harness/explore/runtime/machine.h"

namespace kill9::explore {
namespace {

inline bool Explored(const void* address, size_t bytes) {
  return Machine::exploring() && bytes > 0 &&
         (Machine::Covers(address) ||
          Machine::Covers(static_cast<const char*>(address) + bytes - 1));
}

size_t UpToWordEnd(const char* address, size_t bytes) {
  return std::min<size_t>(bytes, 8 - reinterpret_cast<uintptr_t>(address) % 8);
}

// Stores `bytes` bytes that lie in one word.
void StoreIn(char* to, const char* from, size_t bytes, uintptr_t code) {
  Machine& machine = Machine::Get();
  machine.Write(to, bytes, code);
  __real_memcpy(to, from, bytes);
}

// Forwards, word for word of whichever side is in the segment.
void Copy(char* to, const char* from, size_t bytes, uintptr_t code) {
  Machine& machine = Machine::Get();
  const bool reads = Explored(from, bytes), writes = Explored(to, bytes);
  while (bytes > 0) {
    size_t part = bytes;
    if (reads) part = UpToWordEnd(from, part);
    if (writes) part = UpToWordEnd(to, part);
    char word[8];
    part = std::min<size_t>(part, sizeof word);
    if (reads) machine.Read(from, part, code);
    __real_memcpy(word, from, part);
    if (writes) {
      StoreIn(to, word, part, code);
    } else {
      __real_memcpy(to, word, part);
    }
    from += part;
    to += part;
    bytes -= part;
  }
}

// As memcmp. REQUIRES: `a` is in the segment; `b` may be.
int Compare(const char* a, const char* b, size_t bytes, uintptr_t code) {
  while (bytes > 0) {
    char first[8], second[8];
    const size_t part = UpToWordEnd(a, bytes);
    Copy(first, a, part, code);
    Copy(second, b, part, code);
    if (const int order = __real_memcmp(first, second, part); order != 0) return order;
    a += part;
    b += part;
    bytes -= part;
  }
  return 0;
}

}  // namespace
}  // namespace kill9::explore

using kill9::explore::Compare;
using kill9::explore::Copy;
using kill9::explore::Explored;
using kill9::explore::StoreIn;
using kill9::explore::UpToWordEnd;

#define KILL9_CODE reinterpret_cast<uintptr_t>(__builtin_return_address(0))

extern "C" {

void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  if (!Explored(to, bytes) && !Explored(from, bytes)) return __real_memcpy(to, from, bytes);
  Copy(static_cast<char*>(to), static_cast<const char*>(from), bytes, KILL9_CODE);
  return to;
}

void* __wrap_memmove(void* to, const void* from, size_t bytes) {
  if (!Explored(to, bytes) && !Explored(from, bytes)) return __real_memmove(to, from, bytes);
  char* const target = static_cast<char*>(to);
  const char* const source = static_cast<const char*>(from);
  if (target <= source || target >= source + bytes) {
    Copy(target, source, bytes, KILL9_CODE);
    return to;
  }
  // From the end, byte for byte: rare.
  for (size_t i = bytes; i-- > 0;) Copy(target + i, source + i, 1, KILL9_CODE);
  return to;
}

void* __wrap_memset(void* to, int byte, size_t bytes) {
  if (!Explored(to, bytes)) return __real_memset(to, byte, bytes);
  char word[8];
  __real_memset(word, byte, sizeof word);
  for (char* target = static_cast<char*>(to); bytes > 0;) {
    const size_t part = UpToWordEnd(target, bytes);
    StoreIn(target, word, part, KILL9_CODE);
    target += part;
    bytes -= part;
  }
  return to;
}

int __wrap_memcmp(const void* a, const void* b, size_t bytes) {
  if (!Explored(a, bytes)) {
    if (!Explored(b, bytes)) return __real_memcmp(a, b, bytes);
    return -Compare(static_cast<const char*>(b), static_cast<const char*>(a), bytes, KILL9_CODE);
  }
  return Compare(static_cast<const char*>(a), static_cast<const char*>(b), bytes, KILL9_CODE);
}

// std::hash of bytes, which the standard library reads word for word.
size_t __real__ZSt11_Hash_bytesPKvmm(const void* bytes, size_t size, size_t seed);
size_t __wrap__ZSt11_Hash_bytesPKvmm(const void* bytes, size_t size, size_t seed) {
  if (!Explored(bytes, size)) return __real__ZSt11_Hash_bytesPKvmm(bytes, size, seed);
  static char copy[64 << 10];
  if (size > sizeof copy) std::abort();
  Copy(copy, static_cast<const char*>(bytes), size, KILL9_CODE);
  return __real__ZSt11_Hash_bytesPKvmm(copy, size, seed);
}

int __wrap_bcmp(const void* a, const void* b, size_t bytes) { return __wrap_memcmp(a, b, bytes); }

// What the compiler calls them in instrumented code, by version.
void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
  return __wrap_memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, size_t bytes) {
  return __wrap_memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int byte, size_t bytes) { return __wrap_memset(to, byte, bytes); }

}  // extern "C"
