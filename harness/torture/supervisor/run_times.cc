#include "harness/torture/supervisor/run_times.h"

#include <algorithm>

#include "harness/base/shared_mapping.h"

namespace kill9 {
namespace {

constexpr size_t kRecent = 1u << 14;  // completions; a power of two
constexpr size_t kMostPending = 256;  // deaths without a completion since
constexpr size_t kMostSpans = 256;    // of each list: the latest are kept

template <typename Spans, typename Span>
void Remember(Spans& spans, const Span& span) {
  if (spans.size() == kMostSpans) spans.erase(spans.begin(), spans.begin() + kMostSpans / 2);
  spans.push_back(span);
}

}  // namespace

RunTimes::RunTimes(const Clock& clock, Histogram& recovery_us, Histogram& death_noted_us)
    : clock_(clock), recovery_us_(recovery_us), death_noted_us_(death_noted_us), recent_(kRecent) {
  KeepFromChildren(recent_);
  pending_.reserve(kMostPending);
  stops_.reserve(kMostSpans);
  pauses_.reserve(kMostSpans);
}

void RunTimes::NoteDeath(uint32_t process, uint64_t ordered, uint64_t noted) {
  death_noted_us_.Add(clock_.ToNanoseconds(noted - std::min(noted, ordered)) / 1000);
  Death death{process, ordered, kNever};
  uint64_t oldest = kNever;
  for (size_t i = 0; i < std::min<uint64_t>(completions_, kRecent); ++i) {
    const Completion& one = recent_[i];
    oldest = std::min(oldest, one.finish);
    if (one.finish >= ordered && one.process != process) {
      death.first_finish = std::min(death.first_finish, one.finish);
    }
  }
  // Noted so late that the first completion may be forgotten: no sample.
  if (completions_ > kRecent && oldest >= ordered) return;
  if (pending_.size() < kMostPending) pending_.push_back(death);
}

void RunTimes::NoteStop(uint32_t process, uint64_t from) {
  Remember(stops_, Span{process, from, kNever});
}

void RunTimes::NoteResume(uint32_t process, uint64_t until) {
  for (Span& span : stops_) {
    if (span.process == process && span.until == kNever) span.until = until;
  }
}

void RunTimes::NotePause(uint64_t from, uint64_t until) {
  report_.longest_pause = std::max(report_.longest_pause, until - from);
  Remember(pauses_, Span{0, from, until});
}

void RunTimes::Take(std::span<const Operation> operations, uint64_t settled) {
  for (const Operation& operation : operations) {
    if (operation.outcome == Outcome::kCrashed) continue;
    recent_[completions_++ % kRecent] = {operation.finish, operation.process};
    if (operation.finish - operation.invoke > report_.longest_wait) TakeLongest(operation);
    for (Death& death : pending_) {
      if (operation.finish >= death.ordered && operation.process != death.process) {
        death.first_finish = std::min(death.first_finish, operation.finish);
      }
    }
  }
  std::erase_if(pending_, [&](const Death& death) {
    if (death.first_finish > settled) return false;
    Sample(death);
    return true;
  });
}

void RunTimes::Finish() {
  for (const Death& death : pending_) {
    if (death.first_finish != kNever) Sample(death);
  }
  pending_.clear();
}

void RunTimes::Sample(const Death& death) {
  recovery_us_.Add(clock_.ToNanoseconds(death.first_finish - death.ordered) / 1000);
}

void RunTimes::TakeLongest(const Operation& operation) {
  if (WasStopped(operation)) return;
  report_.longest_wait = operation.finish - operation.invoke;
  report_.longest_wait_paused = PausedIn(operation.invoke, operation.finish);
  report_.longest_wait_function = operation.function;
}

bool RunTimes::WasStopped(const Operation& operation) const {
  return std::any_of(stops_.begin(), stops_.end(), [&operation](const Span& span) {
    return span.process == operation.process && span.from <= operation.finish &&
           span.until >= operation.invoke;
  });
}

uint64_t RunTimes::PausedIn(uint64_t from, uint64_t until) const {
  uint64_t sum = 0;
  for (const Span& span : pauses_) {
    const uint64_t begin = std::max(from, span.from);
    const uint64_t end = std::min(until, span.until);
    if (begin < end) sum += end - begin;
  }
  return sum;
}

}  // namespace kill9
