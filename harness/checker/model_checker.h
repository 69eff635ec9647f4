// A model and the algorithm that checks one key's history against it, without its type.
#ifndef KILL9_HARNESS_CHECKER_MODEL_CHECKER_H_
#define KILL9_HARNESS_CHECKER_MODEL_CHECKER_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "harness/checker/counterexample/counterexample.h"
#include "harness/checker/search/condition.h"
#include "harness/checker/search/engine.h"
#include "harness/history/history.h"

namespace kill9 {

class Recoveries;

// The operations of one key, and what a single pass over them shows: long histories do not fit into
// a cache, and each further pass would fetch them again.
struct KeyHistory {
  std::span<const Operation> operations;  // by invoke, without those that tell nothing
  bool optional = false;                  // some may have taken effect, or not
  bool versions = false;                  // some carry a version

  static KeyHistory Of(std::span<const Operation> operations);
  void Note(const Operation& operation) {
    optional |= IsOptional(operation);
    versions |= HasVersion(operation);
  }
};

// The history of one key, checked as it comes, under strict linearizability. Its memory is that of
// a window.
class StreamChecker {
 public:
  virtual ~StreamChecker() = default;
  // REQUIRES: keyed operations, by invoke; nothing after an answer that is not kLinearizable.
  // kLinearizable may also mean that Finish will tell: what was added is kept until then.
  virtual SearchResult Add(const Operation& operation) = 0;
  // After kViolated: what follows. It is not checked, and kept for HoldsUnder.
  virtual void Keep(const Operation& operation) = 0;
  virtual SearchResult Finish() = 0;
  // After kViolated. Whether the history can be shown to meet the (weaker) condition.
  virtual bool HoldsUnder(Condition condition, const Recoveries& recoveries) const = 0;
  virtual Counterexample Explain() const = 0;
  // Operations added while another one was open.
  virtual uint64_t overlapping() const = 0;
};

class ModelChecker {
 public:
  virtual ~ModelChecker() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view summary() const = 0;
  virtual bool Accepts(Function function) const = 0;
  // `counterexample`: filled in after kViolated, unless null.
  virtual SearchResult Check(Condition condition, const Recoveries& recoveries,
                             const EngineLimits& limits, const KeyHistory& recorded,
                             Counterexample* counterexample) const = 0;
  virtual std::unique_ptr<StreamChecker> NewStream(bool has_versions,
                                                   const EngineLimits& limits) const = 0;
};

// All models; adding one: its file, and a line in models.cc.
std::span<const ModelChecker* const> AllModels();
const ModelChecker* FindModel(std::string_view name);  // null if there is none
// Adds a program's own models. kAlreadyExists: a name is taken; those before it were added.
// REQUIRES: called before the list is first asked for, by one thread.
absl::Status AddModels(std::span<const ModelChecker* const> models);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_MODEL_CHECKER_H_
