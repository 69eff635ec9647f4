// Whether another process sleeps, as the kernel tells it.
#ifndef KILL9_PROPERTY_SCAFFOLD_ASLEEP_H_
#define KILL9_PROPERTY_SCAFFOLD_ASLEEP_H_

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "property/scaffold/eventually.h"

namespace kill9 {

// As in /proc/PID/stat; 'Z': it has ended.
inline char StateOf(pid_t process) {
  const std::string path = absl::StrCat("/proc/", process, "/stat");
  char text[512] = {};
  FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return '?';
  const size_t got = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  const std::string_view stat(text, got);
  const size_t at = stat.rfind(')') + 2;
  return at < got ? stat[at] : '?';
}
inline bool Sleeps(pid_t process) { return StateOf(process) == 'S'; }

inline uint64_t TimesOffTheCpu(pid_t process) {
  const std::string path = absl::StrCat("/proc/", process, "/status");
  FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return 0;
  char line[256];
  uint64_t sum = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long count = 0;
    if (std::sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1) sum += count;
  }
  std::fclose(file);
  return sum;
}

// That it sleeps and is not about to look once more: it has been off the CPU as often as before. Or
// it has ended.
inline bool IsAtRest(pid_t process) {
  return Eventually([process] {
    if (!Sleeps(process)) return StateOf(process) == 'Z';
    const uint64_t before = TimesOffTheCpu(process);
    SleepMicroseconds(20'000);
    return Sleeps(process) && TimesOffTheCpu(process) == before;
  });
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_ASLEEP_H_
