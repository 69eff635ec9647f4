// A campaign's memory: all runs of all result files that were ever added, in one SQLite file.
//
// A run counts once, however often and in whatever file it is added: the shards of a run and what
// `kill9 merge` made of them are the same runs. Several processes may add at once.
#ifndef KILL9_HARNESS_CAMPAIGN_CAMPAIGN_H_
#define KILL9_HARNESS_CAMPAIGN_CAMPAIGN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/result/json_forward.h"

struct sqlite3;

namespace kill9::campaign {

enum class Answer : uint8_t { kGood, kBad, kUndecided, kSkipped };

// What is tried on its own: a scenario of torture, an operation in a state of the sweep, a scene of
// explore, a planted bug.
struct Cell {
  std::string kind;    // "torture"; of a gate's run its tier
  std::string object;  // a design
  std::string name;    // "steady", "put_same:one_entry"
  auto operator<=>(const Cell&) const = default;
};

// The name of a cell of the sweep.
std::string SweepCellName(std::string_view operation, std::string_view state);

struct StoredRun {
  Cell cell;
  uint64_t seed = 0;
  std::string verdict;
  Answer answer = Answer::kUndecided;  // good: a pass, or the verdict that was expected
  double seconds = 0;
  uint64_t kills = 0;
  std::string reason = {}, repeat = {};
  std::map<std::string, double> figures = {};  // by the names of kFigures
  // Of the file that it came in.
  std::string build = {};  // commit
  std::string machine = {};
  std::string started_at = {};  // ISO 8601, UTC
};

// What is kept of a run's figures, and compared from build to build.
struct Figure {
  std::string_view name;   // "operations_per_second"
  std::string_view field;  // of a run; with a point between, of an object in it
  bool more_is_better;
};
std::vector<Figure> Figures();

// The runs of a result file (schema kill9/1). kInvalidArgument: it is none.
absl::StatusOr<std::vector<StoredRun>> RunsOf(const Json& result);

class Campaign {
 public:
  enum class Mode { kCreate, kExisting };
  // kCreate: the file is made if it is absent. kInvalidArgument: it is no campaign's, or of a later
  // version. kNotFound: it is absent.
  static absl::StatusOr<std::unique_ptr<Campaign>> Open(const std::string& path, Mode mode);
  ~Campaign();
  Campaign(const Campaign&) = delete;
  Campaign& operator=(const Campaign&) = delete;

  // All runs of the result that are not known yet, or none; returns how many.
  absl::StatusOr<size_t> Add(const Json& result);
  // All that are known, the oldest first.
  absl::StatusOr<std::vector<StoredRun>> Runs();

 private:
  class Statement;
  explicit Campaign(sqlite3* database) : database_(database) {}
  absl::Status Execute(const char* script);
  absl::StatusOr<bool> AddRun(const StoredRun& run, uint64_t digest, Statement& insert_run,
                              Statement& insert_figure);
  absl::StatusOr<int64_t> NumberIn(const char* query);
  absl::Status Error(std::string_view what) const;

  sqlite3* database_;
};

}  // namespace kill9::campaign

#endif  // KILL9_HARNESS_CAMPAIGN_CAMPAIGN_H_
