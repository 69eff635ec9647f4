// What a kind of object brings to torture. Everything else (workers, auditors, supervisor, control
// block) knows only: attach, act, recover, audit, detach, and a stream of recorded operations.
//
// A driver is stateless, one object for each kind. For each run it prepares a PreparedRun before
// anything forks; in each worker and auditor that makes the Client (worker/client.h) that turns
// random steps into calls.
#ifndef KILL9_HARNESS_TORTURE_DRIVER_H_
#define KILL9_HARNESS_TORTURE_DRIVER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/history/history.h"
#include "harness/result/json_forward.h"
#include "harness/torture/control.h"
#include "harness/torture/scenario.h"
#include "variants/object.h"

namespace kill9 {

class Client;
struct RunContext;

// How a run differs from its scenario's usual one in size and content. What a shape is, is the
// kind's to say.
struct ShapeRequest {
  // "usual"; "drawn" from the seed; or what an earlier run told, or a part of it.
  std::string text = "usual";
  uint64_t seed = 1;  // of what is drawn, and of the segment's hash
  // Of the table: how many the run needs at least, has by itself, and can have.
  uint32_t least_participants = 1, usual_participants = 1, most_participants = 4096;
};

// A kind's part of one run: the same in all its processes, but for what lies in its boards.
class PreparedRun {
 public:
  virtual ~PreparedRun() = default;
  virtual BoardsSize boards_size() const { return {}; }
  // `boards`: shared memory of that size, all zero. Called once, before anything forks.
  virtual void UseBoards(char* /*boards*/) {}

  virtual std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                            uint32_t process) const = 0;
  // Calls each operation of the kind on a handle that must refuse it and tells its answer.
  using Told = absl::FunctionRef<void(const char* operation, const absl::Status& answer)>;
  virtual void CallEach(SharedObject& inherited, Told told) const = 0;
  // What a worker does, from its board, in a message: "Dequeue of part 5".
  virtual std::string DescribeStep(Function function, uint64_t /*subject*/) const {
    return std::string(RowOf(function).call);
  }
  // What a scenario of the kind's own needs and has not happened; empty: nothing. As
  // WhatIsMissing (supervisor/vacuity.h).
  virtual std::string WhatIsMissing() const { return ""; }
  // What the kind counted, as fields of the run's result.
  virtual Json Counts() const;

  // How many participants are there from the first moment to the last and do nothing, so that those
  // who work have other places of the table. Not of a run whose object is replaced.
  virtual uint32_t idle() const { return 0; }
  // What the shape asks of the segment.
  virtual void ShapeSegment(SegmentOptions* /*options*/) const {}
  // What --shape= repeats; empty: the kind has no shapes.
  virtual std::string shape() const { return ""; }
  // Of which classes it is, by dimension: {"segment": ["to 8 MiB"], …}.
  virtual Json shape_classes() const;
};

class TortureDriver {
 public:
  virtual ~TortureDriver() = default;
  virtual std::string_view kind() const = 0;
  virtual std::span<const Scenario> scenarios() const { return CommonScenarios(); }
  // The names of what can be chosen instead of a scenario's own workload.
  virtual std::vector<std::string_view> workloads() const { return {}; }
  // Whether the operations that are recorded of the design carry versions.
  virtual bool RecordsVersions(const Design& /*design*/) const { return false; }
  // `workload`: one of workloads(); empty: the scenario's own. kUnimplemented: the design lacks
  // what the scenario is about; the message says what.
  virtual absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(const Design& design,
                                                               const Scenario& scenario,
                                                               std::string_view workload) const = 0;

  // Whether a ShapeRequest's text is one. kInvalidArgument says what is wrong.
  virtual absl::Status CheckShape(const std::string& text) const {
    if (text == "usual" || text == "drawn") return absl::OkStatus();
    return absl::InvalidArgumentError("a " + std::string(kind()) + " has no shapes");
  }
  // As Prepare, in a shape. A kind that has none has the usual one only.
  virtual absl::StatusOr<std::unique_ptr<PreparedRun>> PrepareShaped(
      const Design& design, const Scenario& scenario, std::string_view workload,
      const ShapeRequest& /*shape*/) const {
    return Prepare(design, scenario, workload);
  }
  // All classes of shapes that there are, by dimension.
  virtual Json shape_classes() const;
};

// One for each kind (harness/kinds/kinds.cc).
std::span<const TortureDriver* const> AllTortureDrivers();
const TortureDriver* FindTortureDriver(std::string_view kind);  // null if there is none

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_DRIVER_H_
