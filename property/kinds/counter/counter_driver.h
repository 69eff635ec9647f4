// Counters in torture: half of the steps add, the others read, and now and then one rests.
#ifndef KILL9_PROPERTY_KINDS_COUNTER_COUNTER_DRIVER_H_
#define KILL9_PROPERTY_KINDS_COUNTER_COUNTER_DRIVER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/result/result.h"
#include "harness/torture/driver.h"
#include "harness/torture/worker/client.h"
#include "property/kinds/counter/counter.h"

namespace kill9 {

// What the processes of a run share.
struct CounterBoards {
  std::atomic<uint64_t> begun;  // additions, counted before each is called; written by all workers
};

class CounterClient final : public Client {
 public:
  CounterClient(const RunContext& context, uint32_t adds_per_mille, CounterBoards& boards,
                uint32_t slot, uint32_t process)
      : Client(context, slot, process), adds_per_mille_(adds_per_mille), boards_(boards) {}

  bool Act(Random& random) override {
    if (random.Chance(1)) return false;
    if (random.Chance(adds_per_mille_)) {
      Add();
    } else {
      Read();
    }
    return true;
  }
  void Visit() override { Read(); }

 private:
  Counter& counter() { return static_cast<Counter&>(object()); }

  void Add() {
    boards_.begun.fetch_add(1, std::memory_order_seq_cst);
    Begin(Function::kAdd, /*subject=*/0, /*argument=*/1);
    if (const absl::Status status = counter().Add(); !status.ok()) {
      Fail(Verdict::kViolation, absl::StrCat("Add failed: ", status.ToString()));
    }
    End(Outcome::kOk);
  }

  void Read() {
    Begin(Function::kRead, /*subject=*/0);
    const absl::StatusOr<uint64_t> sum = counter().Read();
    if (!sum.ok()) {
      Fail(Verdict::kViolation, absl::StrCat("Read failed: ", sum.status().ToString()));
    }
    End(Outcome::kOk, *sum);
    const uint64_t begun = boards_.begun.load(std::memory_order_seq_cst);
    if (*sum > begun) {
      Fail(Verdict::kViolation,
           absl::StrCat("Read returned ", *sum, ", and only ", begun, " additions have begun"));
    }
  }

  const uint32_t adds_per_mille_;
  CounterBoards& boards_;
};

class CounterRun final : public PreparedRun {
 public:
  explicit CounterRun(uint32_t adds_per_mille) : adds_per_mille_(adds_per_mille) {}

  BoardsSize boards_size() const override { return {sizeof(CounterBoards), sizeof(CounterBoards)}; }
  void UseBoards(char* boards) override { boards_ = reinterpret_cast<CounterBoards*>(boards); }
  std::unique_ptr<Client> NewClient(const RunContext& context, uint32_t slot,
                                    uint32_t process) const override {
    return std::make_unique<CounterClient>(context, adds_per_mille_, *boards_, slot, process);
  }
  void CallEach(SharedObject& inherited, Told told) const override {
    Counter& counter = static_cast<Counter&>(inherited);
    told("Add", counter.Add());
    told("Read", counter.Read().status());
  }
  Json Counts() const override {
    return {{"additions", boards_->begun.load(std::memory_order_relaxed)}};
  }

 private:
  uint32_t adds_per_mille_;
  CounterBoards* boards_ = nullptr;
};

class CounterDriver final : public TortureDriver {
 public:
  std::string_view kind() const override { return CounterDesign::kKind; }
  std::vector<std::string_view> workloads() const override { return {"half", "mostly-reads"}; }
  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(const Design&, const Scenario&,
                                                       std::string_view workload) const override {
    if (workload == "mostly-reads") return std::make_unique<CounterRun>(100);
    if (workload.empty() || workload == "half") return std::make_unique<CounterRun>(500);
    return absl::NotFoundError(
        absl::StrCat("a counter has no workload '", std::string(workload), "'"));
  }
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_KINDS_COUNTER_COUNTER_DRIVER_H_
