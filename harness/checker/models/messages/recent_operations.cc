#include "harness/checker/models/messages/recent_operations.h"

#include <algorithm>

namespace kill9 {
namespace {

uint64_t MessageOf(const Operation& operation) {
  return operation.argument != kNothing ? operation.argument : operation.result;
}

}  // namespace

void RecentOperations::Add(const Operation& operation) {
  shown_.push_back(operation);
  if (shown_.size() > kMost) shown_.pop_front();
}

Counterexample RecentOperations::Explain(std::string_view model, const MessageFault& fault) const {
  const Operation& failed = fault.operation;
  Counterexample result;
  result.model = model;
  result.key = failed.key;
  result.initial_states = {fault.why};
  const auto is_failed = [&failed](const Operation& one) {
    return one.process == failed.process && one.invoke == failed.invoke;
  };
  for (const Operation& one : shown_) {
    const bool near = one.finish >= failed.invoke && one.invoke <= failed.finish;
    if (MessageOf(one) == fault.message || near) result.operations.push_back(one);
  }
  if (std::none_of(result.operations.begin(), result.operations.end(), is_failed)) {
    result.operations.push_back(failed);
  }
  std::sort(result.operations.begin(), result.operations.end(),
            [](const Operation& a, const Operation& b) { return a.invoke < b.invoke; });
  for (size_t i = 0; i < result.operations.size(); ++i) {
    if (is_failed(result.operations[i])) result.failed = i;
  }
  result.unplaceable = {result.failed};
  return result;
}

}  // namespace kill9
