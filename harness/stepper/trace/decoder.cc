#include "harness/stepper/trace/decoder.h"

#include <capstone/capstone.h>

#include <cstdio>
#include <cstdlib>

namespace kill9::stepper {
namespace {

constexpr uint8_t kNoRegister = 0xFF, kUnknownRegister = 0xFE;

// Where user_regs_struct has a register, as a number of 64-bit words.
uint8_t NumberOf(unsigned reg) {
#define KILL9_REGISTER(name, field) \
  case X86_REG_##name:              \
    return offsetof(user_regs_struct, field) / sizeof(uint64_t);
  switch (reg) {
    KILL9_REGISTER(RAX, rax)
    KILL9_REGISTER(RBX, rbx)
    KILL9_REGISTER(RCX, rcx)
    KILL9_REGISTER(RDX, rdx)
    KILL9_REGISTER(RSI, rsi)
    KILL9_REGISTER(RDI, rdi)
    KILL9_REGISTER(RBP, rbp)
    KILL9_REGISTER(RSP, rsp)
    KILL9_REGISTER(R8, r8)
    KILL9_REGISTER(R9, r9)
    KILL9_REGISTER(R10, r10)
    KILL9_REGISTER(R11, r11)
    KILL9_REGISTER(R12, r12)
    KILL9_REGISTER(R13, r13)
    KILL9_REGISTER(R14, r14)
    KILL9_REGISTER(R15, r15)
    KILL9_REGISTER(RIP, rip)
    case X86_REG_INVALID:
    case X86_REG_RIZ:
      return kNoRegister;
    default:
      return kUnknownRegister;
  }
#undef KILL9_REGISTER
}

bool IsOfVectors(const cs_x86_op& operand) {
  return operand.type == X86_OP_REG &&
         ((operand.reg >= X86_REG_MM0 && operand.reg <= X86_REG_MM7) ||
          (operand.reg >= X86_REG_XMM0 && operand.reg <= X86_REG_ZMM31));
}

// An instruction of vectors whose first operand is memory stores there. Of most of these Capstone 4
// says that they read.
bool StoresVector(const cs_x86& x86) {
  return x86.op_count >= 2 && x86.operands[0].type == X86_OP_MEM && IsOfVectors(x86.operands[1]);
}

}  // namespace

void Decoder::FindOperands(const void* decoded, Cached* cached) {
  const cs_insn& instruction = *static_cast<const cs_insn*>(decoded);
  if (instruction.id == X86_INS_LEA || instruction.id == X86_INS_NOP) return;
  const cs_x86& x86 = instruction.detail->x86;
  const bool prefetches = instruction.id >= X86_INS_PREFETCH && instruction.id <= X86_INS_PREFETCHW;
  // Of these Capstone does not always say that they write.
  const bool updates =
      x86.prefix[0] == X86_PREFIX_LOCK || instruction.id == X86_INS_XCHG || StoresVector(x86);
  const auto bytes_of = [prefetches](const cs_x86_op& operand) {
    return prefetches ? uint8_t{0} : operand.size;
  };
  for (uint8_t n = 0; n < x86.op_count; ++n) {
    if (x86.operands[n].type != X86_OP_MEM) continue;
    const x86_op_mem& memory = x86.operands[n].mem;
    Operand operand{NumberOf(memory.base),
                    NumberOf(memory.index),
                    static_cast<uint8_t>(memory.scale),
                    memory.segment == X86_REG_FS,
                    bytes_of(x86.operands[n]),
                    updates || (x86.operands[n].access & CS_AC_WRITE) != 0,
                    memory.disp};
    if (memory.base == X86_REG_RIP) operand.displacement += instruction.size;
    if (cached->operands == 2 || operand.base == kUnknownRegister ||
        operand.index == kUnknownRegister || memory.segment == X86_REG_GS) {
      cached->touches_anything = true;
      return;
    }
    cached->operand[cached->operands++] = operand;
  }
}

uint64_t Decoder::AddressOf(const Operand& operand, const user_regs_struct& registers) {
  const auto* words = reinterpret_cast<const unsigned long long*>(&registers);
  uint64_t address = static_cast<uint64_t>(operand.displacement);
  if (operand.base != kNoRegister) address += words[operand.base];
  if (operand.index != kNoRegister) address += words[operand.index] * operand.scale;
  if (operand.thread_local_base) address += registers.fs_base;
  return address;
}

int Decoder::Touches(const user_regs_struct& registers, Touched touched[2]) {
  const Cached& cached = Look(registers.rip);
  for (uint8_t n = 0; n < cached.operands; ++n) {
    touched[n] = {AddressOf(cached.operand[n], registers), cached.operand[n].bytes,
                  cached.operand[n].writes};
  }
  return cached.operands;
}

bool Decoder::MayTouch(const user_regs_struct& registers, uint64_t begin, uint64_t end) {
  const Cached& cached = Look(registers.rip);
  if (cached.touches_anything) return true;
  for (uint8_t n = 0; n < cached.operands; ++n) {
    const uint64_t address = AddressOf(cached.operand[n], registers);
    constexpr uint64_t kWidest = 64;
    if (address + kWidest > begin && address < end) return true;
  }
  return false;
}

Decoder::Decoder() {
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &engine_) != CS_ERR_OK) {
    std::fprintf(stderr, "kill9: capstone does not know x86-64\n");
    std::abort();
  }
  cs_option(engine_, CS_OPT_DETAIL, CS_OPT_ON);
  instruction_ = cs_malloc(engine_);
  // Capstone builds a table at its first instruction: now, not between two victims.
  static constexpr unsigned char kNops[16] = {0x90, 0x90};
  Classify(reinterpret_cast<uint64_t>(kNops));
}

