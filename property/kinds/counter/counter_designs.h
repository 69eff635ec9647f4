// Three designs of a counter: one that is right, one that forgets what the dead have added, and one
// that adds it twice.
#ifndef KILL9_PROPERTY_KINDS_COUNTER_COUNTER_DESIGNS_H_
#define KILL9_PROPERTY_KINDS_COUNTER_COUNTER_DESIGNS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "property/kinds/counter/counter.h"

namespace kill9 {

// What a participant added, or is about to add; in its ledger.
struct CounterLedger {
  std::atomic<uint64_t> added;  // written by its participant, and by who recovers it; read by all
};

struct CounterBody {
  std::atomic<uint64_t> sum;  // written and read by all
};

// What all designs have in common: recovery empties the ledgers of the dead and returns their
// slots.
class SlottedCounter : public Counter {
 public:
  // Whether recovery adds what it finds in a dead participant's ledger.
  static constexpr bool kRedoes = false;

  SlottedCounter(std::shared_ptr<Segment> segment, Participant participant, bool redoes)
      : Counter(participant.guard()),
        segment_(std::move(segment)),
        table_(segment_->participants()),
        participant_(std::move(participant)),
        redoes_(redoes) {}

  static CounterBody& BodyOf(Segment& segment) {
    return *reinterpret_cast<CounterBody*>(segment.body().data());
  }
  static RecoveryReport RecoverDead(Segment& segment, bool redoes) {
    const ParticipantTable table = segment.participants();
    RecoveryReport report;
    for (uint32_t slot = 0; slot < table.size(); ++slot) {
      uint32_t generation = 0;
      if (!table.MarkIfDead(slot, &generation)) continue;
      std::atomic<uint64_t>& added = table.ledger_as<CounterLedger>(slot).added;
      if (redoes) {
        BodyOf(segment).sum.fetch_add(added.load(std::memory_order_seq_cst),
                                      std::memory_order_seq_cst);
      }
      // relaxed: a dead participant's ledger; MarkRecovered publishes it to who claims the slot.
      added.store(0, std::memory_order_relaxed);
      if (table.MarkRecovered(slot, generation)) ++report.participants;
    }
    return report;
  }

 protected:
  const ParticipantTable& table() const { return table_; }
  uint32_t slot() const { return participant_.slot(); }
  CounterBody& body() const { return BodyOf(*segment_); }
  std::atomic<uint64_t>& mine() const { return table_.ledger_as<CounterLedger>(slot()).added; }

 private:
  absl::StatusOr<RecoveryReport> DoRecover() override {
    if (absl::Status status = table_.CanTellTheDead(); !status.ok()) return status;
    return RecoverDead(*segment_, redoes_);
  }
  // It has no blocks: what can be wrong is who is attached.
  absl::StatusOr<AuditReport> DoAudit() override {
    AuditReport report;
    for (uint32_t other = 0; other < table_.size(); ++other) {
      if (table_.state(other) != ParticipantState::kFree) ++report.participants;
    }
    return report;
  }

  std::shared_ptr<Segment> segment_;
  ParticipantTable table_;
  Participant participant_;
  const bool redoes_;
};

// One word for all; an Add is one instruction.
class AtomicCounter final : public SlottedCounter {
 public:
  using SlottedCounter::SlottedCounter;

 private:
  // Commit point. Dies before: not counted. Dies after: counted.
  absl::Status DoAdd() override {
    body().sum.fetch_add(1, std::memory_order_seq_cst);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> DoRead() override { return body().sum.load(std::memory_order_seq_cst); }
};

// Each participant adds to a word of its own, without contention; the counter is their sum. Its
// author's case for it: what is not shared needs no lock, and whoever leaves hands over its part.
// But recovery empties the ledgers of the dead, as it does for holds.
class ForgetfulCounter final : public SlottedCounter {
 public:
  using SlottedCounter::SlottedCounter;
  ~ForgetfulCounter() override {
    if (!guard().owns()) return;
    body().sum.fetch_add(mine().exchange(0, std::memory_order_seq_cst), std::memory_order_seq_cst);
  }

 private:
  absl::Status DoAdd() override {
    mine().fetch_add(1, std::memory_order_seq_cst);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> DoRead() override {
    uint64_t sum = body().sum.load(std::memory_order_seq_cst);
    for (uint32_t other = 0; other < table().size(); ++other) {
      sum += table().ledger_as<CounterLedger>(other).added.load(std::memory_order_seq_cst);
    }
    return sum;
  }
};

// Each participant announces an addition before it adds to the one word. Its author's case for it:
// who recovers finishes what the dead had begun. But nothing tells whether they had finished.
class RedoingCounter final : public SlottedCounter {
 public:
  static constexpr bool kRedoes = true;
  using SlottedCounter::SlottedCounter;

 private:
  absl::Status DoAdd() override {
    mine().store(1, std::memory_order_seq_cst);
    body().sum.fetch_add(1, std::memory_order_seq_cst);
    mine().store(0, std::memory_order_seq_cst);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> DoRead() override { return body().sum.load(std::memory_order_seq_cst); }
};

template <typename CounterType>
class SlottedCounterDesign final : public CounterDesign {
 public:
  // `shown_by`: what finds that it is wrong; empty: it is right.
  SlottedCounterDesign(std::string_view name, std::string_view summary, std::string_view shown_by)
      : name_(name), summary_(summary), shown_by_(shown_by) {
    traits_.bounded = false;  // it never runs full
    traits_.recovery_trigger = "Recover(), and an attach that finds no slot";
    traits_.recovery_cost = "the number of slots";
  }

  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return summary_; }
  Role role() const override { return shown_by_.empty() ? Role::kDesign : Role::kBaseline; }
  std::string_view expected_verdict() const override {
    return shown_by_.empty() ? "pass" : "violation";
  }
  std::string_view shown_by() const override { return shown_by_; }
  const ObjectTraits& object_traits() const override { return traits_; }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Segment::Create(options, Layout(),
                           [](Segment&, SegmentHeader&) { return absl::OkStatus(); });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<SharedObject>> AttachObject(
      std::shared_ptr<Segment> segment) const override {
    const ParticipantTable table = segment->participants();
    absl::StatusOr<Participant> participant = table.ClaimOrRecover([&segment](const Participant&) {
      SlottedCounter::RecoverDead(*segment, CounterType::kRedoes);
      return absl::OkStatus();
    });
    if (!participant.ok()) return participant.status();
    return std::make_unique<CounterType>(std::move(segment), *std::move(participant),
                                         CounterType::kRedoes);
  }

 private:
  SegmentLayout Layout() const { return {.design = name_, .ledger_bytes = sizeof(CounterLedger)}; }

  std::string_view name_;
  std::string_view summary_;
  std::string_view shown_by_;
  ObjectTraits traits_;
};

inline const CounterDesign& AtomicCounterDesign() {
  static const SlottedCounterDesign<AtomicCounter> design("atomic_counter",
                                                          "a counter in one atomic word", "");
  return design;
}

inline const CounterDesign& ForgetfulCounterDesign() {
  static const SlottedCounterDesign<ForgetfulCounter> design(
      "forgetful_counter", "a counter that is the sum of its participants' words",
      "torture --scenario=steady");
  return design;
}

inline const CounterDesign& RedoingCounterDesign() {
  static const SlottedCounterDesign<RedoingCounter> design(
      "redoing_counter", "a counter whose recovery adds what the dead had announced",
      "sweep --operation=add --state=zero");
  return design;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_KINDS_COUNTER_COUNTER_DESIGNS_H_
