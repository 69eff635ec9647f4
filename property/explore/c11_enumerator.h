// All outcomes of a small program that the C++ memory model allows, by brute force: every execution
// graph that its axioms accept (C++20, [intro.races] and [atomics.order]), grown event by event.
// Nothing is shared with the explorer, which has views instead of axioms.
//
// Beyond the axioms of C++, no cycle of `sequenced before`, `reads from` and the order of seq_cst
// operations is let through (docs/explore.md says what that leaves out).
#ifndef KILL9_PROPERTY_EXPLORE_C11_ENUMERATOR_H_
#define KILL9_PROPERTY_EXPLORE_C11_ENUMERATOR_H_

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "property/explore/programs/programs.h"

namespace kill9::explore {

class C11Enumerator {
 public:
  static constexpr size_t kWords = 3;
  struct End {
    std::vector<std::vector<uint64_t>> told;  // empty: it died
    std::vector<uint64_t> words;
    auto operator<=>(const End&) const = default;
  };

  C11Enumerator(const std::vector<Thread>& threads, int deaths)
      : threads_(threads), deaths_(deaths) {}

  std::set<End> Run();
  // Whether an execution has a data race: then the program means nothing.
  bool racy() const { return racy_; }

 private:
  static constexpr int kNone = -1;
  static constexpr size_t kMost = 16;
  struct Event {
    int thread = kNone;  // kNone: the beginning of a word
    size_t index = 0;    // in its thread
    uint8_t word = 0;
    bool reads = false, writes = false, plain = false, fence = false;
    std::memory_order order = std::memory_order_relaxed;
    int from = kNone;  // the event that it reads from
    uint64_t read = 0, written = 0;
  };
  struct Graph {
    std::vector<Event> events;
    std::array<std::vector<int>, kWords> modifications;
    std::vector<size_t> next;  // of each thread
    std::vector<bool> stopped;
  };
  // A row of bits for each event.
  struct Relation {
    std::array<uint32_t, kMost> row = {};
    void Add(int a, int b) { row[static_cast<size_t>(a)] |= uint32_t{1} << b; }
    bool Has(int a, int b) const { return (row[static_cast<size_t>(a)] >> b & 1) != 0; }
    void Close();
    bool HasCycle() const;  // REQUIRES: closed
  };
  struct Relations {
    Relation sequenced, happens_before, coherence;
  };

  void Visit(const Graph& graph);
  void Extend(const Graph& graph, int thread);
  void AddRead(const Graph& graph, const Event& event);
  void AddWrite(const Graph& graph, const Event& event);
  void AddUpdate(const Graph& graph, const Event& event, const Instruction& instruction);
  void VisitIfConsistent(const Graph& graph);
  void AddEnd(const Graph& graph);
  bool IsConsistent(const Graph& graph);
  Relations RelationsOf(const Graph& graph) const;
  static void AddSynchronisation(const Graph& graph, const Relation& sequenced, Relation& out);
  static Relation SeqCstOrder(const Graph& graph, const Relations& of);
  static bool HasRace(const Graph& graph, const Relation& happens_before);
  static std::vector<uint16_t> KeyOf(const Graph& graph);

  const std::vector<Thread>& threads_;
  const int deaths_;
  bool racy_ = false;
  std::set<std::vector<uint16_t>> seen_;
  std::set<End> ends_;
};

}  // namespace kill9::explore

#endif  // KILL9_PROPERTY_EXPLORE_C11_ENUMERATOR_H_
