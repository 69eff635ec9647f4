#include "harness/stepper/trace/kill_coverage.h"

#include <link.h>

#include <array>
#include <cstring>
#include <string_view>

namespace kill9::stepper {
namespace {

// Where the system's libraries have their code in this process, and so in every victim forked from
// it. Those that are loaded after the first question are not known.
class LibraryCode {
 public:
  LibraryCode() { dl_iterate_phdr(&LibraryCode::Take, this); }

  bool Has(uint64_t address) const {
    for (size_t i = 0; i < count_; ++i) {
      if (address >= ranges_[i].begin && address < ranges_[i].end) return true;
    }
    return false;
  }

 private:
  struct Range {
    uint64_t begin, end;
  };

  static int Take(dl_phdr_info* info, size_t, void* self) {
    const std::string_view name = info->dlpi_name;
    const bool is_library =
        name.starts_with("/lib") || name.starts_with("/usr/lib") || name.starts_with("linux-vdso");
    if (is_library) static_cast<LibraryCode*>(self)->Add(*info);
    return 0;
  }
  void Add(const dl_phdr_info& info) {
    for (int i = 0; i < info.dlpi_phnum; ++i) {
      const auto& part = info.dlpi_phdr[i];
      if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0 || count_ == ranges_.size())
        continue;
      const uint64_t begin = info.dlpi_addr + part.p_vaddr;
      ranges_[count_++] = {begin, begin + part.p_memsz};
    }
  }

  std::array<Range, 64> ranges_{};
  size_t count_ = 0;
};

// Whether an object's own instruction only leads to a library: a jump through its table of
// addresses (of the procedure linkage table), or the landing mark before one. `address` is mapped
// here, too.
bool LeadsToALibrary(uint64_t address) {
  constexpr std::string_view kLandingMark = "\xf3\x0f\x1e\xfa";  // endbr64
  constexpr std::string_view kJump = "\xff\x25";                 // jmp [rip + x]
  std::string_view code(reinterpret_cast<const char*>(address), 8);
  if (code.starts_with(kLandingMark)) code.remove_prefix(kLandingMark.size());
  if (code.starts_with('\xf2')) code.remove_prefix(1);  // bnd
  return code.starts_with(kJump);
}

}  // namespace

AddressCount* AddressTable::Find(uint64_t address) {
  uint32_t slot = static_cast<uint32_t>(address * 0x9E3779B97F4A7C15 >> 40) % kCapacity;
  for (uint32_t tried = 0; tried < kCapacity; ++tried, slot = (slot + 1) % kCapacity) {
    if (counts_[slot].address == address) return &counts_[slot];
    if (counts_[slot].address != 0) continue;
    counts_[slot].address = address;
    return &counts_[slot];
  }
  return nullptr;
}

void AddressTable::AddTrace(const Trace& trace) {
  static const LibraryCode libraries;
  // A state is spoken for once any of its instructions was killed at.
  constexpr uint8_t kIsKilled = 1, kIsNotSurvived = 2;
  static UninheritedArray<uint8_t> states(Trace::kMaxStates);
  std::memset(states.data(), 0, trace.state_count());
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const TraceStep& step = trace[at];
    if (step.flags & kKilled) states[step.state] |= kIsKilled;
    if (step.flags & kNotSurvived) states[step.state] |= kIsNotSurvived;
  }
  AddressCount* caller = nullptr;
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const TraceStep& step = trace[at];
    AddressCount* count = Find(step.address);
    if (count == nullptr) return;
    const bool is_not_survived = (states[step.state] & kIsNotSurvived) != 0;
    ++count->executed;
    count->not_survived += is_not_survived;
    if (step.flags & kKilled) {
      ++count->killed;
    } else if (states[step.state] & kIsKilled) {
      ++count->spoken_for;
    }
    const bool is_library = libraries.Has(step.address) || (step.flags & kVdso) != 0;
    if (!is_library && !LeadsToALibrary(step.address)) {
      caller = count;
    } else if (is_library && caller != nullptr) {
      ++caller->called_executed;
      caller->called_not_survived += is_not_survived;
    }
  }
}

void KillCoverage::FindLinesWithCode() {
  symbols_->ForEachLineWithCode(is_wanted_, [this](const std::string& file, int line) {
    std::string name = ShortPath(file);
    lines_with_code_[name].insert(line);
    paths_[name] = file;
  });
}

// Code of a library that was made part of the program: the line of ours that called it answers for
// it, and for what it called.
void KillCoverage::ChargeToCaller(const AddressCount& count, Group* sums) {
  const SourceLine ours = symbols_->LineOfOurs(count.address);
  if (ours.file.empty() || !is_wanted_(ours.file)) return;
  const std::string name = ShortPath(ours.file);
  paths_[name] = ours.file;
  LineCount& of_line = sums->lines[name][ours.line];
  of_line.called_executed += count.executed + count.called_executed;
  of_line.called_not_survived += count.not_survived + count.called_not_survived;
  of_line.inlined_killed += count.killed;
  of_line.inlined_spoken_for += count.spoken_for;
}

void KillCoverage::Add(const std::string& group, const std::string& label,
                       std::span<const AddressCount> counts, pid_t pid) {
  if (symbols_ == nullptr) {
    symbols_ = std::make_unique<Symbols>(pid);
    FindLinesWithCode();
  }
  Group& sums = groups_[group];
  for (const AddressCount& count : counts) {
    if (count.address == 0) continue;
    AddressCount& sum = sums.addresses[count.address];
    sum.address = count.address;
    for (const auto of : kAddressCounts) sum.*of += count.*of;
    if (!symbols_->IsOurs(count.address)) {
      sums.outside += count.executed;
      continue;
    }
    const SourceLine line = symbols_->Line(count.address);
    if (line.file.empty() || !is_wanted_(line.file)) {
      sums.outside += count.executed;
      ChargeToCaller(count, &sums);
      continue;
    }
    std::string name = ShortPath(line.file);
    paths_[name] = line.file;
    LineCount& of_line = sums.lines[name][line.line];
    of_line.executed += count.executed;
    of_line.killed += count.killed;
    of_line.spoken_for += count.spoken_for;
    of_line.not_survived += count.not_survived;
    of_line.called_executed += count.called_executed;
    of_line.called_not_survived += count.called_not_survived;
    of_line.labels.insert(label);
  }
}

}  // namespace kill9::stepper
