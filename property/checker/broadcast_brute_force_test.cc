// The broadcast checker against a search through all orders of all operations of small histories.
#include <algorithm>
#include <ctime>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/models/messages/broadcast_checker.h"
#include "harness/checker/search/shown.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

struct Reader {
  bool has_begun = false;
  uint64_t last = 0;
  uint64_t got = 0;  // the last number that it received, or after which it began
  uint64_t missed = 0;
  std::set<uint64_t> returned;
  std::map<uint64_t, uint64_t> held;
};
struct State {
  std::vector<uint64_t> sent;  // the message at each number, from 1
  std::set<uint64_t> gone;     // numbers that somebody was told to have missed
  std::map<uint32_t, Reader> readers;
};

bool IsReceive(const Operation& one) {
  return one.function == Function::kTake || one.function == Function::kReceive;
}

// One operation, at one moment. False: it cannot have come to what it tells.
bool Step(const Operation& one, State* state) {
  Reader& reader = state->readers[one.process];
  const uint64_t number = one.result_version / 2;
  if (one.function == Function::kSend) {
    state->sent.push_back(one.argument);
    return IsOptional(one) || number == 0 || number == state->sent.size();
  }
  if (one.function == Function::kSubscribe) {
    reader = Reader{};
    reader.has_begun = true;
    reader.last = reader.got = one.result;
    return one.result <= state->sent.size();
  }
  if (one.function == Function::kAcknowledge || one.function == Function::kReturn) {
    const auto held = reader.held.find(one.argument);
    if (held == reader.held.end()) return false;
    if (one.function == Function::kReturn) reader.returned.insert(held->second);
    reader.held.erase(held);
    return true;
  }
  if (one.result == kNothing) {  // all that it had not received is lost to it
    reader.missed += reader.returned.size();
    reader.returned.clear();
    const uint64_t all = state->sent.size();
    if (reader.has_begun) reader.missed += all - std::min(all, reader.last);
    reader.last = std::max(reader.last, all);
    return true;
  }
  if (number == 0 || number > state->sent.size() || state->sent[number - 1] != one.result) {
    return false;
  }
  const bool marked = one.result_version % 2 == 1;
  uint64_t missed = reader.missed;
  const auto its = reader.returned.find(number);
  if (its != reader.returned.end()) {
    if (!marked) return false;
    missed += static_cast<uint64_t>(std::distance(reader.returned.begin(), its));
    reader.returned.erase(reader.returned.begin(), std::next(its));
  } else {
    if (marked || number <= reader.last) return false;
    missed += reader.returned.size() + number - reader.last - 1;
    if (!reader.has_begun) {
      missed = one.expected;
      reader.got = number - 1;
    }
    reader.has_begun = true;
    reader.returned.clear();
    for (uint64_t between = reader.got + 1; between < number; ++between) {
      state->gone.insert(between);
    }
    reader.last = reader.got = number;
  }
  reader.missed = 0;
  if (one.function == Function::kTake) reader.held[one.result] = number;
  return missed == one.expected;
}

bool Search(const std::vector<Operation>& history, uint32_t done, const State& state) {
  bool all = true;
  for (size_t i = 0; i < history.size(); ++i) {
    if ((done >> i & 1) != 0) continue;
    all &= IsOptional(history[i]);
    bool may_be_next = true;
    for (size_t j = 0; j < history.size(); ++j) {
      may_be_next &=
          (done >> j & 1) != 0 || IsOptional(history[j]) || history[j].finish >= history[i].invoke;
    }
    // What was cut off happens by its death, or not at all.
    for (size_t j = 0; j < history.size() && may_be_next; ++j) {
      may_be_next = (done >> j & 1) == 0 || history[j].invoke <= history[i].finish;
    }
    if (!may_be_next) continue;
    if (IsOptional(history[i]) && history[i].function != Function::kSend) continue;
    State next = state;
    if (Step(history[i], &next) && Search(history, done | 1u << i, next)) return true;
  }
  return all;
}

// G8: somebody receives what another was told, before that call, to have missed. In the true order
// of times alone, so that it needs no search.
bool IsReceivedAfterItHasGone(const std::vector<Operation>& history) {
  std::map<uint32_t, std::pair<bool, uint64_t>> begun;  // by process; and its last number
  std::map<uint32_t, std::set<uint64_t>> got;
  struct Told {
    uint64_t first, end, finish;
  };
  std::vector<Told> told;
  std::vector<std::pair<uint64_t, uint64_t>> received;  // a number, and the call
  for (const Operation& one : history) {
    if (IsOptional(one)) continue;
    auto& [has_begun, last] = begun[one.process];
    if (one.function == Function::kSubscribe) {
      has_begun = true;
      last = one.result;
    }
    const uint64_t number = one.result_version / 2;
    if (!IsReceive(one) || one.result == kNothing) continue;
    if (!got[one.process].insert(number).second) continue;  // it comes again
    received.emplace_back(number, one.invoke);
    if (has_begun && number > last) told.push_back({last + 1, number, one.finish});
    has_begun = true;
    last = number;
  }
  for (const auto& [number, call] : received) {
    for (const Told& one : told) {
      if (number >= one.first && number < one.end && one.finish < call) return true;
    }
  }
  return false;
}

