// Code that does not repeat instruction by instruction when it is stopped in the middle: the vDSO,
// and restartable sequences.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_UNINTERRUPTIBLE_H_
#define KILL9_HARNESS_STEPPER_PROCESS_UNINTERRUPTIBLE_H_

#include <cstdint>
#include <optional>

namespace kill9::stepper {

struct AddressRange {
  uint64_t begin = 0, end = 0;
  bool Has(uint64_t address) const { return address >= begin && address < end; }
};

// The kernel's own page of code, as its ELF header says; empty where there is none. Its clock reads
// begin again where the kernel has changed the clock meanwhile.
AddressRange VdsoRange();

// Where this thread's word is that names the restartable sequence it is in (rseq(2), `rseq_cs`),
// the same in every forked child; nothing where the C library registers none. The kernel sends a
// thread that was stopped inside a sequence to its abort handler, which as a rule begins it again.
std::optional<uint64_t> RestartableSequenceWord();
// The instructions of the sequence that such a word names, of this program; empty for 0.
AddressRange RestartableSequence(uint64_t word);

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_UNINTERRUPTIBLE_H_
