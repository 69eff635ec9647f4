#include "harness/result/result.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "harness/base/text/write_text.h"
#include "harness/result/build_info.h"
#include "harness/result/host.h"
#include "harness/result/schema/schema.h"

namespace kill9 {
namespace {

constexpr char kNoSuchScenario[] = " has no such scenario";

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
  return {{"compiler", BuildCompiler()},
          {"mode", BuildMode()},
          {"version", KILL9_VERSION},
          {"commit", BuildCommit()}};
}

constexpr uintmax_t kJsonBytesMost = 64u << 20;
constexpr std::string_view kResultFile = "the result file";

std::string WhyNoJson(const std::string& text) {
  try {
    const Json ignored = Json::parse(text);
  } catch (const Json::parse_error& error) {
    if (text.empty()) return "it is empty";
    if (error.byte <= text.size()) return absl::StrCat("it is damaged at its byte ", error.byte);
  }
  return "it ends in its midst";
}

// How deeply arrays and objects are nested in a text that may be JSON.
int NestingOf(std::string_view text) {
  int nesting = 0, most = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      i += c == '\\';
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++nesting);
    } else if (c == ']' || c == '}') {
      --nesting;
    }
  }
  return most;
}

}  // namespace

void SetCommandLine(int argc, char** argv) {
  CommandLine().clear();
  for (int i = 0; i < argc; ++i) absl::StrAppend(&CommandLine(), i == 0 ? "" : " ", argv[i]);
}

const std::string& CommandLineGiven() { return CommandLine(); }

Json NewResult(std::string_view kind, uint64_t seed) {
  return {{"schema", kResultSchema},  {"kind", kind},
          {"command", CommandLine()}, {"seed", seed},
          {"started_at", Now()},      {"host", DescribeHost()},
          {"build", Build()},         {"runs", Json::array()}};
}

Json ParseJson(std::string_view text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::StatusOr<Json> ReadJsonFile(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_status there = std::filesystem::status(path, error);
  if (!std::filesystem::exists(there)) {
    return absl::NotFoundError(absl::StrCat("cannot read '", path, "': ", std::strerror(ENOENT)));
  }
  if (!std::filesystem::is_regular_file(there)) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no file"));
  }
  if (const uintmax_t size = std::filesystem::file_size(path, error); size > kJsonBytesMost) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is too large: ", size, " bytes"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text;
  text.assign(std::istreambuf_iterator<char>(file), {});
  if (!file) {
    return absl::NotFoundError(absl::StrCat("cannot read '", path, "': ", std::strerror(errno)));
  }
  if (NestingOf(text) > kJsonNestingMost) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is nested too deeply"));
  }
  Json json = ParseJson(text);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is no JSON: ", WhyNoJson(text)));
  }
  return json;
}

std::string TextField(const Json& object, std::string_view name, std::string_view otherwise) {
  const auto found = object.is_object() ? object.find(std::string(name)) : object.end();
  const bool is_text = found != object.end() && found->is_string();
  return is_text ? found->get<std::string>() : std::string(otherwise);
}

std::optional<Verdict> VerdictOf(const Json& run) { return FindVerdict(TextField(run, "verdict")); }

std::string NoSuchScenario(std::string_view kind) {
  return absl::StrCat("a ", std::string(kind), kNoSuchScenario);
}

bool HasNoSuchScenario(const Json& run) {
  return TextField(run, "reason").ends_with(kNoSuchScenario);
}

absl::Status CanWriteResult(const std::string& path) { return CanWriteText(path, kResultFile); }

absl::Status WriteResult(const Json& result, const std::string& path) {
  return WriteText(Dump(result, 2) + "\n", path, kResultFile);
}

absl::Status FinishStandardOutput() {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0 && std::cout.good() && std::ferror(stdout) == 0;
  const int flush_error = errno;
  // A file system may tell of what is missing when the file is closed.
  const int copy = flushed ? dup(STDOUT_FILENO) : -1;
  if (flushed && copy >= 0 && close(copy) == 0) return absl::OkStatus();
  int error = flushed ? errno : flush_error;
  // A stream does not keep why it failed. One more byte of what is cut off anyway tells it.
  if (error == 0 && write(STDOUT_FILENO, "\n", 1) < 0) error = errno;
  return absl::UnavailableError(absl::StrCat(
      "cannot write standard output: ", error != 0 ? std::strerror(error) : "an earlier error"));
}

}  // namespace kill9
