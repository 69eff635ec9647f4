// The worker protocol: lines of JSON by which a program in any language is asked to use what it
// shares with others. docs/bring_your_own.md tells it to people; here is how its lines are read.
#ifndef KILL9_HARNESS_PROGRAMS_PROTOCOL_PROTOCOL_H_
#define KILL9_HARNESS_PROGRAMS_PROTOCOL_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/result/result.h"

namespace kill9::programs {

inline constexpr int kProtocolVersion = 1;

// What a program answers to one request.
struct Answer {
  enum class Type : uint8_t {
    kOk,    // it happened
    kFail,  // it did not happen, and never will
    kInfo,  // it may have happened, or may still happen
  };
  Type type = Type::kOk;
  Json fields;  // all of the line
};

// The line that answers the request `id`. The error quotes the line.
absl::StatusOr<Answer> ReadAnswer(std::string_view line, uint64_t id);

// What a program says of itself in its first answer.
struct Offer {
  std::vector<std::string> functions;  // empty: what the model's workload has
  bool audit = false;                  // it answers "audit"
  bool marks = false;                  // it marks on its page when it is inside an operation
};
absl::StatusOr<Offer> ReadOffer(const Answer& answer);

// A line for a message: in quotes, printable, and not too long.
std::string Quoted(std::string_view line);

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_PROTOCOL_PROTOCOL_H_
