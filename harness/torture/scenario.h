// Scenarios: who is killed or stopped, when and where; as data. Which work goes on meanwhile is the
// kind's driver's to say (driver.h).
#ifndef KILL9_HARNESS_TORTURE_SCENARIO_H_
#define KILL9_HARNESS_TORTURE_SCENARIO_H_

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace kill9 {

// Who is killed from outside the victims.
enum class OutsideKills : uint8_t {
  kNone,
  kOne,    // one, while the others go on; recovery and audit follow; only then is it replaced
  kStorm,  // several at once, at least one survivor
  kAll,    // every process; a new generation opens the segment by its name
};

// The victim's own timer, whose signal is SIGKILL. `life_us`: how long a worker works before it, on
// average (uniform between 0 and twice that); 0: no timers. The shares, in thousandths of the
// incarnations, aim the timer elsewhere.
struct TimerKills {
  uint32_t life_us = 0;
  uint16_t in_attach = 0;
  uint16_t in_detach = 0;
  uint16_t in_recovery = 0;
};

struct Scenario {
  std::string_view name;
  std::string_view summary;
  uint64_t segment_bytes = 4u << 20;
  TimerKills timer = {};
  OutsideKills outside = OutsideKills::kNone;
  uint32_t outside_interval_us = 0;
  uint32_t stop_interval_us = 0;  // SIGSTOP to a random worker that often (0: never) …
  uint32_t stop_us = 0;           // … for up to this long, then SIGCONT
  uint32_t stays_operations =
      0;  // a worker detaches and attaches anew after up to this many (0: it stays)
  uint32_t audit_interval_us = 50'000;
  bool named_segment = false;  // /dev/shm; the others are anonymous
  bool reuse_pids = false;     // a new worker gets the PID of the one that died last
  bool inherit_handle =
      false;  // workers, and children of workers, try a handle that they inherited
  // The segment has room for as many participants as there are workers, and only who attaches
  // recovers: it finds the table full of the living and the dead.
  bool full_table = false;
  // No death, of which all who wait are told, nor a newcomer who recovers, puts right what is
  // wrong.
  bool nobody_dies = false;

  // What must have happened at least once, or the run is vacuous.
  struct Needs {
    bool kills_in_operation = true;
    bool recoveries = true;
    bool kills_in_recovery = false;
    bool kills_in_attach = false;
    bool stops = false;
    bool refusals = false;  // of a lossless object, because the segment was full
    bool generations = false;
    bool reused_pids = false;
    bool inherited = false;
  };
  Needs needs = {};
};

// Those that any kind of object can be put through.
std::span<const Scenario> CommonScenarios();
// The same, with those of one kind in their place among them.
std::vector<Scenario> CommonScenariosWith(std::initializer_list<Scenario> own);
// Of kinds in which who finds no room can wait for it.
Scenario WaitForRoomScenario();
Scenario LastRoomScenario();
// Those of all kinds, each name once.
std::span<const Scenario> AllScenarios();
const Scenario* FindScenario(std::string_view name);  // null if there is none

}  // namespace kill9

#endif  // KILL9_HARNESS_TORTURE_SCENARIO_H_
