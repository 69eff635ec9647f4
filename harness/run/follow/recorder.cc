#include "harness/run/follow/recorder.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/text/below.h"
#include "harness/run/follow/system_calls.h"

namespace kill9::run {
namespace {

// A string of the thread's memory, which may end at the end of a page.
std::string TextAt(pid_t thread, uint64_t address) {
  constexpr size_t kPage = 4096;
  std::string text;
  char piece[kPage];
  while (address != 0 && text.size() < PATH_MAX) {
    const size_t size = kPage - address % kPage;
    iovec here{piece, size}, there{reinterpret_cast<void*>(address), size};
    const ssize_t got = process_vm_readv(thread, &here, 1, &there, 1, 0);
    if (got <= 0) break;
    const std::string_view bytes(piece, static_cast<size_t>(got));
    const size_t end = bytes.find('\0');
    text.append(bytes.substr(0, end));
    if (end != std::string_view::npos) break;
    address += static_cast<uint64_t>(got);
  }
  return text;
}

uint64_t WordAt(pid_t thread, uint64_t address) {
  uint64_t word = 0;
  iovec here{&word, sizeof word}, there{reinterpret_cast<void*>(address), sizeof word};
  return process_vm_readv(thread, &here, 1, &there, 1, 0) == sizeof word ? word : 0;
}

std::string LinkOf(pid_t thread, const std::string& name) {
  char target[PATH_MAX];
  const ssize_t size =
      readlink(absl::StrCat("/proc/", thread, "/", name).c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<size_t>(size)) : "";
}

// Without what differs from run to run: "pipe" of "pipe:[4711]".
std::string WithoutNumber(std::string path) {
  for (const char* kind : {"pipe", "socket"}) {
    if (path.starts_with(absl::StrCat(kind, ":["))) return kind;
  }
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  return path;
}

std::string DescriptorPath(pid_t thread, int fd) {
  return fd < 0 ? "" : WithoutNumber(LinkOf(thread, absl::StrCat("fd/", fd)));
}

bool Writes(const FollowedStop& stop) {
  auto opens_to_write = [](uint64_t flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0; };
  switch (stop.number) {
    case SYS_open:
      return opens_to_write(stop.arguments[1]);
    case SYS_openat:
      return opens_to_write(stop.arguments[2]);
    case SYS_openat2:  // its flags are the first field of a structure
      return opens_to_write(WordAt(stop.thread, stop.arguments[2]));
    case SYS_creat:
    case SYS_truncate:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_mkdir:
    case SYS_mkdirat:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_rmdir:
    case SYS_link:
    case SYS_linkat:
    case SYS_symlink:
    case SYS_symlinkat:
      return true;
    default:
      return false;
  }
}

}  // namespace

Recorder::Recorder(std::vector<std::string> roots, std::vector<std::string> shown,
                   const std::string& folder)
    : roots_(std::move(roots)),
      shown_(std::move(shown)),
      output_(folder + "/stdout"),
      error_(folder + "/stderr") {}

std::string Recorder::PathOf(const FollowedStop& stop, bool* climbs) const {
  const FileArguments files = FileArgumentsOf(stop.number);
  auto descriptor = [&](int argument) {
    return DescriptorPath(stop.thread, static_cast<int>(stop.arguments[argument]));
  };
  if (files.path < 0) return files.descriptor < 0 ? "" : descriptor(files.descriptor);
  const std::string path = TextAt(stop.thread, stop.arguments[files.path]);
  *climbs = path.find("..") != std::string::npos;
  if (path.starts_with('/')) return std::filesystem::path(path).lexically_normal().string();
  const bool from_current =
      files.directory < 0 || static_cast<int>(stop.arguments[files.directory]) == AT_FDCWD;
  const std::string directory =
      from_current ? LinkOf(stop.thread, "cwd") : descriptor(files.directory);
  if (path.empty()) return from_current ? "" : directory;
  return std::filesystem::path(absl::StrCat(directory, "/", path)).lexically_normal().string();
}

std::string Recorder::Told(const std::string& path) const {
  if (path == output_) return "stdout";
  if (path == error_) return "stderr";
  const std::string& state = roots_.front();
  if (path == state) return ".";
  return IsBelow(path, state) ? path.substr(state.size() + 1) : path;
}

NamedCall Recorder::Name(const FollowedStop& stop) {
  NamedCall named;
  named.path = PathOf(stop, &named.climbs);
  named.writes = Writes(stop);
  named.point.process = stop.process.name;
  const bool is_marker = named.path == kBeginMarker;
  named.point.call = is_marker ? "begin" : CallName(stop.number);
  named.point.path = is_marker ? "" : Told(named.path);
  const std::string key =
      absl::StrCat(named.point.process, " ", named.point.call, " ", named.point.path);
  named.point.occurrence = ++occurrences_[key];
  return named;
}

bool Recorder::IsInside(const std::string& path) const {
  const auto below = [&](const std::string& directory) { return IsAtOrBelow(path, directory); };
  if (below(roots_.front()) || below("/proc") || (below("/dev") && !below("/dev/shm"))) return true;
  return std::any_of(roots_.begin(), roots_.end(), below) &&
         std::none_of(shown_.begin(), shown_.end(), below);
}

}  // namespace kill9::run
