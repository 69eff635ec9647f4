// kill9 merge: the results of all shards of a run as one.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/base/text/count_of.h"
#include "harness/result/merge.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"

namespace kill9 {
namespace {

constexpr std::string_view kWho = "kill9 merge";

struct MergeFlags {
  std::string folder;
  std::string json;
};

// All *.json of the folder but the file that is to be written.
absl::StatusOr<std::vector<ShardResult>> Load(const MergeFlags& flags) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(flags.folder, error)) {
    if (entry.path().extension() != ".json") continue;
    if (!flags.json.empty() && fs::equivalent(entry.path(), flags.json, error)) continue;
    files.push_back(entry.path().string());
  }
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no *.json in '", flags.folder, "'"));
  }
  std::sort(files.begin(), files.end());
  std::vector<ShardResult> shards;
  for (const std::string& file : files) {
    absl::StatusOr<Json> json = ReadJsonFile(file);
    if (!json.ok()) return json.status();
    shards.push_back({file, *std::move(json)});
  }
  return shards;
}

// Of a planted bug, what counts is whether it was expected.
bool IsAsExpected(const Json& run) { return run.value("as_expected", Json()) == Json(true); }

int ExitCodeOf(const Json& run) {
  if (IsAsExpected(run)) return kExitPass;
  if (run.contains("as_expected") && TextField(run, "verdict") == "pass") return kExitFailed;
  const std::optional<Verdict> verdict = VerdictOf(run);
  return verdict.has_value() ? ExitCode(*verdict) : kExitFailed;
}

int Tell(const Json& merged) {
  std::map<std::string, size_t> counts;
  int exit_code = kExitPass;
  bool any_ran = false;
  for (const Json& run : merged["runs"]) {
    const std::string verdict = TextField(run, "verdict");
    ++counts[IsAsExpected(run) ? "as expected" : verdict];
    any_ran = any_ran || verdict != "skipped";
    const int code = ExitCodeOf(run);
    exit_code = WorseExitCode(exit_code, code);
    if (code == kExitPass) continue;
    std::cerr << absl::StrCat(TextField(run, "variant"), " ", TextField(run, "scenario"),
                              TextField(run, "name"), ": ", verdict, ": ", TextField(run, "reason"),
                              "\n");
  }
  std::string line = absl::StrCat(CountOf(merged["merged_shards"].get<size_t>(), "shard"), ", ",
                                  CountOf(merged["runs"].size(), "run"), ":");
  for (const auto& [verdict, count] : counts) absl::StrAppend(&line, " ", count, " ", verdict);
  std::cerr << line << "\n";
  if (!any_ran) {
    std::cerr << "nothing was run: that is no pass\n";
    exit_code = WorseExitCode(exit_code, kExitUndecided);
  }
  if (merged.value("interrupted", Json(false)) == Json(true)) {
    std::cerr << "interrupted, or a part is missing: that is no pass\n";
    exit_code = WorseExitCode(exit_code, kExitUndecided);
  }
  // A gate's file says it, and it is the gate's to say.
  return merged.value("exit_code", exit_code);
}

int RunMerge(const MergeFlags& flags) {
  absl::StatusOr<std::vector<ShardResult>> shards = Load(flags);
  if (!shards.ok()) return Complain(kWho, shards.status());
  absl::StatusOr<Json> merged = MergeShards(*shards);
  if (!merged.ok()) return Complain(kWho, merged.status());
  return WithResult(kWho, *merged, flags.json, Tell(*merged));
}

}  // namespace

void AddMergeCommand(CommandLine& line) {
  Command command = line.Add("merge", "the results of all shards of a run as one");
  auto flags = std::make_shared<MergeFlags>();
  command.Add("DIR", flags->folder, "the folder in which the shards' result files lie")
      .ExistingFolder()
      .Required();
  command.Add("--json", flags->json, "the result file of the whole; - for standard output")
      .Required();
  command.Example("parts --json=whole.json", "one result of the files parts/*.json");
  command.OnCall([flags] { return RunMerge(*flags); });
}

}  // namespace kill9
