// The checkers of the models. An engine takes seconds to compile: each in a source of its own, the
// objects' (objects/) one for all.
#ifndef KILL9_HARNESS_CHECKER_MODELS_CHECKERS_H_
#define KILL9_HARNESS_CHECKER_MODELS_CHECKERS_H_

#include "harness/checker/model_checker.h"

namespace kill9 {

const ModelChecker& TheRegisterChecker();
const ModelChecker& TheCasRegisterChecker();
const ModelChecker& TheMapChecker();
const ModelChecker& TheCacheChecker();
const ModelChecker& TheQueueChecker();
const ModelChecker& TheCounterChecker();
const ModelChecker& TheMutexChecker();
const ModelChecker& TheRobustMutexChecker();
const ModelChecker& TheSetChecker();
const ModelChecker& TheSemaphoreChecker();
const ModelChecker& TheConditionChecker();
const ModelChecker& TheLeaseChecker();
const ModelChecker& TheListChecker();
const ModelChecker& TheChannelChecker();
const ModelChecker& TheSenderOrderChecker();
const ModelChecker& TheBroadcastChecker();
const ModelChecker& TheHeapChecker();

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_CHECKERS_H_
