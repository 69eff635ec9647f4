// The result files that a report is made from, and what several sections ask of them.
#ifndef KILL9_HARNESS_REPORT_RESULTS_RESULTS_H_
#define KILL9_HARNESS_REPORT_RESULTS_RESULTS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "harness/report/document/document.h"
#include "harness/result/result.h"

namespace kill9::report {

// One run of one file.
struct Run {
  const Json* json;
  size_t file;   // index into Results::files
  size_t index;  // among the file's runs
};

struct ResultFile {
  std::string name;  // without folders
  Json json;
};

class Results {
 public:
  // Reads each file, a result or a summary of one (summary.h); a folder stands for the *.json in
  // it. kNotFound, kInvalidArgument (no JSON, or no result) name the file.
  static absl::StatusOr<Results> Load(const std::vector<std::string>& paths);

  const std::vector<ResultFile>& files() const { return files_; }
  std::vector<ResultFile>& files() { return files_; }
  // All runs of files of this kind, in their order.
  std::vector<Run> Of(std::string_view kind) const;
  // Those of them whose field has the value.
  std::vector<Run> Of(std::string_view kind, std::string_view field, std::string_view value) const;

  // What the first file that knows the design tells of it; an empty object if none does.
  const Json& DesignOf(std::string_view name) const;
  // The names of what the runs are of: the project's designs first, then baselines, then peers, in
  // the files' order; what no file describes comes last.
  std::vector<std::string> VariantsIn(const std::vector<Run>& runs,
                                      std::string_view field = "variant") const;
  // The operations of a sweep's runs, in the sweep's own order: runs come as they ended.
  std::vector<std::string> OperationsIn(const std::vector<Run>& runs) const;
  // False: the operation goes through the whole object.
  bool HasPlace(std::string_view variant, std::string_view operation) const;

 private:
  void TakeDesigns(const Json& result);

  std::vector<ResultFile> files_;
  Json designs_ = Json::object();
  Json kinds_ = Json::object();
};

// A field, or what it is instead: never throws.
std::string Text(const Json& run, std::string_view field, std::string_view otherwise = "");
double Number(const Json& run, std::string_view field, double otherwise = 0);  // finite
const Json* Find(const Json& json, std::initializer_list<std::string_view> path);
std::vector<std::string> Strings(const Json& json, std::string_view field);  // of an array
// Of a spread over rounds: {"low", "median", "high"}.
double MedianOf(const Json& run, std::string_view field);         // 0: there is none
std::string SpreadText(const Json& run, std::string_view field);  // "0.52 (0.48 to 0.60)", or "-"

// In the order in which they first come.
std::vector<std::string> ValuesOf(const std::vector<Run>& runs, std::string_view field);

// Of several verdicts: the one that tells the worst. "" is better than all.
std::string Worse(const std::string& a, const std::string& b);
// The same as an order: 0 for a pass, skipped or none.
int Badness(std::string_view verdict);
Mark MarkOf(std::string_view verdict);

// "12.3 k", "1.20 M": three digits or so.
std::string Short(double number);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_RESULTS_RESULTS_H_
