// A scene in processes of the shipped program: one for each participant, which is stopped wherever
// its tracer wants, and the tracer itself, who makes the object and judges what is left.
#ifndef KILL9_HARNESS_EXPLORE_SHIPPED_PROCESSES_H_
#define KILL9_HARNESS_EXPLORE_SHIPPED_PROCESSES_H_

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "harness/base/shared_mapping.h"
#include "harness/explore/runtime/stage.h"
#include "harness/stepper/process/tracee.h"

namespace kill9::explore {

class Processes final : public Stage {
 public:
  explicit Processes(Scene& scene);
  ~Processes() override;  // ends those that live
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  // What the tracer itself sees that is wrong (Stage::Fail) it throws, as a Finding.
  // Makes the scene; then each participant stands before the first thing that it does. Returns what
  // kept it from that, or nothing.
  std::string Begin();
  stepper::Tracee& tracee(int participant) { return tracees_[static_cast<size_t>(participant)]; }
  pid_t pid(int participant) const { return pids_[static_cast<size_t>(participant)]; }
  // A word that the participant writes to at each call and each return.
  uint64_t MarkerOf(int participant) const {
    return reinterpret_cast<uint64_t>(&shared_->marker[static_cast<size_t>(participant)].word);
  }
  void NoteDeath(int participant);
  // What a participant has seen, and ended by.
  Finding seen() const { return {shared_->seen, shared_->message}; }

  void set_has_barrier(bool) override {}
  void As(int participant, int what) override;
  void BeginOperation(const char* what, bool must_not_wait) override;
  void EndOperation(uint64_t hash_of_results) override;
  void AfterOperation() override {}
  uint64_t Tick() override { return shared_->ticks.fetch_add(1, std::memory_order_relaxed) + 1; }
  int64_t now_ns() const override;
  void PassTime(int64_t) override {}  // no such scene is done here
  bool Overslept(int64_t) const override { return false; }
  bool died(int participant) const override {
    return shared_->died[static_cast<size_t>(participant)] != 0;
  }
  uint64_t time_of_death(int participant) const override {
    return shared_->died[static_cast<size_t>(participant)];
  }

 protected:
  void EndBy(Verdict verdict, std::string message) override;

 private:
  static constexpr int kRun = -1;  // not Scene::Act, but Scene::Run
  struct Shared {
    struct alignas(64) Marker {
      std::atomic<uint64_t> word = 0;
    };
    std::atomic<uint64_t> ticks = 0;
    std::array<Marker, kMostParticipants> marker;
    std::array<uint64_t, kMostParticipants> died = {};  // when; 0: it lives
    int order = 0;                                      // to the participant that is told to go on
    Verdict seen = Verdict::kPass;
    char message[1000] = {};
  };

  [[noreturn]] void Serve(int participant);
  bool AwaitStop(int participant);

  Scene& scene_;
  const SharedMapping<Shared> shared_;
  int own_ = kAuditor;
  std::array<pid_t, kMostParticipants> pids_ = {};
  std::array<stepper::Tracee, kMostParticipants> tracees_;
};

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SHIPPED_PROCESSES_H_
