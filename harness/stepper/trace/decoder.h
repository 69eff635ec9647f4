#ifndef KILL9_HARNESS_STEPPER_TRACE_DECODER_H_
#define KILL9_HARNESS_STEPPER_TRACE_DECODER_H_

#include <sys/user.h>

#include <cstddef>
#include <cstdint>

#include "harness/stepper/process/uninherited_array.h"

namespace kill9::stepper {

// What the instruction at an address is, as far as a tracer must know (by Capstone, each address
// once). The tracer has the same code at the same addresses as its victims.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  enum Kind : uint8_t {
    kOrdinary = 1,
    kSystemCallInstruction,
    kRepeatedString,  // interruptible between iterations
    kClockOrChance,   // rdtsc, rdrand and their like: not the same in every run
  };
  Kind Classify(uint64_t address);
  // Whether the instruction that is about to run may read or write memory in [begin, end). True for
  // system calls, and where it cannot be told.
  bool MayTouch(const user_regs_struct& registers, uint64_t begin, uint64_t end);
  // The memory that it reads or writes as its operands say, at most two pieces; none for a system
  // call, and for a prefetch.
  struct Touched {
    uint64_t begin = 0, bytes = 0;
    bool writes = false;
  };
  int Touches(const user_regs_struct& registers, Touched touched[2]);
  uint32_t BytesOf(uint64_t address);  // of the instruction

 private:
  static constexpr size_t kCached = 1u << 16;
  struct Operand {  // of memory: numbers of registers (kNoRegister: none)
    uint8_t base, index, scale;
    bool thread_local_base;
    uint8_t bytes;
    bool writes;
    int64_t displacement;
  };
  struct Cached {
    uint64_t address;
    Kind kind;
    bool touches_anything;
    uint8_t bytes;
    uint8_t operands;
    Operand operand[2];
  };
  const Cached& Look(uint64_t address);
  static uint64_t AddressOf(const Operand& operand, const user_regs_struct& registers);
  void FindOperands(const void* instruction, Cached* cached);
  size_t engine_ = 0;
  void* instruction_ = nullptr;
  UninheritedArray<Cached> cache_{kCached};
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_TRACE_DECODER_H_
