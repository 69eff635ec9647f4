// What a scene needs of the world that it runs in. There are two: the machine of the explorer
// (machine.h), and processes of the shipped program (harness/explore/shipped).
#ifndef KILL9_HARNESS_EXPLORE_RUNTIME_STAGE_H_
#define KILL9_HARNESS_EXPLORE_RUNTIME_STAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>

#include "harness/explore/runtime/question.h"
#include "harness/result/verdict.h"

namespace kill9::explore {

// What is explored: a segment in a starting state, and what its participants do.
class Scene {
 public:
  virtual ~Scene() = default;
  // Makes the segment and attaches the participants (Stage::As); explored code, once.
  virtual void Make() = 0;
  // One of the things that a participant does in Make, in its own process. What it finds it leaves
  // in plain members of the scene, which all processes share; nothing else of the scene changes.
  virtual void Act(int participant, int what) = 0;
  virtual int participants() const = 0;
  // All that the participant does: on its fiber, or in its process.
  virtual void Run(int participant) = 0;
  // Looks at what is left: when all others have ended.
  virtual Finding Judge() = 0;

  // ---- To compare two worlds.
  virtual std::span<char> memory() const { return {}; }  // the segment's
  // What the operations of the participants have told; and so many moments (calls, returns) of one
  // have been noted.
  virtual std::string Told() const { return ""; }
  virtual size_t MomentsOf(int /*participant*/) const { return 0; }
  // Whether what participants do is about a clock that one of them moves.
  virtual bool moves_clock() const { return false; }
  // Why processes of the shipped program cannot do the scene; null: they can.
  virtual const char* why_not_shipped() const {
    return moves_clock() ? "nobody moves the clock of the shipped program" : nullptr;
  }
};

class Stage {
 public:
  virtual ~Stage() = default;
  static Stage& Get() { return *present_; }

  // ---- In Make.
  virtual void set_has_barrier(bool has_barrier) = 0;  // whether the kernel has membarrier(2)
  // The participant, or kAuditor, does this (Scene::Act), now.
  virtual void As(int participant, int what) = 0;
  // So long may somebody wait in vain.
  virtual int64_t wait_in_vain_ns() const { return 0; }

  // ---- In Run.
  // An operation of the running participant begins: others may come first. Then the call is noted.
  virtual void BeginOperation(const char* what, bool must_not_wait) = 0;
  // It returns: from here on what it told counts. The participant writes it down, and says so.
  virtual void EndOperation(uint64_t hash_of_results) = 0;
  virtual void AfterOperation() = 0;
  // Moments of the schedule, in their order.
  virtual uint64_t Tick() = 0;
  virtual int64_t now_ns() const = 0;
  // The clock goes on by so much, in one step. REQUIRES: the scene moves_clock().
  virtual void PassTime(int64_t ns) = 0;
  // Whether what the running operation waited for was there when its time was up at last, and
  // nobody had woken it: since then none of the others has changed anything.
  virtual bool Overslept(int64_t deadline_ns) const = 0;
  // Of the present schedule: a wrong thing that the running participant has seen. Does not return.
  [[noreturn]] void Fail(Verdict verdict, std::string message) {
    EndBy(verdict, std::move(message));
    std::abort();
  }

  // ---- In Judge.
  virtual bool died(int participant) const = 0;
  // When the operation of this participant that death cut off ended: at the kernel's last event.
  virtual uint64_t time_of_death(int participant) const = 0;

  // What follows allocates as explored code does, or not; what it was before.
  virtual bool UseArena(bool /*on*/) { return false; }

 protected:
  // Fail. (That a virtual function does not return gcc does not believe.)
  virtual void EndBy(Verdict verdict, std::string message) = 0;

  inline static constinit Stage* present_ = nullptr;
};

// The explorer's own code, called from explored code, allocates elsewhere.
class OutsideStage {
 public:
  OutsideStage() : was_on_(Stage::Get().UseArena(false)) {}
  ~OutsideStage() { Stage::Get().UseArena(was_on_); }
  OutsideStage(const OutsideStage&) = delete;
  OutsideStage& operator=(const OutsideStage&) = delete;

 private:
  bool was_on_;
};

// Mixes two words; a weak but fast hash.
inline uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product =
      static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd6e8feb86659fd93);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_RUNTIME_STAGE_H_
