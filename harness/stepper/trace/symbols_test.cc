#include "harness/stepper/trace/symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "harness/base/mappings/mappings.h"
#include "harness/base/random.h"
#include "harness/stepper/trace/inlined_calls.h"

namespace kill9::stepper {
namespace {

TEST(SymbolsTest, WhatTheDistributionHasIsNotOurs) {
  const Symbols symbols(getpid());
  EXPECT_TRUE(symbols.IsOurs(reinterpret_cast<uint64_t>(&IsOfLibrary)));
  EXPECT_FALSE(symbols.IsOurs(reinterpret_cast<uint64_t>(&getpid)));
  EXPECT_FALSE(symbols.IsOurs(0));
}

// This program's own debugging information.
class OwnSymbols : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef __OPTIMIZE__
    GTEST_SKIP() << "nothing is made part of others in a build without optimisation";
#endif
    static char* debug_path = nullptr;
    static const Dwfl_Callbacks kCallbacks = {dwfl_linux_proc_find_elf,
                                              dwfl_standard_find_debuginfo, nullptr, &debug_path};
    dwfl_ = dwfl_begin(&kCallbacks);
    ASSERT_NE(dwfl_, nullptr);
    dwfl_report_begin(dwfl_);
    ASSERT_EQ(dwfl_linux_proc_report(dwfl_, getpid()), 0);
    dwfl_report_end(dwfl_, nullptr, nullptr);
    VisitMappings(0, [this](const Mapping& one) {
      if (one.rights != "r-xp") return true;
      begin_ = one.begin;
      end_ = one.end;
      return false;
    });
    ASSERT_LT(begin_, end_);
  }
  void TearDown() override {
    if (dwfl_ != nullptr) dwfl_end(dwfl_);
  }

  // As libdw itself tells the calls around an address, the innermost first.
  static std::string Scopes(Dwarf_Die* unit, uint64_t address) {
    std::string text;
    Dwarf_Die *scopes = nullptr, *chain = nullptr;
    int count = dwarf_getscopes(unit, address, &scopes);
    if (count > 0) count = dwarf_getscopes_die(&scopes[0], &chain);
    for (int n = 0; n < count; ++n) {
      Dwarf_Attribute attribute;
      Dwarf_Word file = 0, line = 0;
      Dwarf_Files* files = nullptr;
      size_t files_count = 0;
      if (dwarf_tag(&chain[n]) == DW_TAG_inlined_subroutine &&
          dwarf_formudata(dwarf_attr(&chain[n], DW_AT_call_file, &attribute), &file) == 0 &&
          dwarf_formudata(dwarf_attr(&chain[n], DW_AT_call_line, &attribute), &line) == 0 &&
          dwarf_getsrcfiles(unit, &files, &files_count) == 0) {
        text += Named(dwarf_filesrc(files, file, nullptr, nullptr), static_cast<int>(line));
      }
    }
    std::free(scopes);
    std::free(chain);
    return text;
  }
  static std::string Named(const char* file, int line) {
    return std::string(file) + ":" + std::to_string(line) + " ";
  }

  Dwfl* dwfl_ = nullptr;
  uint64_t begin_ = 0, end_ = 0;  // of this program's code
};

TEST_F(OwnSymbols, CallsAroundAnAddressAreWhatLibdwSays) {
  Random random(20261129);
  size_t inlined = 0, twice = 0;
  std::set<const void*> units;
  for (int n = 0; n < 1500; ++n) {
    const uint64_t address = begin_ + random.Below(end_ - begin_);
    Dwarf_Addr bias = 0;
    Dwarf_Die* unit = dwfl_addrdie(dwfl_, address, &bias);
    if (unit == nullptr) continue;
    units.insert(unit->addr);
    if (units.size() > 60) break;  // each is read whole
    std::string ours;
    size_t depth = 0;
    InlinedCalls(*unit).ForEachAround(address - bias, [&](const char* file, int line) {
      ours += Named(file, line);
      ++depth;
      return true;
    });
    EXPECT_EQ(ours, Scopes(unit, address - bias)) << std::hex << address;
    inlined += depth > 0;
    twice += depth > 1;
  }
  EXPECT_GT(inlined, 20u);
  EXPECT_GT(twice, 10u);
}

TEST_F(OwnSymbols, AWalkEndsWhereItIsAskedTo) {
  Random random(7);
  for (int n = 0; n < 1500; ++n) {
    const uint64_t address = begin_ + random.Below(end_ - begin_);
    Dwarf_Addr bias = 0;
    Dwarf_Die* unit = dwfl_addrdie(dwfl_, address, &bias);
    if (unit == nullptr) continue;
    const InlinedCalls calls(*unit);
    size_t all = 0, first = 0;
    calls.ForEachAround(address - bias, [&](const char*, int) { return ++all > 0; });
    if (all < 2) continue;
    calls.ForEachAround(address - bias, [&](const char*, int) { return ++first == 0; });
    EXPECT_EQ(first, 1u);
    return;
  }
  FAIL() << "no address with two calls around it";
}

}  // namespace
}  // namespace kill9::stepper
