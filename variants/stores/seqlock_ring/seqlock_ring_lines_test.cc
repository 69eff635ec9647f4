// Which cache lines of the segment an operation touches, counted by running it under ptrace one
// instruction at a time and computing the address of every memory operand.
#include <capstone/capstone.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {
namespace {

struct Touched {
  std::set<uint64_t> index_lines;
  std::set<uint64_t> ring_lines;
  std::set<uint64_t> other_lines;    // the header's hash secret, the floor: the same for every key
  std::set<uint64_t> written_lines;  // of all of these
  uint64_t instructions = 0;
};

uint64_t RegisterOf(const user_regs_struct& registers, unsigned name) {
  switch (name) {
    case X86_REG_RAX:
      return registers.rax;
    case X86_REG_RBX:
      return registers.rbx;
    case X86_REG_RCX:
      return registers.rcx;
    case X86_REG_RDX:
      return registers.rdx;
    case X86_REG_RSI:
      return registers.rsi;
    case X86_REG_RDI:
      return registers.rdi;
    case X86_REG_RBP:
      return registers.rbp;
    case X86_REG_RSP:
      return registers.rsp;
    case X86_REG_R8:
      return registers.r8;
    case X86_REG_R9:
      return registers.r9;
    case X86_REG_R10:
      return registers.r10;
    case X86_REG_R11:
      return registers.r11;
    case X86_REG_R12:
      return registers.r12;
    case X86_REG_R13:
      return registers.r13;
    case X86_REG_R14:
      return registers.r14;
    case X86_REG_R15:
      return registers.r15;
    default:
      return 0;
  }
}

class Tracer {
 public:
  Tracer(const Segment& segment, const Geometry& geometry)
      : segment_(segment), geometry_(geometry) {
    EXPECT_EQ(cs_open(CS_ARCH_X86, CS_MODE_64, &capstone_), CS_ERR_OK);
    cs_option(capstone_, CS_OPT_DETAIL, CS_OPT_ON);
  }
  ~Tracer() { cs_close(&capstone_); }

  // Runs `operation` in a child, with a participant of its own.
  Touched Run(const std::shared_ptr<Segment>& segment,
              const std::function<void(RingStore&, std::string&)>& operation) {
    Touched touched;
    const pid_t child = fork();
    if (child == 0) {
      auto store = RingStore::Attach(segment);
      std::string value;
      operation(**store, value);  // once untraced: libraries' first-time work
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      operation(**store, value);
      raise(SIGSTOP);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    while (touched.instructions < 100'000) {
      user_regs_struct registers{};
      ptrace(PTRACE_GETREGS, child, nullptr, &registers);
      Look(registers, &touched);
      ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr);
      if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
      if (WSTOPSIG(status) == SIGSTOP) break;  // the end
      ++touched.instructions;
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return touched;
  }

 private:
  void Look(const user_regs_struct& registers, Touched* touched) {
    // The child is a fork: its code is ours.
    cs_insn* instruction = nullptr;
    if (cs_disasm(capstone_, reinterpret_cast<const uint8_t*>(registers.rip), 15, registers.rip, 1,
                  &instruction) != 1) {
      return;
    }
    const cs_x86& detail = instruction->detail->x86;
    for (uint8_t i = 0; i < detail.op_count; ++i) {
      const cs_x86_op& operand = detail.operands[i];
      if (operand.type != X86_OP_MEM || operand.mem.segment == X86_REG_FS ||
          instruction->id == X86_INS_LEA || instruction->id == X86_INS_NOP) {
        continue;
      }
      uint64_t address =
          static_cast<uint64_t>(operand.mem.disp) +
          RegisterOf(registers, operand.mem.index) * static_cast<uint64_t>(operand.mem.scale);
      address += operand.mem.base == X86_REG_RIP ? registers.rip + instruction->size
                                                 : RegisterOf(registers, operand.mem.base);
      // A prefetch counts as the touch that it is.
      Count(address, operand.size == 0 ? 1 : operand.size, (operand.access & CS_AC_WRITE) != 0,
            touched);
    }
    cs_free(instruction, 1);
  }

  void Count(uint64_t address, uint64_t bytes, bool written, Touched* touched) {
    const auto base = reinterpret_cast<uint64_t>(segment_.base());
    for (uint64_t at = address / 64 * 64; at < address + bytes; at += 64) {
      if (at < base || at >= base + segment_.size()) continue;
      const auto buckets = reinterpret_cast<uint64_t>(geometry_.buckets);
      const auto ring = reinterpret_cast<uint64_t>(geometry_.ring);
      if (at >= ring) {
        touched->ring_lines.insert(at);
      } else if (at >= buckets && at < buckets + geometry_.bucket_count * sizeof(Bucket)) {
        touched->index_lines.insert(at);
      } else {
        touched->other_lines.insert(at);
      }
      if (written) touched->written_lines.insert(at);
    }
  }

  const Segment& segment_;
  const Geometry& geometry_;
  csh capstone_ = 0;
};

TEST(SeqlockRingLines, MissTouchesOneLineOfTheIndexAndAHitTheRecordBesidesAndNeitherWrites) {
  SegmentOptions options;
  options.size_bytes = 8 << 20;
  options.expected_entries = 10000;
  options.hash_seed = 9;
  auto segment = *CreateSegment(options);
  auto store = *RingStore::Attach(segment);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(store->Put(absl::StrCat("sixteen-byte", 1000 + i), std::string(64, 'v')).ok());
  }
  Tracer tracer(*segment, store->geometry());
  size_t others = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string present = absl::StrCat("sixteen-byte", 1000 + i * 200);
    const std::string absent = absl::StrCat("sixteen-miss", 1000 + i * 200);
    ASSERT_TRUE(store->Get(present, nullptr).ok()) << "choose another seed";
    const Touched hit = tracer.Run(
        segment, [&](RingStore& own, std::string& value) { (void)own.Get(present, &value); });
    EXPECT_GT(hit.instructions, 50u);
    EXPECT_EQ(hit.index_lines.size(), 1u);
    ASSERT_EQ(hit.ring_lines.size(), 2u);  // 32 bytes of header, 16 of key, 64 of value
    EXPECT_EQ(*hit.ring_lines.begin() + 64, *hit.ring_lines.rbegin());
    EXPECT_EQ(hit.written_lines.size(), 0u);
    const Touched miss = tracer.Run(
        segment, [&](RingStore& own, std::string& value) { (void)own.Get(absent, &value); });
    EXPECT_EQ(miss.index_lines.size(), 1u);
    EXPECT_EQ(miss.ring_lines.size(), 0u);
    EXPECT_EQ(miss.written_lines.size(), 0u);
    others = std::max(others, hit.other_lines.size());
    if (i == 0) {
      std::printf("hit: %lu instructions, miss: %lu\n", hit.instructions, miss.instructions);
    }
  }
  std::printf("lines that are the same for every key: %zu\n", others);
  EXPECT_LE(others, 4u);
  // The tracer sees writes where there are some.
  const Touched put =
      tracer.Run(segment, [](RingStore& own, std::string&) { (void)own.Put("some-key", "value"); });
  EXPECT_EQ(put.index_lines.size(), 1u);
  EXPECT_GE(put.written_lines.size(), 3u);
}

}  // namespace
}  // namespace kill9::ring
