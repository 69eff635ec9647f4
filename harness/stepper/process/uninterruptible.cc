#include "harness/stepper/process/uninterruptible.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>

#if __has_include(<sys/rseq.h>)  // glibc 2.35 and newer
#include <sys/rseq.h>
#define KILL9_HAVE_RSEQ
#endif

namespace kill9::stepper {

AddressRange VdsoRange() {
  const uint64_t begin = getauxval(AT_SYSINFO_EHDR);
  if (begin == 0) return {};
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(begin);
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(begin + header.e_phoff);
  uint64_t size = 0;
  for (uint16_t n = 0; n < header.e_phnum; ++n) {
    if (segments[n].p_type == PT_LOAD) {
      size = std::max(size, segments[n].p_vaddr + segments[n].p_memsz);
    }
  }
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return {begin, begin + (size + page - 1) / page * page};
}

std::optional<uint64_t> RestartableSequenceWord() {
#ifdef KILL9_HAVE_RSEQ
  if (__rseq_size == 0) return std::nullopt;  // the kernel knows none, or they are switched off
  const char* area = static_cast<const char*>(__builtin_thread_pointer()) + __rseq_offset;
  return reinterpret_cast<uint64_t>(&reinterpret_cast<const struct rseq*>(area)->rseq_cs);
#else
  return std::nullopt;
#endif
}

AddressRange RestartableSequence(uint64_t word) {
#ifdef KILL9_HAVE_RSEQ
  if (word != 0) {
    const auto& sequence = *reinterpret_cast<const struct rseq_cs*>(word);
    return {sequence.start_ip, sequence.start_ip + sequence.post_commit_offset};
  }
#endif
  return {};
}

}  // namespace kill9::stepper
