// The account of a pool by its bytes alone, for who looks at a copy and takes no part in it.
#ifndef KILL9_VARIANTS_BUFFERS_ACCOUNT_OF_COPY_H_
#define KILL9_VARIANTS_BUFFERS_ACCOUNT_OF_COPY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "variants/buffers/buffer_pool.h"

namespace kill9::buffers {

// REQUIRES: nobody else works on the copy. What was under way in it is undone. Whom its table shows
// as attached counts as being there.
absl::StatusOr<BufferPoolAccount> AccountOfCopy(std::shared_ptr<Segment> copy);

}  // namespace kill9::buffers

#endif  // KILL9_VARIANTS_BUFFERS_ACCOUNT_OF_COPY_H_
