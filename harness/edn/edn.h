// Histories as EDN (docs/design.md): ours, and what Jepsen and its kin write.
//
// Written: one map a line, an event each, in the order of time:
//     {:process 0, :type :invoke, :f :put, :key 3, :value 17, :time 1200}
//     {:process 0, :type :ok, :f :put, :key 3, :value 17, :version 4, :time 1950}
//     {:process 1, :type :info, :f :compare-and-swap, :key 3, :value [4 18], :error :died, :time
//     2100}
// Of a heap :value is [SIZE BLOCK] or [TO-WHOM BLOCK], and what a call tells is :result.
//
// Read: the same; and a vector of maps; tagged records (#jepsen.history.Op{…}); events of processes
// that are not numbers (:nemesis), which are skipped; :f as :read, :write, :cas [old new], :delete,
// :enqueue, …; keys as :key or, without it, as values [k v] (a :cas as [k [old new]]); values of
// any kind, compared by what they mean (edn_value.h). A :info is a crash at its line
// (--condition=pending gives it Jepsen's meaning); an :invoke without any completion stays open for
// ever.
//
// Times of the operations read are the numbers of their events, counted from 1: the order is that
// of the lines. :time, where present, must not go backwards.
#ifndef KILL9_HARNESS_EDN_EDN_H_
#define KILL9_HARNESS_EDN_EDN_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "harness/history/history.h"
#include "harness/history/naming.h"

namespace kill9 {

struct EdnHistory {
  std::vector<Operation> operations;  // by invoke
  std::vector<std::string> keys;      // the canonical text of key i
  std::vector<std::string> values;    // of value i; 0: nil
  std::vector<uint64_t> times_ns;     // :time of event i; empty if no event had one
  Naming naming() const;              // REQUIRES: the history outlives it
};

// Errors are kInvalidArgument, "NAME:LINE:COLUMN: what is wrong". `accepts`: the model's functions.
absl::StatusOr<EdnHistory> ReadEdn(std::string_view text, std::string_view name,
                                   absl::FunctionRef<bool(Function)> accepts);

std::string WriteEdn(std::span<const Operation> operations, const Naming& naming);

}  // namespace kill9

#endif  // KILL9_HARNESS_EDN_EDN_H_
