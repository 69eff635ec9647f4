#include "harness/result/host.h"

#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "harness/result/json_forward.h"

namespace kill9 {
namespace {

// A field of /proc/cpuinfo, of the first processor; "" if there is none.
std::string CpuInfo(std::string_view field) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with(field)) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "";
}

std::string ProcessorName() {
  const std::string name = CpuInfo("model name");
  return name.empty() ? "unknown" : name;
}

std::string Hypervisor() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kHypervisorPresent = 1u << 31;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || !(ecx & kHypervisorPresent)) return "none";
  __cpuid(0x40000000, eax, ebx, ecx, edx);
  const unsigned words[] = {ebx, ecx, edx};
  char name[sizeof words + 1] = {};
  std::memcpy(name, words, sizeof words);
  return name;
#else
  return "unknown";
#endif
}

// The processor's maker and what it has of that by which the C library chooses its string
// functions: where these differ, one call is not the same way through the machine.
std::string StringInstructions() {
  constexpr std::string_view kFlags[] = {"sse4_2",   "avx",      "avx2", "avx512f",
                                         "avx512vl", "avx512bw", "bmi2", "movbe",
                                         "erms",     "fsrm",     "rtm"};
  const std::string flags = " " + CpuInfo("flags") + " ";
  std::string found = CpuInfo("vendor_id");
  for (const std::string_view flag : kFlags) {
    if (flags.find(" " + std::string(flag) + " ") == std::string::npos) continue;
    found += ' ';
    found += flag;
  }
  return found;
}

// The median of what `once` took, in microseconds; null if it ever failed.
Json MedianUs(int times, const std::function<bool()>& once) {
  std::vector<double> all;
  for (int i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (!once()) return nullptr;
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    all.push_back(took.count());
  }
  std::nth_element(all.begin(), all.begin() + times / 2, all.end());
  return static_cast<double>(static_cast<int64_t>(all[all.size() / 2] * 100)) / 100;
}

Json PageFaultUs() {
  constexpr int kPages = 65;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, kPages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, kPages * page, MADV_NOHUGEPAGE);
  volatile char* next = static_cast<char*>(memory);
  Json median = MedianUs(kPages, [&] {
    *next = 1;
    next += page;
    return true;
  });
  munmap(memory, kPages * page);
  return median;
}

Json ForkUs() {
  return MedianUs(5, [] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    return child > 0 && waitpid(child, nullptr, 0) == child;
  });
}

}  // namespace

uint64_t MemoryBytes() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

const Json& DescribeHost() {
  static const Json* host = [] {
    utsname name{};
    uname(&name);
    return new Json{{"system", name.sysname},        {"kernel", name.release},
                    {"machine", name.machine},       {"processor", ProcessorName()},
                    {"hypervisor", Hypervisor()},    {"cores", std::thread::hardware_concurrency()},
                    {"memory_bytes", MemoryBytes()}, {"page_fault_us", PageFaultUs()},
                    {"fork_us", ForkUs()},           {"string_instructions", StringInstructions()}};
  }();
  return *host;
}

}  // namespace kill9
