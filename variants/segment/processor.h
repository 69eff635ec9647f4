// Hints to the processor: a cache line is asked for before it is needed (the address may be
// anything: a prefetch never faults), and who looks at a word again and again lets others on.
#ifndef KILL9_VARIANTS_SEGMENT_PROCESSOR_H_
#define KILL9_VARIANTS_SEGMENT_PROCESSOR_H_

namespace kill9 {

// Not __builtin_prefetch: GCC takes a function that does nothing else for one without effects, and
// leaves out the call.
inline void PrefetchToRead(const void* line) {
#if defined(__x86_64__)
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line);
#endif
}
// As its owner: a line that another core has changed is moved once, not first copied, then claimed.
inline void PrefetchToWrite(const void* line) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}
inline void Prefetch(const void* line, bool to_write) {
  to_write ? PrefetchToWrite(line) : PrefetchToRead(line);
}

// The pause between two looks at a word that somebody else will change.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_PROCESSOR_H_
