#include "harness/base/text/write_text.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

// Where a file is written. A device or a pipe is written to: a rename would replace it.
struct Target {
  bool is_directory;
  bool in_place;
  std::string named;    // the file, behind links
  std::string written;  // at first

  explicit Target(const std::string& path) {
    std::error_code ignored;
    const std::filesystem::file_status there = std::filesystem::status(path, ignored);
    const bool exists = std::filesystem::exists(there);
    is_directory = std::filesystem::is_directory(there);
    in_place = exists && !std::filesystem::is_regular_file(there);
    named = exists ? std::filesystem::canonical(path, ignored).string() : path;
    written = in_place ? path : absl::StrCat(named, ".", getpid(), ".tmp");
  }
};

absl::Status CannotWrite(const std::string& path, std::string_view what, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot write ", std::string(what), " '", path, "': ", std::strerror(error)));
}

}  // namespace

absl::Status CanWriteText(const std::string& path, std::string_view what) {
  if (path == "-") return absl::OkStatus();
  const Target target(path);
  if (target.is_directory) return CannotWrite(path, what, EISDIR);
  if (target.in_place) {
    return access(path.c_str(), W_OK) == 0 ? absl::OkStatus() : CannotWrite(path, what, errno);
  }
  const int fd = open(target.written.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return CannotWrite(path, what, errno);
  close(fd);
  unlink(target.written.c_str());
  return absl::OkStatus();
}

absl::Status WriteText(std::string_view text, const std::string& path, std::string_view what) {
  if (path == "-") {
    errno = 0;
    std::cout << text << std::flush;
    return std::cout ? absl::OkStatus() : CannotWrite(path, what, errno);
  }
  const Target target(path);
  if (target.is_directory) return CannotWrite(path, what, EISDIR);
  std::ofstream file(target.written);
  file << text << std::flush;
  if (!file ||
      (!target.in_place && std::rename(target.written.c_str(), target.named.c_str()) != 0)) {
    const int error = errno;
    if (!target.in_place) unlink(target.written.c_str());
    return CannotWrite(path, what, error);
  }
  return absl::OkStatus();
}

absl::Status WriteTextInFolder(std::string_view text, const std::string& path,
                               std::string_view what) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return CannotWrite(path, what, error.value());
  return WriteText(text, path, what);
}

}  // namespace kill9
