// The C library's own functions, for the explorer itself. The program is linked with --wrap
// (explore.cmake): those by their plain names lead to libc.cc and memory.cc.
#ifndef KILL9_HARNESS_EXPLORE_BASE_REAL_LIBC_H_
#define KILL9_HARNESS_EXPLORE_BASE_REAL_LIBC_H_

#include <cstddef>

extern "C" {
void* __real_memcpy(void* to, const void* from, size_t bytes);
void* __real_memmove(void* to, const void* from, size_t bytes);
void* __real_memset(void* to, int byte, size_t bytes);
int __real_memcmp(const void* a, const void* b, size_t bytes);
void* __real_malloc(size_t bytes);
void* __real_calloc(size_t count, size_t bytes);
void* __real_realloc(void* memory, size_t bytes);
void __real_free(void* memory);
}

#endif  // KILL9_HARNESS_EXPLORE_BASE_REAL_LIBC_H_
