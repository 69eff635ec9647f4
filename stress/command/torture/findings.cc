#include "stress/command/torture/findings.h"

#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "harness/result/verdict.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

constexpr char kRoot[] = "kill9-out";
constexpr char kLatest[] = "kill9-out/latest";

std::string FreeFolder() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char time[32];
  std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", &utc);
  const std::string first = absl::StrCat(kRoot, "/", time);
  std::error_code ignored;
  std::string folder = first;
  for (int n = 2; fs::exists(folder, ignored); ++n) folder = absl::StrCat(first, "-", n);
  return folder;
}

bool Failed(const Json& run) {
  const std::optional<Verdict> verdict = VerdictOf(run);
  return verdict.has_value() && ExitCode(*verdict) == kExitFailed;
}

}  // namespace

Findings::Findings() : folder_(FreeFolder()) {}

void Findings::Count(Json* run) {
  if (!has_room() && Failed(*run)) {
    (*run)["history_not_kept"] = "the histories of the runs before it fill the folder";
    return;
  }
  const std::string history = TextField(*run, "history");
  std::error_code error;
  const uintmax_t bytes = history.empty() ? 0 : fs::file_size(history, error);
  if (!error) history_bytes_ += bytes;
}

absl::Status Findings::Keep(const Json& result) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make the folder '", folder_,
                                               "' for what was found: ", error.message()));
  }
  Json kept = result;
  kept["runs"] = Json::array();
  for (const Json& run : result["runs"]) {
    if (Failed(run)) kept["runs"].push_back(run);
  }
  if (absl::Status status = WriteResult(kept, folder_ + "/result.json"); !status.ok()) {
    return status;
  }
  // The link is replaced in one step; a folder of that name that is somebody's stays.
  const std::string fresh = absl::StrCat(kLatest, ".", getpid());
  fs::create_directory_symlink(fs::path(folder_).filename(), fresh, error);
  if (!error) fs::rename(fresh, kLatest, error);
  if (error) unlink(fresh.c_str());
  return absl::OkStatus();
}

std::string Findings::KeptIn(const Json& result) const {
  const absl::Status status = Keep(result);
  if (status.ok()) return folder_;
  std::cerr << "kill9: " << status.message()
            << ": nothing is kept; start kill9 in a folder that has room and may be written to\n";
  return "";
}

}  // namespace kill9
