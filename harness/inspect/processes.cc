#include "harness/inspect/processes.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "harness/base/mappings/mappings.h"
#include "variants/segment/byte_lock.h"
#include "variants/segment/participants.h"

namespace kill9::inspect {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

constexpr uint32_t kMostSlots =
    ParticipantTable::kMaxParticipants + ParticipantTable::kRecovererSlots;

std::optional<int> AsNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The names in a folder that are numbers.
std::vector<int> NumbersIn(const std::string& folder) {
  std::vector<int> numbers;
  const Directory directory(opendir(folder.c_str()), &closedir);
  if (directory == nullptr) return numbers;
  while (const dirent* entry = readdir(directory.get())) {
    if (const std::optional<int> number = AsNumber(entry->d_name)) numbers.push_back(*number);
  }
  return numbers;
}

// What the system's start was, in seconds since 1970.
int64_t BootTime() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    int64_t seconds = 0;
    if (std::sscanf(line.c_str(), "btime %" SCNd64, &seconds) == 1) return seconds;
  }
  return 0;
}

std::string AsTime(int64_t seconds) {
  const time_t time = static_cast<time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

ProcessOfSlot Describe(int pid) {
  ProcessOfSlot process;
  process.pid = pid;
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string stat;
  std::getline(file, stat);
  // The name stands in brackets and may hold any character: what follows begins at the last one.
  const size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return process;
  process.name = stat.substr(open + 1, close - open - 1);
  // A process chooses its name: it is to do nothing to a terminal.
  const auto moves_terminal = [](char c) { return std::iscntrl(static_cast<unsigned char>(c)); };
  std::replace_if(process.name.begin(), process.name.end(), moves_terminal, '?');
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(close + 2), ' ');
  constexpr size_t kState = 0, kStartTicks = 19;
  if (fields.size() <= kStartTicks) return process;
  process.stopped = absl::AsciiStrToLower(fields[kState]) == "t";
  process.started_at = AsTime(BootTime() + std::strtoll(fields[kStartTicks].c_str(), nullptr, 10) /
                                               sysconf(_SC_CLK_TCK));
  return process;
}

struct File {
  dev_t device;
  ino_t inode;
};

// Whether the process has mapped the file, and the slots whose proofs it has among these mappings.
bool ReadMappings(int pid, const File& file, SegmentUsers& users, std::vector<uint32_t>& slots) {
  bool mapped = false;
  const int error = VisitMappings(pid, [&](const Mapping& one) {
    if (one.inode != file.inode || one.device != file.device) return true;
    mapped = true;
    // What can be neither read nor written nor run is a proof (byte_lock.h).
    const uint64_t slot = one.offset / PageBytes();
    if (one.rights.starts_with("---") && slot < kMostSlots) {
      slots.push_back(static_cast<uint32_t>(slot));
    }
    return true;
  });
  users.some_unreadable = users.some_unreadable || error == EACCES;
  return mapped;
}

// The slots whose locks the process's descriptors of the file hold, where mappings do not.
void ReadLocks(int pid, const File& file, std::vector<uint32_t>& slots) {
  for (const int fd : NumbersIn(absl::StrCat("/proc/", pid, "/fd"))) {
    struct stat stat {};
    if (::stat(absl::StrCat("/proc/", pid, "/fd/", fd).c_str(), &stat) != 0 ||
        stat.st_ino != file.inode || stat.st_dev != file.device) {
      continue;
    }
    std::ifstream info(absl::StrCat("/proc/", pid, "/fdinfo/", fd));
    for (std::string line; std::getline(info, line);) {
      int64_t byte = 0;
      if (std::sscanf(line.c_str(), "lock: %*d: OFDLCK %*s WRITE %*d %*x:%*x:%*u %" SCNd64,
                      &byte) == 1 &&
          byte >= kProofLockBase && byte < ProofLockByte(kMostSlots)) {
        slots.push_back(static_cast<uint32_t>(byte - kProofLockBase));
      }
    }
  }
}

}  // namespace

SegmentUsers FindUsers(int fd) {
  SegmentUsers users;
  struct stat stat {};
  if (fstat(fd, &stat) != 0) return users;
  const File file{stat.st_dev, stat.st_ino};
  std::vector<int> pids = NumbersIn("/proc");
  std::sort(pids.begin(), pids.end());
  for (const int pid : pids) {
    std::vector<uint32_t> slots;
    if (!ReadMappings(pid, file, users, slots)) continue;
    users.mapped_by.push_back(pid);
    ReadLocks(pid, file, slots);
    if (slots.empty()) continue;
    const ProcessOfSlot process = Describe(pid);
    for (const uint32_t slot : slots) users.by_slot[slot] = process;
  }
  return users;
}

}  // namespace kill9::inspect
