#include "harness/campaign/campaign.h"

#include <sqlite3.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "harness/base/stable_hash.h"
#include "harness/base/text/count_of.h"
#include "harness/result/result.h"
#include "harness/result/schema/schema.h"

namespace kill9::campaign {
namespace {

constexpr int kWaitForOthersMs = 60'000;
constexpr int64_t kApplication = 0x6b696c39;  // "kil9", in the file's header
constexpr int64_t kVersion = 1;

constexpr char kSchema[] = R"sql(
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  digest INTEGER NOT NULL UNIQUE,
  kind TEXT NOT NULL, object TEXT NOT NULL, cell TEXT NOT NULL,
  seed INTEGER NOT NULL, verdict TEXT NOT NULL, answer INTEGER NOT NULL,
  seconds REAL NOT NULL, kills INTEGER NOT NULL, reason TEXT NOT NULL, repeat TEXT NOT NULL,
  build TEXT NOT NULL, machine TEXT NOT NULL, started_at TEXT NOT NULL);
CREATE INDEX run_of_cell ON run (kind, object, cell);
CREATE TABLE figure (
  run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (run, name)) WITHOUT ROWID;
PRAGMA application_id = 0x6b696c39;
PRAGMA user_version = 1;
)sql";

constexpr char kInsertRun[] =
    "INSERT INTO run (digest, kind, object, cell, seed, verdict, answer, seconds, kills, reason,"
    " repeat, build, machine, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
    " ?12, ?13, ?14) ON CONFLICT (digest) DO NOTHING";
constexpr char kInsertFigure[] = "INSERT INTO figure (run, name, value) VALUES (?1, ?2, ?3)";

const Json* FieldOf(const Json& object, std::string_view name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

double NumberOf(const Json& run, std::string_view field) {
  const size_t point = field.find('.');
  const Json* value = FieldOf(run, field.substr(0, point));
  if (value != nullptr && point != std::string_view::npos) {
    value = value->is_object() ? FieldOf(*value, field.substr(point + 1)) : nullptr;
  }
  return value != nullptr && value->is_number() ? value->get<double>() : 0;
}

// As the result file's own exit code has it: a baseline's and a planted bug's expected verdict is
// good.
Answer AnswerOf(const Json& run, std::string_view verdict) {
  if (const Json* expected = FieldOf(run, "as_expected"); expected != nullptr) {
    if (*expected == Json(true)) return Answer::kGood;
    if (verdict == "pass") return Answer::kBad;
  }
  if (verdict == "skipped") return Answer::kSkipped;
  if (verdict == "pass" || verdict == TextField(run, "expected_verdict")) return Answer::kGood;
  return verdict == "undecided" || verdict == "vacuous" ? Answer::kUndecided : Answer::kBad;
}

Cell CellOf(const Json& run, const std::string& kind) {
  Cell cell{.kind = TextField(run, "tier", kind), .object = TextField(run, "variant"), .name = {}};
  const std::string operation = TextField(run, "operation");
  const std::string state = TextField(run, "state");
  if (cell.kind == "sweep" && !operation.empty() && !state.empty()) {
    cell.name = SweepCellName(operation, state);
  } else {
    cell.name = TextField(run, "scenario", TextField(run, "name", TextField(run, "file")));
  }
  const std::string model = TextField(run, "memory_model");
  if (cell.kind == "explore" && !model.empty()) absl::StrAppend(&cell.name, ":", model);
  return cell;
}

// The same for a run of a shard and of what was merged.
uint64_t DigestOf(Json run, std::string_view kind, std::string_view build) {
  run.erase("unit");
  return StableHash(absl::StrCat(std::string(kind), " ", std::string(build), " ", Dump(run)));
}

}  // namespace

std::string SweepCellName(std::string_view operation, std::string_view state) {
  return absl::StrCat(std::string(operation), ":", std::string(state));
}

std::vector<Figure> Figures() {
  return {{"operations_per_second", "operations_per_second", true},
          {"kill_points_per_second", "kill_points_per_second", true},
          {"schedules_per_second", "schedules_per_second", true},
          {"recovery_us_p50", "recovery_us.p50", false},
          {"kill_coverage", "kill_coverage", true}};
}

