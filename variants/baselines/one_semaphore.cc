// one_semaphore: one unnamed POSIX semaphore around everything.
//
// Its author's case for it: sem_init(…, pshared = 1, 1) is the textbook's lock between processes,
// and every path through the code posts it again.
#include <semaphore.h>

#include <cerrno>

#include "variants/baselines/baseline.h"

namespace kill9 {
namespace {

struct OneSemaphore {
  void Format() { sem_init(&semaphore, /*pshared=*/1, 1); }
  bool Enter() {
    while (sem_wait(&semaphore) != 0 && errno == EINTR) {
    }
    return false;
  }
  void Leave() { sem_post(&semaphore); }

  sem_t semaphore;
};

}  // namespace

const Variant& OneUnnamedSemaphore();
const Variant& OneUnnamedSemaphore() {
  static const baselines::BaselineVariant<OneSemaphore> variant({
      .name = "one_semaphore",
      .summary = "one unnamed POSIX semaphore around everything",
      .expected_verdict = "stuck",
      .traits = baselines::CopyingTraits("nobody", "there is none"),
  });
  return variant;
}

}  // namespace kill9
