// The hash and checksum of all designs: XXH3 (https://xxhash.com), compiled in. absl::Hash is
// seeded per process and must never decide anything in a segment.
#ifndef KILL9_VARIANTS_HASH_H_
#define KILL9_VARIANTS_HASH_H_

#define XXH_INLINE_ALL
#include <xxhash.h>

#endif  // KILL9_VARIANTS_HASH_H_
