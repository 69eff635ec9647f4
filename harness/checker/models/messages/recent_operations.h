// The operations that a checker of messages saw last, for a counterexample.
#ifndef KILL9_HARNESS_CHECKER_MODELS_MESSAGES_RECENT_OPERATIONS_H_
#define KILL9_HARNESS_CHECKER_MODELS_MESSAGES_RECENT_OPERATIONS_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "harness/checker/counterexample/counterexample.h"
#include "harness/history/history.h"

namespace kill9 {

// What went wrong.
struct MessageFault {
  uint64_t message = kNothing;
  Operation operation{};
  std::string why;
};

class RecentOperations {
 public:
  void Add(const Operation& operation);
  const Operation& last() const { return shown_.back(); }
  // Those of the fault's message, and those at the time of its operation.
  Counterexample Explain(std::string_view model, const MessageFault& fault) const;

 private:
  static constexpr size_t kMost = 4096;
  std::deque<Operation> shown_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODELS_MESSAGES_RECENT_OPERATIONS_H_
