#include "harness/stepper/trace/inlined_calls.h"

#include <dwarf.h>
#include <elfutils/libdw.h>

namespace kill9::stepper {
namespace {

void ForEachRange(Dwarf_Die& die, absl::FunctionRef<void(uint64_t begin, uint64_t end)> visit) {
  Dwarf_Addr base = 0, begin = 0, end = 0;
  for (ptrdiff_t at = 0; (at = dwarf_ranges(&die, at, &base, &begin, &end)) > 0;) visit(begin, end);
}

bool HasCode(Dwarf_Die& die) {
  return dwarf_hasattr(&die, DW_AT_low_pc) != 0 || dwarf_hasattr(&die, DW_AT_ranges) != 0;
}

const char* FileOfCall(Dwarf_Die& unit, Dwarf_Die& inlined) {
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0;
  Dwarf_Files* files = nullptr;
  size_t count = 0;
  if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_file, &attribute), &file) != 0 ||
      dwarf_getsrcfiles(&unit, &files, &count) != 0) {
    return nullptr;
  }
  return dwarf_filesrc(files, file, nullptr, nullptr);
}

int LineOfCall(Dwarf_Die& inlined) {
  Dwarf_Attribute attribute;
  Dwarf_Word line = 0;
  dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_line, &attribute), &line);
  return static_cast<int>(line);
}

}  // namespace

InlinedCalls::InlinedCalls(Dwarf_Die& unit) { WalkChildren(unit, unit, nullptr); }

void InlinedCalls::WalkChildren(Dwarf_Die& parent, Dwarf_Die& unit, std::vector<Call>* calls) {
  Dwarf_Die child;
  if (dwarf_child(&parent, &child) != 0) return;
  do Walk(child, unit, calls);
  while (dwarf_siblingof(&child, &child) == 0);
}

// What has code lies in functions; functions lie in namespaces, and in types within functions.
void InlinedCalls::Walk(Dwarf_Die& die, Dwarf_Die& unit, std::vector<Call>* calls) {
  switch (dwarf_tag(&die)) {
    case DW_TAG_subprogram: {
      if (!HasCode(die)) return;  // declared here, or only ever made part of others
      std::vector<Call> own;
      WalkChildren(die, unit, &own);
      ForEachRange(die, [&](uint64_t begin, uint64_t end) {
        functions_[begin] = {end, calls_.size()};
      });
      calls_.push_back(std::move(own));
      return;
    }
    case DW_TAG_inlined_subroutine:
      if (const char* file = FileOfCall(unit, die); file != nullptr && calls != nullptr) {
        const int line = LineOfCall(die);
        ForEachRange(die, [&](uint64_t begin, uint64_t end) {
          calls->push_back({begin, end, file, line});
        });
      }
      [[fallthrough]];
    case DW_TAG_lexical_block:
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
      WalkChildren(die, unit, calls);
      return;
    default:
      return;
  }
}

void InlinedCalls::ForEachAround(uint64_t address,
                                 absl::FunctionRef<bool(const char* file, int line)> visit) const {
  auto function = functions_.upper_bound(address);
  if (function == functions_.begin() || address >= (--function)->second.end) return;
  const std::vector<Call>& calls = calls_[function->second.calls];
  for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
    const bool is_around = call->begin <= address && address < call->end;
    if (is_around && !visit(call->file, call->line)) return;
  }
}

}  // namespace kill9::stepper
