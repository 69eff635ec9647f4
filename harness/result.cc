#include "harness/result.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "harness/host.h"

namespace kill9 {
namespace {

std::string& CommandLine() {
  static std::string* line = new std::string;
  return *line;
}

std::string Now() {
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Json Build() {
#if defined(__clang__)
  std::string compiler = absl::StrCat("clang ", __clang_version__);
#else
  std::string compiler = absl::StrCat("gcc ", __VERSION__);
#endif
#ifdef NDEBUG
  const char* mode = "release";
#else
  const char* mode = "debug";
#endif
  return {{"compiler", compiler}, {"mode", mode}, {"version", KILL9_VERSION}};
}

}  // namespace

void SetCommandLine(int argc, char** argv) {
  CommandLine().clear();
  for (int i = 0; i < argc; ++i) absl::StrAppend(&CommandLine(), i == 0 ? "" : " ", argv[i]);
}

Json NewResult(std::string_view kind, uint64_t seed) {
  return {{"schema", "kill9/1"}, {"kind", kind},         {"command", CommandLine()},
          {"seed", seed},        {"started_at", Now()},  {"host", DescribeHost()},
          {"build", Build()},    {"runs", Json::array()}};
}

Json ParseJson(std::string_view text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Json ReadJson(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return ParseJson(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::string JsonText(const Json& json, int indent) { return json.dump(indent); }

absl::Status WriteResult(const Json& result, const std::string& path) {
  std::string text = JsonText(result, 2) + "\n";
  if (path == "-") {
    std::cout << text << std::flush;
    return absl::OkStatus();
  }
  // A file appears whole or not at all. A device or a pipe is written to: a rename would replace
  // it.
  std::error_code ignored;
  const std::filesystem::file_status there = std::filesystem::status(path, ignored);
  const bool in_place = std::filesystem::exists(there) && !std::filesystem::is_regular_file(there);
  const std::string target =
      std::filesystem::exists(there) ? std::filesystem::canonical(path, ignored).string() : path;
  const std::string written = in_place ? path : absl::StrCat(target, ".", getpid(), ".tmp");
  std::ofstream file(written);
  file << text << std::flush;
  if (!file || (!in_place && std::rename(written.c_str(), target.c_str()) != 0)) {
    int error = errno;
    if (!in_place) unlink(written.c_str());
    return absl::UnavailableError(
        absl::StrCat("cannot write the result file '", path, "': ", std::strerror(error)));
  }
  return absl::OkStatus();
}

}  // namespace kill9
