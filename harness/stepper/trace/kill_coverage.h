// Kill coverage: at which instructions and source lines a process has been killed, which ones a
// kill in the same state speaks for, which were not survived, and which lines no trace ever
// reached.
#ifndef KILL9_HARNESS_STEPPER_TRACE_KILL_COVERAGE_H_
#define KILL9_HARNESS_STEPPER_TRACE_KILL_COVERAGE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "harness/stepper/trace/symbols.h"
#include "harness/stepper/trace/trace.h"

namespace kill9::stepper {

// Counts by address, over all traces that were added. Of what the system's libraries (and the vDSO)
// executed, the address that called them has counts of its own: a line that copies by memcpy is to
// blame for a kill inside.
struct AddressCount {
  uint64_t address;
  uint64_t executed;
  uint64_t killed;
  uint64_t spoken_for;
  uint64_t not_survived;  // killed at, or spoken for, and not survived
  uint64_t called_executed;
  uint64_t called_not_survived;
};
// All of its counts: whoever adds or keeps them goes through these.
inline constexpr uint64_t AddressCount::*kAddressCounts[] = {
    &AddressCount::executed,     &AddressCount::killed,          &AddressCount::spoken_for,
    &AddressCount::not_survived, &AddressCount::called_executed, &AddressCount::called_not_survived,
};
class AddressTable {
 public:
  static constexpr uint32_t kCapacity = 32u << 10;
  explicit AddressTable(AddressCount* counts) : counts_(counts) {}
  void AddTrace(const Trace& trace);

 private:
  AddressCount* Find(uint64_t address);  // null: there is no room

  AddressCount* counts_;
};

// The counts of many traces by source line, for each group (a design) apart.
class KillCoverage {
 public:
  // Of the line's own code; `called_`: of what it called in libraries, parts of it or not.
  struct LineCount {
    uint64_t executed = 0, killed = 0, spoken_for = 0, not_survived = 0;
    uint64_t called_executed = 0, called_not_survived = 0;
    // Of the code of libraries that was made part of the line: all that some lines have.
    uint64_t inlined_killed = 0, inlined_spoken_for = 0;

    bool is_reached() const { return executed + called_executed > 0; }
    bool is_killed_at() const { return killed + inlined_killed > 0; }
    bool is_covered() const { return is_killed_at() || spoken_for + inlined_spoken_for > 0; }
    uint64_t all_not_survived() const { return not_survived + called_not_survived; }
    std::set<std::string> labels;
  };
  struct Group {
    std::map<uint64_t, AddressCount> addresses;
    std::map<std::string, std::map<int, LineCount>> lines;  // by short path
    uint64_t outside = 0;  // executed instructions that are in no wanted file
  };
  using IsWanted = bool (*)(std::string_view file);

  explicit KillCoverage(IsWanted is_wanted) : is_wanted_(is_wanted) {}
  // `label`: what was traced (an operation). `pid` lives, and had this in its memory image.
  void Add(const std::string& group, const std::string& label, std::span<const AddressCount> counts,
           pid_t pid);

  const std::map<std::string, Group>& groups() const { return groups_; }
  // Lines of wanted files that have code, by short path.
  const std::map<std::string, std::set<int>>& lines_with_code() const { return lines_with_code_; }
  const std::string& PathOf(const std::string& short_path) const { return paths_.at(short_path); }

 private:
  void FindLinesWithCode();
  void ChargeToCaller(const AddressCount& count, Group* sums);

  IsWanted is_wanted_;
  // Every zygote is the same program at the same addresses: one's symbols are all zygotes'.
  std::unique_ptr<Symbols> symbols_;
  std::map<std::string, Group> groups_;
  std::map<std::string, std::set<int>> lines_with_code_;
  std::map<std::string, std::string> paths_;  // short to full
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_KILL_COVERAGE_H_
