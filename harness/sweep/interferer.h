// The interferer: a survivor that works on while a victim stands still in the middle of its operation:
// it overwrites or erases the victim's key, uses freed space again for other keys, and fills and
// empties the store. What it did to the victim's key, and what the victim says when it goes on
// afterwards, must fit together.
#ifndef KILL9_HARNESS_SWEEP_INTERFERER_H_
#define KILL9_HARNESS_SWEEP_INTERFERER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "harness/sweep/scene.h"

namespace kill9::sweep {

enum class Interference : uint8_t {
  kOverwrite,  // the key is there all the time
  kErase,      // it goes, comes back, and goes
  kAround,     // it is only looked at; all else changes
};
inline constexpr int kLapCount = 3;

// One operation on the victim's key, and what it answered.
struct Answered {
  enum class Kind : uint8_t { kNone, kPut, kGet, kErase, kCompareAndSwap } kind = Kind::kNone;
  bool yes = false;            // put: done; get: found; erase: was there; compare-and-swap: swapped
  bool sound = true;           // what was read is a value that somebody may have written
  uint32_t id = 0;             // of the value written or read
  Version version = kAbsent;   // as answered
  Version expected = kAbsent;  // compare-and-swap
};

// In memory that the interferer shares with the cell.
struct LapReport {
  static constexpr uint32_t kMost = 16;
  uint32_t count;
  Answered answered[kMost];
};

// What a victim's for_each showed of a key.
struct Visit {
  uint32_t key;
  Answered answered;
};
struct VictimReport {
  static constexpr uint32_t kMostVisits = 4096;
  Answered answered;
  uint32_t visits;
  bool strange;  // it visited a key that is neither the scene's nor the interferer's
  Visit visit[kMostVisits];
};

class Interferer {
 public:
  Interferer(const Scene& scene, OperationKind victims, LapReport* report);
  bool Attach();  // false: cannot
  void Run(Interference interference);
  // Uses all free space once more, in other hands than before.
  void Churn();
  void Detach() { store_.reset(); }
  Store& store() { return *store_; }

  // Whether only lappers use this key.
  static bool IsOwn(std::string_view key);

 private:
  void Put(uint32_t bytes);
  void Get();
  void Erase();
  Answered& Next(Answered::Kind kind);

  const Scene& scene_;
  const std::string& key_;
  LapReport* report_;
  std::string value_, read_;
  uint32_t next_id_ = kJudgeId;
  std::unique_ptr<Store> store_;
};

// Whether there is one moment for the victim's operation among those of the interferer (which came one
// after the other) at which all that was answered is right, and `last` holds in the end. Versions
// must grow.
bool Fits(const Traits& traits, const Entry& first, const LapReport& interferences,
          const Answered& victims, const Entry& last);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_INTERFERER_H_
