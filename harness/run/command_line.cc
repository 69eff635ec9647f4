#include "harness/run/command_line.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "harness/run/attempt/copy_into.h"

namespace kill9::run {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kStateBytesMost = 512u << 20;

// The directory of something that is there, or itself if it is one.
void AddSeen(const fs::path& path, std::vector<std::string>& seen) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  const bool alone = path.parent_path() == "/tmp";  // only this one of what lies there
  seen.push_back(fs::is_directory(path, error) || alone ? path.string()
                                                        : path.parent_path().string());
}

// Of all words that are paths of something, and of all paths in lines for a shell: an empty /tmp
// must not hide them. Of the latter /tmp itself is none: it is what a line uses that must find it
// empty.
void AddSeenOf(const std::string& start, const std::vector<std::string>& words,
               std::vector<std::string>& seen) {
  std::error_code error;
  const auto path_of = [&](absl::string_view name) {
    return fs::weakly_canonical(fs::path(start) / std::string(name), error);
  };
  for (const std::string& word : words) {
    if (word.empty() || word.front() == '-') continue;
    AddSeen(path_of(word), seen);
    for (const absl::string_view part :
         absl::StrSplit(word, absl::ByAnyChar(" \t\n;|&<>()'\"`=$"))) {
      const fs::path path = path_of(part);
      if (absl::StrContains(part, '/') && absl::StartsWith(path.string(), "/tmp/")) {
        AddSeen(path, seen);
      }
    }
  }
}

}  // namespace

std::string FoundFrom(const std::string& start, const std::string& line) {
  const size_t end = line.find_first_of(" \t\n;|&<>()");
  const std::string first = line.substr(0, end);
  std::error_code error;
  const fs::path path = fs::path(start) / first;
  if (first.find('/') == std::string::npos || !fs::exists(path, error)) return line;
  return path.lexically_normal().string() + (end == std::string::npos ? "" : line.substr(end));
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string LastLine(const std::string& text) {
  const size_t last = text.find_last_not_of(" \t\r\n");
  if (last == std::string::npos) return "";
  const size_t begin = text.find_last_of('\n', last);
  const size_t first = begin == std::string::npos ? 0 : begin + 1;
  return text.substr(first, last + 1 - first);
}

absl::StatusOr<AttemptSurroundings> Surround(const RunOptions& options) {
  std::error_code error;
  AttemptSurroundings surroundings;
  surroundings.namespaces = options.namespaces;
  surroundings.start = fs::current_path(error).string();
  const fs::path state = fs::canonical(options.state, error);
  if (error || !fs::is_directory(state, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--state: there is no directory '", options.state, "'"));
  }
  surroundings.state = state.string();
  if (surroundings.state == "/") {
    return absl::InvalidArgumentError("--state: the root directory cannot be copied");
  }
  surroundings.state_bytes = BytesBelow(surroundings.state);
  if (surroundings.state_bytes > kStateBytesMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", surroundings.state, "' is copied for each kill, and has ",
                     surroundings.state_bytes >> 20,
                     " MiB: name the directory that the program changes with --state"));
  }
  AddSeenOf(surroundings.start, options.words, surroundings.seen);
  AddSeenOf(surroundings.start, {options.check}, surroundings.seen);
  surroundings.kept = fs::canonical(options.scratch, error).string();
  if (surroundings.kept.starts_with(surroundings.state + "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--state: '", surroundings.state,
                     "' has the directory for temporary files in it: set TMPDIR to another"));
  }
  return surroundings;
}

size_t WorkersOf(uint32_t asked) {
  if (asked > 0) return asked;
  cpu_set_t cpus;
  const int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return static_cast<size_t>(std::max(count, 1));
}

}  // namespace kill9::run