absl::StatusOr<std::vector<StoredRun>> RunsOf(const Json& result) {
  if (const std::string why = WhyNoResult(result); !why.empty()) {
    return absl::InvalidArgumentError("it " + why);
  }
  const Json* runs = FieldOf(result, "runs");
  const std::string kind = TextField(result, "kind");
  const Json host = result.value("host", Json::object());
  const Json build = result.value("build", Json::object());
  std::vector<StoredRun> all;
  for (const Json& json : *runs) {
    const std::string verdict = TextField(json, "verdict");
    if (verdict.empty()) {
      return absl::InvalidArgumentError("a run of it has no verdict: measurements are no runs");
    }
    StoredRun run{
        .cell = CellOf(json, kind), .verdict = verdict, .answer = AnswerOf(json, verdict)};
    const double seed = NumberOf(json, "seed");
    run.seed = static_cast<uint64_t>(seed != 0 ? seed : NumberOf(result, "seed"));
    run.seconds = NumberOf(json, "seconds");
    run.kills = static_cast<uint64_t>(NumberOf(json, "kills.total"));
    run.reason = TextField(json, "reason");
    run.repeat = TextField(json, "repeat");
    run.build = TextField(build, "commit", "unknown");
    run.machine = absl::StrCat(TextField(host, "processor", "unknown"), ", ",
                               CountOf(static_cast<uint64_t>(NumberOf(host, "cores")), "core"));
    run.started_at = TextField(result, "started_at");
    for (const Figure& figure : Figures()) {
      if (const double value = NumberOf(json, figure.field); value > 0) {
        run.figures[std::string(figure.name)] = value;
      }
    }
    all.push_back(std::move(run));
  }
  return all;
}

