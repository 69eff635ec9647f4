// What an instruction is said to touch, and whether it writes there.
#include "harness/stepper/trace/decoder.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace kill9::stepper {
namespace {

struct DecoderCase {
  const char* text;
  std::array<uint8_t, 16> code;
  uint64_t bytes;
  bool writes;
};

// All of them touch memory at rdi alone. Capstone 4 says of most of the vectors' stores that they
// read; and the libc copies by these.
TEST(Decoder, TellsStoresFromLoads) {
  const DecoderCase cases[] = {
      {"mov [rdi], rax", {0x48, 0x89, 0x07}, 8, true},
      {"mov rax, [rdi]", {0x48, 0x8b, 0x07}, 8, false},
      {"cmp [rdi], rax", {0x48, 0x39, 0x07}, 8, false},
      {"lock xadd [rdi], rax", {0xf0, 0x48, 0x0f, 0xc1, 0x07}, 8, true},
      {"xchg [rdi], rax", {0x48, 0x87, 0x07}, 8, true},
      {"movups [rdi], xmm0", {0x0f, 0x11, 0x07}, 16, true},
      {"movups xmm0, [rdi]", {0x0f, 0x10, 0x07}, 16, false},
      {"movaps [rdi], xmm0", {0x0f, 0x29, 0x07}, 16, true},
      {"movdqu [rdi], xmm0", {0xf3, 0x0f, 0x7f, 0x07}, 16, true},
      {"movdqa xmm0, [rdi]", {0x66, 0x0f, 0x6f, 0x07}, 16, false},
      {"movntdq [rdi], xmm0", {0x66, 0x0f, 0xe7, 0x07}, 16, true},
      {"movq [rdi], xmm0", {0x66, 0x0f, 0xd6, 0x07}, 8, true},
      {"movhps [rdi], xmm0", {0x0f, 0x17, 0x07}, 8, true},
      {"vmovdqu [rdi], xmm0", {0xc5, 0xfa, 0x7f, 0x07}, 16, true},
      {"vmovdqu [rdi], ymm0", {0xc5, 0xfe, 0x7f, 0x07}, 32, true},
      {"vmovdqu ymm0, [rdi]", {0xc5, 0xfe, 0x6f, 0x07}, 32, false},
      {"vextracti128 [rdi], ymm0, 1", {0xc4, 0xe3, 0x7d, 0x39, 0x07, 0x01}, 16, true},
      {"vptest ymm0, [rdi]", {0xc4, 0xe2, 0x7d, 0x17, 0x07}, 32, false},
  };
  Decoder decoder;
  for (const DecoderCase& one : cases) {
    user_regs_struct registers = {};
    registers.rip = reinterpret_cast<uint64_t>(one.code.data());
    registers.rdi = 4096;
    Decoder::Touched touched[2];
    ASSERT_EQ(decoder.Touches(registers, touched), 1) << one.text;
    EXPECT_EQ(touched[0].begin, 4096u) << one.text;
    EXPECT_EQ(touched[0].bytes, one.bytes) << one.text;
    EXPECT_EQ(touched[0].writes, one.writes) << one.text;
  }
}

}  // namespace
}  // namespace kill9::stepper
