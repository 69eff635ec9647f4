// Kill coverage: at which instructions and source lines a process has been killed and the survivors
// went on; which lines no operation of the sweep ever reached.
#ifndef KILL9_HARNESS_SWEEP_COVERAGE_H_
#define KILL9_HARNESS_SWEEP_COVERAGE_H_

#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "harness/result/result.h"
#include "harness/stepper/symbols.h"
#include "harness/sweep/cell.h"

namespace kill9::sweep {

class Coverage {
 public:
  // Adds a cell's counts. `worker` lives, and had the cell in its memory image.
  void Add(const CellRequest& request, const CellArea& area, pid_t worker);
  // For each variant: shares by executed instruction and by address, lines, lines never reached.
  Json Figures() const;
  // One HTML page of annotated source for each variant, an index, and coverage.json.
  absl::Status Write(const std::string& directory, const Json& result) const;

 private:
  struct LineCount {
    uint64_t executed = 0, killed = 0, spoken_for = 0;
    std::set<std::string> operations;
  };
  struct OfVariant {
    std::map<uint64_t, AddressCount> addresses;
    std::map<std::string, std::map<int, LineCount>> lines;  // by short path
    std::map<std::string, std::string> paths;               // short to full
    uint64_t outside = 0;  // executed instructions that are in no file of variants/
  };
  void FindLinesWithCode();
  bool Belongs(const std::string& variant, const std::string& file) const;
  std::string Page(const std::string& variant, const OfVariant& counts) const;

  // Every worker is the same program at the same addresses: one's symbols are all workers'.
  std::unique_ptr<Symbols> symbols_;
  std::map<std::string, OfVariant> variants_;
  std::map<std::string, std::set<int>> with_code_;  // lines of variants/ that have code
  std::map<std::string, std::string> paths_;
};

// A variant's figures as a sentence: how much was killed at, and how much only spoken for.
std::string CoverageLine(const Json& figures);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_COVERAGE_H_
