#include "harness/stepper/trace/backtrace.h"

#include <elfutils/libdwfl.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9::stepper {
namespace {

constexpr size_t kMostFrames = 64;
constexpr size_t kMostOfOthers = 8;  // are shown

int TakeFrame(Dwfl_Frame* frame, void* taken) {
  auto& addresses = *static_cast<std::vector<uint64_t>*>(taken);
  Dwarf_Addr address = 0;
  bool is_next = true;
  if (!dwfl_frame_pc(frame, &address, &is_next)) return DWARF_CB_ABORT;
  addresses.push_back(is_next ? address : address - 1);
  return addresses.size() < kMostFrames ? DWARF_CB_OK : DWARF_CB_ABORT;
}

// Without arguments, of the function and of its templates: they are longer than a line.
std::string ShortName(std::string name) {
  for (const std::string_view part : {"(anonymous namespace)::", "kill9::"}) {
    for (size_t at; (at = name.find(part)) != std::string::npos;) name.erase(at, part.size());
  }
  std::string text;
  int depth = 0;
  for (const char c : name) {
    if (c == '(' && depth == 0) break;
    depth += c == '<' ? 1 : 0;
    if (depth == 0) text += c;
    depth -= c == '>' ? 1 : 0;
  }
  return text;
}

}  // namespace

std::vector<StackFrame> Backtrace(pid_t pid) {
  const Symbols symbols(pid);
  std::vector<uint64_t> addresses;
  symbols.Unwind(TakeFrame, &addresses);
  std::vector<StackFrame> frames;
  for (const uint64_t address : addresses) {
    frames.push_back({address, symbols.Function(address), symbols.LineOfOurs(address)});
  }
  return frames;
}

size_t FirstOfTheObject(const std::vector<StackFrame>& frames) {
  size_t first = 0;
  while (first < frames.size() && !IsOfTheObject(frames[first].line.file)) ++first;
  return first;
}

std::string RenderStack(const std::vector<StackFrame>& frames) {
  size_t end = FirstOfTheObject(frames);
  if (end == frames.size()) end = std::min(end, kMostOfOthers);
  while (end < frames.size() && IsOfTheObject(frames[end].line.file)) ++end;
  std::string text;
  for (size_t n = 0; n < end; ++n) {
    const StackFrame& frame = frames[n];
    const std::string place =
        frame.line.file.empty()
            ? ""
            : absl::StrCat("  ", ShortPath(frame.line.file), ":", frame.line.line);
    absl::StrAppendFormat(&text, "    #%-2d %s%s\n", n, ShortName(frame.function), place);
  }
  return text;
}

}  // namespace kill9::stepper
