// robust_unrepaired: a robust mutex, marked consistent when its owner has died.
//
// Its author's case for it: the manual page says that after EOWNERDEAD one calls
// pthread_mutex_consistent, and then nobody hangs any more.
#include "variants/baselines/baseline.h"
#include "variants/segment/robust_mutex.h"

namespace kill9 {
namespace {

struct RobustUnrepaired {
  void Format() { mutex.Format(); }
  bool Enter() {
    if (mutex.Lock() == RobustMutex::Acquired::kOwnerDied) mutex.Consistent();
    return false;
  }
  void Leave() { mutex.Unlock(); }

  RobustMutex mutex;
};

}  // namespace

const Variant& RobustMutexUnrepaired();
const Variant& RobustMutexUnrepaired() {
  static const baselines::BaselineVariant<RobustUnrepaired> variant({
      .name = "robust_unrepaired",
      .summary = "a robust mutex that is marked consistent, and nothing is repaired",
      .expected_verdict = baselines::kTornTable,
      .shown_by = baselines::kKillInAnOverwrite,
      .traits = baselines::CopyingTraits("the next locker, which marks the mutex consistent",
                                         "one system call"),
  });
  return variant;
}

}  // namespace kill9