Decoder::~Decoder() {
  cs_free(static_cast<cs_insn*>(instruction_), 1);
  cs_close(&engine_);
}

uint32_t Decoder::BytesOf(uint64_t address) { return Look(address).bytes; }

Decoder::Kind Decoder::Classify(uint64_t address) { return Look(address).kind; }

const Decoder::Cached& Decoder::Look(uint64_t address) {
  Cached& cached = cache_[(address * 0x9E3779B97F4A7C15 >> 40) % kCached];
  if (cached.address == address) return cached;
  constexpr size_t kLongest = 15;
  const uint8_t* code = reinterpret_cast<const uint8_t*>(address);
  size_t size = kLongest;
  uint64_t at = address;
  cs_insn* instruction = static_cast<cs_insn*>(instruction_);
  Kind kind = kOrdinary;
  cached = {};
  cached.touches_anything = true;  // unless it is understood
  if (cs_disasm_iter(engine_, &code, &size, &at, instruction)) {
    cached.touches_anything = false;
    cached.bytes = static_cast<uint8_t>(instruction->size);
    FindOperands(instruction, &cached);
    const uint8_t prefix = instruction->detail->x86.prefix[0];
    switch (instruction->id) {
      case X86_INS_SYSCALL:
      case X86_INS_SYSENTER:
        kind = kSystemCallInstruction;
        cached.touches_anything = true;
        break;
      case X86_INS_RDTSC:
      case X86_INS_RDTSCP:
      case X86_INS_RDRAND:
      case X86_INS_RDSEED:
      case X86_INS_CPUID:
        kind = kClockOrChance;
        break;
      case X86_INS_MOVSB:
      case X86_INS_MOVSW:
      case X86_INS_MOVSD:
      case X86_INS_MOVSQ:
      case X86_INS_STOSB:
      case X86_INS_STOSW:
      case X86_INS_STOSD:
      case X86_INS_STOSQ:
      case X86_INS_CMPSB:
      case X86_INS_CMPSW:
      case X86_INS_CMPSD:
      case X86_INS_CMPSQ:
      case X86_INS_SCASB:
      case X86_INS_SCASW:
      case X86_INS_SCASD:
      case X86_INS_SCASQ:
      case X86_INS_LODSB:
      case X86_INS_LODSW:
      case X86_INS_LODSD:
      case X86_INS_LODSQ:
        // The opcode of SSE's movsd and cmpsd begins with 0x0F.
        if ((prefix == X86_PREFIX_REP || prefix == X86_PREFIX_REPNE) &&
            instruction->detail->x86.opcode[0] != 0x0F) {
          kind = kRepeatedString;
        }
        break;
      default:
        break;
    }
  }
  cached.address = address;
  cached.kind = kind;
  return cached;
}

}  // namespace kill9::stepper
