// What programs are asked to do: calls drawn for a model, as lines of JSON, and what their answers
// mean.
//
// Each value is written once and tells its number, so that a torn one, or one that nobody wrote, is
// known by itself.
#ifndef KILL9_HARNESS_PROGRAMS_PROTOCOL_WORKLOAD_H_
#define KILL9_HARNESS_PROGRAMS_PROTOCOL_WORKLOAD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/base/random.h"
#include "harness/history/history.h"
#include "harness/history/reads_clock.h"
#include "harness/programs/models/drawn_models.h"
#include "harness/programs/protocol/protocol.h"

namespace kill9::programs {

struct Call {
  Function function = Function::kGet;
  uint64_t key = 0;
  uint64_t argument = kNothing;  // the number of a value, or a number itself
  uint64_t expected = kNothing;
};

// No value of a workload is longer.
inline constexpr uint64_t kLongestValueBytes = 3100;
// The text of a value, at most so long: it tells its number, and where it ends; what is missing, or
// another's, shows. REQUIRES: room for the number.
std::string ValueText(uint64_t number, uint64_t most_bytes = kLongestValueBytes);
// The number that such a text tells; nothing: it is none.
std::optional<uint64_t> NumberOfValue(std::string_view text,
                                      uint64_t most_bytes = kLongestValueBytes);

struct WeighedFunction {
  Function function;
  uint32_t weight;
};

struct WorkloadOptions {
  std::string model = "map";
  uint32_t keys = 0;     // 0: as many as the model's workload has
  bool numbers = false;  // values are numbers; else texts, of all sizes up to some KiB
};

class Workload {
 public:
  // Those that every program of the model is expected to have. REQUIRES: there is such a model.
  static std::vector<Function> FunctionsOfModel(std::string_view model);
  // REQUIRES: there is such a model.
  explicit Workload(const WorkloadOptions& options);

  uint32_t keys() const { return keys_; }
  static std::string KeyText(uint64_t key);

  // The functions that a program has; it names some of the model's, or none: those that every
  // program of the model is expected to have.
  absl::StatusOr<std::vector<WeighedFunction>> FunctionsOf(
      const std::vector<std::string>& names) const;

  // What a participant calls next; `held` is the key of the lock that it has. Of a lease it may
  // also ask for more of it, or say nothing more of it and ask for one as if it had none. `ending`:
  // only what gives back what it has; nothing, if it has nothing.
  std::optional<Call> Draw(Random& random, const std::vector<WeighedFunction>& functions,
                           std::optional<uint64_t> held, bool ending);
  // Whether some calls sleep until another process calls something.
  bool HasSleepers() const;
  // Whether what a call acquires ends by itself after a term.
  bool IsLent() const;
  // What tells the most of a state that nobody changes: one call after the other. Those of a queue,
  // or of a list, index by index, go on until there is nothing.
  std::vector<Call> Closing() const;
  bool ClosesUntilNothing() const;

  // The request's line, without its end.
  std::string Request(uint64_t id, const Call& call) const;
  // Sets the outcome and the results of `operation`. The error says what the answer lacks.
  absl::Status Decode(const Answer& answer, Operation* operation);
  // The last reading of a clock of an operation that was cut off at its `finish`: nobody told how
  // coarse its clock is, so it is the coarsest that was told.
  void EndReadings(Operation* cut_off) const;

  // Values that nobody wrote, as they were read; at most some of them.
  const std::vector<std::string>& foreign() const { return foreign_; }

 private:
  Json ValueOf(uint64_t number) const;
  uint64_t NumberOf(const Json& value);
  absl::Status DecodeResult(const Answer& answer, Operation* operation);
  static void Widen(uint64_t uncertainty_ns, Operation* operation);

  const DrawnModel& model_;
  uint32_t keys_;
  bool numbers_;
  uint64_t values_ = 0;           // that were drawn
  uint64_t uncertainty_ns_ = 0;   // the largest that was told
  std::vector<uint64_t> latest_;  // by key: the value that an answer showed last
  std::vector<uint64_t> length_;  // by key: about how long its list is
  std::vector<std::string> foreign_;
};

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_PROTOCOL_WORKLOAD_H_
