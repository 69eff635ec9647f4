#include "variants/seqlock_ring/record.h"

namespace kill9::ring {

void Wipe(char* address, uint64_t units) {
  for (uint64_t unit = 0; unit < units; ++unit) StoreWord(address + unit * kUnitBytes, 0);
}

}  // namespace kill9::ring