// A history as a broadcast makes it: operations with overlapping times, in the order in which they
// take effect; deaths cut some off.
// `forgets`: what somebody missed may still come to others, which no broadcast may do.
std::vector<Operation> Simulate(std::mt19937_64& random, size_t operations, bool forgets = false) {
  std::vector<Operation> history;
  State state;
  std::map<uint32_t, uint64_t> free_from;
  uint32_t lives[4] = {};  // who dies is replaced
  uint64_t message = 0;
  const auto begin = [&](uint32_t process, uint64_t at, Function function) {
    Operation one{};
    one.process = process;
    one.function = function;
    one.outcome = Outcome::kOk;
    one.invoke = std::max(free_from[process] + 1, at - std::min<uint64_t>(at - 1, random() % 25));
    one.finish = at + random() % 25;
    free_from[process] = one.finish;
    return one;
  };
  for (uint64_t at = 10; history.size() < operations; at += 10) {
    const size_t place = random() % 4;
    const uint32_t process = static_cast<uint32_t>(place) + 4 * lives[place];
    if (free_from[process] + 1 > at) continue;
    Reader& reader = state.readers[process];
    const bool dies = random() % 8 == 0;
    Operation one{};
    if (random() % 2 == 0) {
      one = begin(process, at, Function::kSend);
      one.argument = ++message;
      if (dies) {
        one.outcome = Outcome::kCrashed;
        ++lives[place];
        if (random() % 2 == 0) {
          history.push_back(one);
          continue;
        }
      }
      state.sent.push_back(one.argument);
      if (!dies && random() % 4 != 0) one.result_version = 2 * state.sent.size();
    } else if (!reader.has_begun) {
      one = begin(process, at, Function::kSubscribe);
      one.result = state.sent.size() - random() % (std::min<size_t>(state.sent.size(), 8) + 1);
    } else if (!reader.held.empty() && random() % 2 == 0) {
      one = begin(process, at, random() % 2 == 0 ? Function::kReturn : Function::kAcknowledge);
      one.argument = reader.held.begin()->first;
    } else {
      one = begin(process, at, random() % 2 == 0 ? Function::kTake : Function::kReceive);
      const uint64_t all = state.sent.size();
      uint64_t number = 0;
      one.expected = reader.missed;
      if (!reader.returned.empty() && random() % 2 == 0) {
        number = *reader.returned.begin();
        one.result_version = 1;
      } else if (reader.last < all) {
        number = reader.last + 1 + random() % (all - reader.last);
        while (!forgets && number <= all && state.gone.contains(number)) ++number;
        if (number > all) number = 0;
      }
      if (number > reader.last) {
        one.expected += reader.returned.size() + number - reader.last - 1;
      }
      one.result = number == 0 ? kNothing : state.sent[number - 1];
      one.result_version += 2 * number;
      if (number == 0) one.expected = 0;
    }
    if (one.function != Function::kSend && !Step(one, &state)) ADD_FAILURE() << "not legal";
    history.push_back(one);
  }
  return history;
}

void Mutate(std::mt19937_64& random, std::vector<Operation>* history) {
  Operation& one = (*history)[random() % history->size()];
  switch (random() % 6) {
    case 0:
      one.expected += random() % 2 == 0 ? 1 : -1ull * (one.expected != 0);
      return;
    case 1:
      one.result_version += random() % 2 == 0 ? 2 : 1;
      return;
    case 2:
      // A receive without its number tells less than a search knows of it.
      if (one.result_version >= (IsReceive(one) ? 4u : 2u)) one.result_version -= 2;
      return;
    case 3:
      if (IsReceive(one)) one = Operation(one), one.result = one.expected = one.result_version = 0;
      return;
    case 4: {  // at another time
      const uint64_t move = random() % 40;
      one.invoke += move;
      one.finish += move;
      return;
    }
    default:
      if (one.function == Function::kSubscribe && one.result > 0) --one.result;
      return;
  }
}

std::string Show(const std::vector<Operation>& history) {
  std::string text;
  for (const Operation& one : history) {
    absl::StrAppend(&text, "process ", one.process, " ", std::string(RowOf(one.function).name), " ",
                    one.argument, " -> ", one.result, " version ", one.result_version, " missed ",
                    one.expected, " in ", one.invoke, " to ", one.finish,
                    IsOptional(one) ? " cut off" : "", "\n");
  }
  return text;
}

// As long as each process's operations follow one another.
bool IsHistory(const std::vector<Operation>& history) {
  std::map<uint32_t, uint64_t> last;
  for (const Operation& one : history) {
    if (one.invoke <= last[one.process]) return false;
    last[one.process] = IsOptional(one) ? kNever : one.finish;
  }
  return true;
}

