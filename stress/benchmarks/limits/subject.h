// What a throughput benchmark measures: our designs, the bare tables that show what the hardware
// allows for the same access pattern, other libraries in shared memory, and maps of threads. All
// behind one interface, so that they can be taken in turn within each round of one run.
#ifndef KILL9_STRESS_BENCHMARKS_LIMITS_SUBJECT_H_
#define KILL9_STRESS_BENCHMARKS_LIMITS_SUBJECT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kill9::limits {

// What is stored: keys of 16 bytes, values of one size. Sizes the tables.
struct Load {
  uint64_t entries = 100'000;
  size_t value_bytes = 64;
};

// One worker's access. Used by one thread.
class Access {
 public:
  virtual ~Access() = default;
  virtual bool Get(std::string_view key, std::string* value) = 0;
  virtual bool Put(std::string_view key, std::string_view value) = 0;
};

class Subject {
 public:
  virtual ~Subject() = default;
  // In a worker; after fork where workers are processes.
  virtual std::unique_ptr<Access> Open() = 0;
  // A lossy store: it is filled anew before each measurement, so that reads find what they ask for.
  virtual bool forgets() const { return false; }
  // Threads of one process that die together (true), or processes that share memory.
  virtual bool threads_only() const { return false; }
};

struct SubjectKind {
  std::string name;
  enum class Role : uint8_t { kDesign, kBaseline, kPeer, kLimit, kThreadMap } role;
  // Creates it, empty; null if this machine cannot (said on stderr).
  std::function<std::unique_ptr<Subject>(const Load&)> make;
};

std::vector<SubjectKind> Variants();    // every registered one: designs, baselines, peers
std::vector<SubjectKind> BareTables();  // seqlock_slots, robust_stripes
std::vector<SubjectKind> ThreadMaps();  // tbb, liburcu; those that were found when this was built
std::vector<SubjectKind> AllSubjects();

std::string KeyOf(uint64_t index);  // 16 bytes

}  // namespace kill9::limits

#endif  // KILL9_STRESS_BENCHMARKS_LIMITS_SUBJECT_H_
