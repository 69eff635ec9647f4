// An object under wear: what endurance_benchmark works on, whatever its kind.
#ifndef KILL9_STRESS_BENCHMARKS_ENDURANCE_SUBJECT_H_
#define KILL9_STRESS_BENCHMARKS_ENDURANCE_SUBJECT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/base/random.h"
#include "harness/result/verdict.h"
#include "variants/object.h"

namespace kill9::endurance {

// What wear asks for: sizes whose range changes, so that the holes that one range leaves fit none
// of the next.
struct Sizes {
  uint32_t least, most;
};
inline constexpr Sizes kPhases[] = {{8, 64}, {8, 1024}, {700, 4000}};

struct Counts {
  uint64_t operations = 0;
  uint64_t refused = 0;  // for want of room
};

class Subject {
 public:
  virtual ~Subject() = default;
  // So many operations, of the sizes of this phase, with about half of the room in use.
  virtual absl::Status Work(Random& random, const Sizes& sizes, uint64_t operations,
                            Counts* counts) = 0;
  // A new object that holds the same.
  virtual absl::StatusOr<std::unique_ptr<Subject>> Fresh(Random& random) const = 0;
  // Operations that leave as much there as there was: what is timed.
  virtual absl::Status Probe(Random& random, uint64_t operations) = 0;
  // How much of one size there is room for, beside what is there or in its stead; 0 of an object
  // that is never full.
  virtual absl::StatusOr<uint64_t> Room() = 0;
  // That everything is there, and nothing else.
  virtual absl::Status Check() = 0;
  virtual SharedObject& object() = 0;
};

// kUnimplemented: no wear is known for this kind.
absl::StatusOr<std::unique_ptr<Subject>> MakeSubject(const Design& design, uint64_t size_bytes);

// The bytes that belong to a number, and whether these are its.
std::string BytesOf(uint64_t number, size_t size);
bool AreBytesOf(uint64_t number, std::string_view bytes);

// An error of a call, with what was called.
absl::Status Failed(const char* what, const absl::Status& status);

absl::Status CheckAccount(SharedObject& object);

// Processor time of this thread.
absl::StatusOr<double> CpuSecondsOf(absl::FunctionRef<absl::Status()> work);
double Rounded(double number);

// What a part's end means. A full segment is a refusal: nothing is wrong, and nothing was shown.
Verdict VerdictOf(const absl::Status& end);

}  // namespace kill9::endurance

#endif  // KILL9_STRESS_BENCHMARKS_ENDURANCE_SUBJECT_H_