class Campaign::Statement {
 public:
  Statement(sqlite3* database, const char* text) {
    sqlite3_prepare_v2(database, text, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // To be bound and stepped once more.
  void Reset() {
    sqlite3_reset(statement_);
    bound_ = column_ = 0;
  }
  // Values, from the first parameter on.
  void Bind(const std::string& text) {
    sqlite3_bind_text(statement_, ++bound_, text.c_str(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
  }
  void Bind(int64_t number) { sqlite3_bind_int64(statement_, ++bound_, number); }
  void Bind(double number) { sqlite3_bind_double(statement_, ++bound_, number); }

  int Step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  // Columns of the row that it stands on, from the first one on.
  std::string Text() {
    const int column = column_++;
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return text == nullptr
               ? ""
               : std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  int64_t Integer() { return sqlite3_column_int64(statement_, column_++); }
  double Real() { return sqlite3_column_double(statement_, column_++); }
  void NextRow() { column_ = 0; }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  int column_ = 0;
};

absl::Status Campaign::Error(std::string_view what) const {
  std::string text = absl::StrCat(std::string(what), ": ", sqlite3_errmsg(database_));
  const int code = sqlite3_errcode(database_) & 0xff;
  if (code == SQLITE_CANTOPEN) {
    absl::StrAppend(&text, ": ", std::strerror(sqlite3_system_errno(database_)));
  }
  if (code == SQLITE_NOTADB) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", sqlite3_db_filename(database_, nullptr),
                     "' is no campaign of kill9, which is an SQLite file"));
  }
  return absl::UnavailableError(text);
}

absl::Status Campaign::Execute(const char* script) {
  if (sqlite3_exec(database_, script, nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return Error("the campaign's file");
}

absl::StatusOr<int64_t> Campaign::NumberIn(const char* query) {
  Statement statement(database_, query);
  if (statement.Step() != SQLITE_ROW) return Error("the campaign's file");
  return statement.Integer();
}

absl::StatusOr<std::unique_ptr<Campaign>> Campaign::Open(const std::string& path, Mode mode) {
  if (mode == Mode::kExisting && !std::filesystem::exists(path)) {
    return absl::NotFoundError(
        absl::StrCat("there is no campaign '", path, "': kill9 campaign add makes one"));
  }
  // SQLite would make a file of its own of an empty one, and calls a folder what cannot be opened.
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(path, ignored);
  const bool is_there = std::filesystem::exists(path, ignored);
  const bool is_empty = is_file && std::filesystem::file_size(path, ignored) == 0;
  if ((is_there && !is_file) || (is_empty && mode == Mode::kExisting)) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no campaign of kill9"));
  }
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | (mode == Mode::kCreate ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  std::unique_ptr<Campaign> campaign(new Campaign(database));
  if (code != SQLITE_OK) return campaign->Error(absl::StrCat("'", path, "'"));
  sqlite3_busy_timeout(database, kWaitForOthersMs);
  // One of several that find an empty file makes the tables.
  if (absl::Status status = campaign->Execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  const absl::StatusOr<int64_t> tables = campaign->NumberIn("SELECT count(*) FROM sqlite_schema");
  if (!tables.ok()) return tables.status();
  if (*tables == 0 && mode == Mode::kCreate) {
    if (absl::Status status = campaign->Execute(kSchema); !status.ok()) return status;
  }
  if (absl::Status status = campaign->Execute("COMMIT"); !status.ok()) return status;
  const absl::StatusOr<int64_t> application = campaign->NumberIn("PRAGMA application_id");
  const absl::StatusOr<int64_t> version = campaign->NumberIn("PRAGMA user_version");
  if (!application.ok()) return application.status();
  if (!version.ok()) return version.status();
  if (*application != kApplication) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no campaign of kill9"));
  }
  if (*version != kVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "' is of version ", *version, ", and this kill9 knows ", kVersion));
  }
  return campaign;
}

Campaign::~Campaign() { sqlite3_close(database_); }

absl::StatusOr<bool> Campaign::AddRun(const StoredRun& run, uint64_t digest, Statement& insert,
                                      Statement& figure) {
  insert.Reset();
  insert.Bind(static_cast<int64_t>(digest));
  for (const std::string* text : {&run.cell.kind, &run.cell.object, &run.cell.name}) {
    insert.Bind(*text);
  }
  insert.Bind(static_cast<int64_t>(run.seed));
  insert.Bind(run.verdict);
  insert.Bind(static_cast<int64_t>(run.answer));
  insert.Bind(run.seconds);
  insert.Bind(static_cast<int64_t>(run.kills));
  for (const std::string* text :
       {&run.reason, &run.repeat, &run.build, &run.machine, &run.started_at}) {
    insert.Bind(*text);
  }
  if (insert.Step() != SQLITE_DONE) return Error("adding a run");
  if (sqlite3_changes(database_) == 0) return false;
  const int64_t id = sqlite3_last_insert_rowid(database_);
  for (const auto& [name, value] : run.figures) {
    figure.Reset();
    figure.Bind(id);
    figure.Bind(name);
    figure.Bind(value);
    if (figure.Step() != SQLITE_DONE) return Error("adding a figure");
  }
  return true;
}

absl::StatusOr<size_t> Campaign::Add(const Json& result) {
  const absl::StatusOr<std::vector<StoredRun>> runs = RunsOf(result);
  if (!runs.ok()) return runs.status();
  if (absl::Status status = Execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  absl::Cleanup undo = [this] { (void)Execute("ROLLBACK"); };
  Statement insert_run(database_, kInsertRun);
  Statement insert_figure(database_, kInsertFigure);
  size_t added = 0;
  for (size_t n = 0; n < runs->size(); ++n) {
    const StoredRun& run = (*runs)[n];
    const absl::StatusOr<bool> is_new = AddRun(
        run, DigestOf(result["runs"][n], run.cell.kind, run.build), insert_run, insert_figure);
    if (!is_new.ok()) return is_new.status();
    added += *is_new;
  }
  if (absl::Status status = Execute("COMMIT"); !status.ok()) return status;
  std::move(undo).Cancel();
  return added;
}

absl::StatusOr<std::vector<StoredRun>> Campaign::Runs() {
  std::vector<StoredRun> runs;
  std::map<int64_t, size_t> place_of;
  Statement select(database_,
                   "SELECT id, kind, object, cell, seed, verdict, answer, seconds, kills, reason,"
                   " repeat, build, machine, started_at FROM run ORDER BY started_at, id");
  int code = 0;
  for (; (code = select.Step()) == SQLITE_ROW; select.NextRow()) {
    place_of[select.Integer()] = runs.size();
    StoredRun& run = runs.emplace_back();
    for (std::string* text : {&run.cell.kind, &run.cell.object, &run.cell.name}) {
      *text = select.Text();
    }
    run.seed = static_cast<uint64_t>(select.Integer());
    run.verdict = select.Text();
    run.answer = static_cast<Answer>(select.Integer());
    run.seconds = select.Real();
    run.kills = static_cast<uint64_t>(select.Integer());
    for (std::string* text :
         {&run.reason, &run.repeat, &run.build, &run.machine, &run.started_at}) {
      *text = select.Text();
    }
  }
  if (code != SQLITE_DONE) return Error("reading the campaign");
  Statement figures(database_, "SELECT run, name, value FROM figure");
  for (; (code = figures.Step()) == SQLITE_ROW; figures.NextRow()) {
    // Of a run that was added in between: not among these.
    const auto place = place_of.find(figures.Integer());
    const std::string name = figures.Text();
    if (place != place_of.end()) runs[place->second].figures[name] = figures.Real();
  }
  if (code != SQLITE_DONE) return Error("reading the campaign");
  return runs;
}

}  // namespace kill9::campaign
