#include "harness/programs/models/drawn_models.h"

#include <algorithm>
#include <iterator>

namespace kill9::programs {
namespace {

const DrawnModel kDrawnModels[] = {
    {"map",
     8,
     Function::kGet,
     {{Function::kPut, 4},
      {Function::kGet, 5},
      {Function::kErase, 1},
      {Function::kCompareAndSwapValue, 2, false}}},
    {"cache", 8, Function::kGet, {{Function::kPut, 4}, {Function::kGet, 5}, {Function::kErase, 1}}},
    {"register", 1, Function::kGet, {{Function::kPut, 1}, {Function::kGet, 1}}},
    {"cas-register",
     1,
     Function::kGet,
     {{Function::kPut, 2}, {Function::kGet, 3}, {Function::kCompareAndSwapValue, 2}}},
    {"counter", 1, Function::kRead, {{Function::kAdd, 1}, {Function::kRead, 1}}},
    {"queue", 1, Function::kDequeue, {{Function::kEnqueue, 4}, {Function::kDequeue, 5}}},
    {"set",
     16,
     Function::kContains,
     {{Function::kAddMember, 4}, {Function::kRemoveMember, 3}, {Function::kContains, 4}}},
    {"mutex", 1, Function::kAcquire, {{Function::kAcquire, 1}, {Function::kRelease, 1}}},
    {"robust-mutex", 1, Function::kAcquire, {{Function::kAcquire, 1}, {Function::kRelease, 1}}},
    {"semaphore", 1, Function::kAcquire, {{Function::kAcquire, 1}, {Function::kRelease, 1}}},
    {"condition",
     1,
     Function::kWakeUps,
     // More waits than wake-ups: mostly somebody sleeps, and who is the last one awake signals.
     {{Function::kWait, 12},
      {Function::kSignal, 4},
      {Function::kBroadcast, 1},
      {Function::kWakeUps, 2}}},
    {"lease",
     1,
     Function::kAcquireFor,
     {{Function::kAcquireFor, 1}, {Function::kRelease, 1}, {Function::kRenew, 1}}},
    {"list",
     1,
     Function::kAt,
     {{Function::kAppend, 4}, {Function::kAt, 5}, {Function::kRemoveItem, 4}}},
};

}  // namespace

std::vector<std::string> ModelsOfPrograms() {
  std::vector<std::string> names;
  for (const DrawnModel& model : kDrawnModels) names.emplace_back(model.name);
  return names;
}

const DrawnModel& DrawnModelOf(std::string_view name) {
  return *std::find_if(std::begin(kDrawnModels), std::end(kDrawnModels),
                       [&](const DrawnModel& one) { return one.name == name; });
}

}  // namespace kill9::programs