TEST(BroadcastBruteForce, TheCheckerSaysWhatASearchThroughAllOrdersSays) {
  std::mt19937_64 random(TestSeed());
  uint64_t legal = 0, violated = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::vector<Operation> history = Simulate(random, 3 + random() % 5);
    const bool mutated = random() % 3 != 0;
    if (mutated) Mutate(random, &history);
    SortByInvocation(&history);
    if (!IsHistory(history)) continue;
    BroadcastStream stream;
    SearchResult answer = SearchResult::kLinearizable;
    for (const Operation& one : history) {
      answer = stream.Add(one);
      if (answer != SearchResult::kLinearizable) break;
    }
    if (answer == SearchResult::kLinearizable) answer = stream.Finish();
    const bool is_legal = !IsReceivedAfterItHasGone(history) && Search(history, 0, State{});
    ASSERT_TRUE(is_legal || mutated) << "the simulation is wrong\n" << Show(history);
    ++(is_legal ? legal : violated);
    ASSERT_EQ(answer == SearchResult::kLinearizable, is_legal)
        << "round " << round << "\n"
        << Show(history)
        << (answer == SearchResult::kViolated ? stream.Explain().initial_states[0] : "");
  }
  EXPECT_GT(legal, 10'000u);
  EXPECT_GT(violated, 1'500u);
}

// Of a broadcast that is right but for that.
TEST(BroadcastBruteForce, WhatIsGoneForOneIsGoneForAll) {
  std::mt19937_64 random(TestSeed());
  uint64_t legal = 0, violated = 0;
  for (int round = 0; round < 2'000; ++round) {
    std::vector<Operation> history = Simulate(random, 10 + random() % 30, /*forgets=*/true);
    SortByInvocation(&history);
    BroadcastStream stream;
    bool is_violated = false;
    for (const Operation& one : history) {
      is_violated = is_violated || stream.Add(one) == SearchResult::kViolated;
    }
    is_violated = is_violated || stream.Finish() == SearchResult::kViolated;
    ASSERT_EQ(is_violated, IsReceivedAfterItHasGone(history)) << "round " << round << "\n"
                                                              << Show(history);
    ++(is_violated ? violated : legal);
  }
  EXPECT_GT(legal, 100u);
  EXPECT_GT(violated, 100u);
}

// Whether nobody receives what is further behind than the window.
bool KeepsWithin(const std::vector<Operation>& history, uint64_t window) {
  uint64_t sent = 0;
  for (const Operation& one : history) {
    sent += one.function == Function::kSend ? 1 : 0;
    if (IsReceive(one) && one.result != kNothing && one.result_version / 2 + window < sent) {
      return false;
    }
  }
  return true;
}

// The same history at once and with a window so small that most numbers are settled on the way.
TEST(BroadcastBruteForce, SettlingOnTheWaySaysTheSame) {
  std::mt19937_64 random(TestSeed());
  constexpr uint64_t kWindow = 30;
  uint64_t violated = 0, compared = 0;
  constexpr int kRounds = 600;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Operation> history = Simulate(random, 300);
    if (random() % 2 == 0) Mutate(random, &history);
    SortByInvocation(&history);
    if (!IsHistory(history) || !KeepsWithin(history, kWindow)) continue;
    ++compared;
    SearchResult answers[2];
    std::string why;
    for (int i = 0; i < 2; ++i) {
      BroadcastStream stream(i == 0 ? 1u << 20 : kWindow);
      answers[i] = SearchResult::kLinearizable;
      for (const Operation& one : history) {
        answers[i] = stream.Add(one);
        if (answers[i] != SearchResult::kLinearizable) break;
      }
      if (answers[i] == SearchResult::kLinearizable) answers[i] = stream.Finish();
      if (answers[i] == SearchResult::kViolated) why = stream.Explain().initial_states[0];
    }
    violated += answers[0] == SearchResult::kViolated ? 1 : 0;
    ASSERT_EQ(answers[0], answers[1]) << "round " << round << ": " << why << "\n" << Show(history);
  }
  EXPECT_GT(violated, kRounds / 40u);
  EXPECT_GT(compared, kRounds / 4u);
}

// Of a history in which `count` messages were sent, of whose numbers only the last is known.
std::clock_t TicksToCheck(uint64_t count) {
  BroadcastStream stream;
  const std::clock_t begin = std::clock();
  for (uint64_t message = 1; message <= count; ++message) {
    Operation send = {};
    send.function = Function::kSend;
    send.process = 1;
    send.argument = message;
    send.invoke = 2 * message;
    send.finish = 2 * message + 1;
    send.outcome = Outcome::kOk;
    send.result_version = message == count ? 2 * count : 0;
    EXPECT_EQ(stream.Add(send), SearchResult::kLinearizable);
  }
  EXPECT_EQ(stream.Finish(), SearchResult::kLinearizable);
  return std::clock() - begin;
}

// Else a run of seconds with rows of messages was checked for minutes.
TEST(BroadcastChecker, TakesTimeInProportionToTheSendsWithoutNumbers) {
  constexpr uint64_t kFew = 4000, kTimes = 16;
  TicksToCheck(kFew);
  const std::clock_t few = TicksToCheck(kFew);
  EXPECT_LT(TicksToCheck(kTimes * kFew), 5 * static_cast<std::clock_t>(kTimes) * few);
}

}  // namespace
}  // namespace kill9
