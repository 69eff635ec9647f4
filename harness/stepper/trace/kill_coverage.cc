#include "harness/stepper/trace/kill_coverage.h"

#include <cstring>

namespace kill9::stepper {

void AddressTable::AddTrace(const Trace& trace) {
  // A state is spoken for once any of its instructions was killed at.
  static UninheritedArray<uint8_t> killed_states(Trace::kMaxStates);
  std::memset(killed_states.data(), 0, trace.state_count());
  for (uint32_t at = 0; at < trace.size(); ++at) {
    if (trace[at].flags & kKilled) killed_states[trace[at].state] = 1;
  }
  for (uint32_t at = 0; at < trace.size(); ++at) {
    const TraceStep& step = trace[at];
    uint32_t slot = static_cast<uint32_t>(step.address * 0x9E3779B97F4A7C15 >> 40) % kCapacity;
    uint32_t tried = 0;
    while (counts_[slot].address != step.address && counts_[slot].address != 0) {
      slot = (slot + 1) % kCapacity;
      if (++tried == kCapacity) return;
    }
    AddressCount& count = counts_[slot];
    count.address = step.address;
    ++count.executed;
    if (step.flags & kKilled) {
      ++count.killed;
    } else if (killed_states[step.state]) {
      ++count.spoken_for;
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
    sum.executed += count.executed;
    sum.killed += count.killed;
    sum.spoken_for += count.spoken_for;
    const SourceLine line = symbols_->Line(count.address);
    if (line.file.empty() || !is_wanted_(line.file)) {
      sums.outside += count.executed;
      continue;
    }
    std::string name = ShortPath(line.file);
    paths_[name] = line.file;
    LineCount& of_line = sums.lines[name][line.line];
    of_line.executed += count.executed;
    of_line.killed += count.killed;
    of_line.spoken_for += count.spoken_for;
    of_line.labels.insert(label);
  }
}

}  // namespace kill9::stepper
