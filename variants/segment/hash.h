// The hash and checksum of all designs: XXH3 (https://xxhash.com), compiled in. absl::Hash is
// seeded per process and must never decide anything in a segment.
#ifndef KILL9_VARIANTS_SEGMENT_HASH_H_
#define KILL9_VARIANTS_SEGMENT_HASH_H_

// It reads by memcpy. Its own choice for GCC, a cast, reads words where the caller wrote other
// types: from version 0.8.3 on the compiler may then leave out what the caller wrote
// (-Wmaybe-uninitialized says so).
#define XXH_FORCE_MEMORY_ACCESS 0
#define XXH_INLINE_ALL
#include <xxhash.h>

#endif  // KILL9_VARIANTS_SEGMENT_HASH_H_
