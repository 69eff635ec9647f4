// Buffer pools as a design, so that the testbed can ask them: torture (harness/pool_driver/) and
// inspect.
#ifndef KILL9_VARIANTS_BUFFERS_BUFFER_POOL_DESIGN_H_
#define KILL9_VARIANTS_BUFFERS_BUFFER_POOL_DESIGN_H_

#include <string_view>

#include "variants/object.h"

namespace kill9 {

inline constexpr std::string_view kPoolKind = "pool";

// Of kind kPoolKind; its objects are BufferPools. Of what it creates a quarter at most is the table
// of buffers: SegmentOptions::expected_entries says how many buffers there can be (0: up to 1024),
// and each has as many holds as then have room there, 4 to 60.
const Design& BufferPoolDesign();

}  // namespace kill9

#endif  // KILL9_VARIANTS_BUFFERS_BUFFER_POOL_DESIGN_H_
