// What is kept of a run's history in case it fails: its last operations, so that they can be
// checked again where chance does not repeat the failure.
//
// A history of which the beginning is missing cannot be checked as it is: what a key held is not
// known. So of each key those operations are left out that came before the first put, with nothing
// beside it, in what is kept: it says what the key holds, and after it everything is there. A
// violation of strict linearizability by the rest is one by the whole.
#ifndef KILL9_HARNESS_EDN_KEPT_HISTORY_H_
#define KILL9_HARNESS_EDN_KEPT_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/history/history.h"
#include "harness/history/naming.h"

namespace kill9 {

class KeptHistory {
 public:
  // Some 12 MB as EDN, where nothing is left out.
  static constexpr size_t kUsualMost = size_t{1} << 16;
  explicit KeptHistory(size_t most = kUsualMost) : most_(most) {}

  // REQUIRES: as they end, and in no particular order within one call.
  void Add(std::span<const Operation> operations);
  // The failure has been seen: what comes now shall not push it out. A quarter of what there is
  // room for is still taken.
  void EndSoon();

  uint64_t added() const { return added_; }
  // By invocation, and without what the beginning of this page says. `checkable`: of operations
  // other than those on a key's value a part says nothing; then everything is returned.
  struct Kept {
    std::vector<Operation> operations;
    bool whole;
    bool checkable;
  };
  Kept Take() const;

 private:
  std::vector<Operation> Checkable(std::vector<Operation> kept) const;

  size_t most_;
  std::vector<Operation> ring_;
  size_t oldest_ = 0;
  uint64_t added_ = 0;
  uint64_t taken_most_ = ~uint64_t{0};
  uint64_t taken_ = 0;
  uint64_t forgotten_until_ = 0;  // the latest end of an operation that is not kept any more
};

// How a history is told in a result: the file, and what is in it.
struct HistoryFile {
  std::string path;  // empty: there is none
  std::string why;   // there is none
  uint64_t operations = 0;
  uint64_t of = 0;  // so many the run had
  bool whole = false;
  bool checkable = false;
};

// Writes what is kept as EDN, and makes the folder if it is not there.
HistoryFile WriteHistory(const KeptHistory& kept, const Naming& naming, const std::string& path);

}  // namespace kill9

#endif  // KILL9_HARNESS_EDN_KEPT_HISTORY_H_
