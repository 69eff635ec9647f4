#include "property/explore/c11_enumerator.h"

#include <algorithm>

namespace kill9::explore {
namespace {

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

}  // namespace

void C11Enumerator::Relation::Close() {
  for (size_t k = 0; k < kMost; ++k) {
    for (uint32_t& bits : row) {
      if ((bits >> k & 1) != 0) bits |= row[k];
    }
  }
}

bool C11Enumerator::Relation::HasCycle() const {
  for (size_t i = 0; i < kMost; ++i) {
    if ((row[i] >> i & 1) != 0) return true;
  }
  return false;
}

std::set<C11Enumerator::End> C11Enumerator::Run() {
  Graph graph;
  for (size_t word = 0; word < kWords; ++word) {
    Event beginning;
    beginning.word = static_cast<uint8_t>(word);
    beginning.writes = true;
    graph.modifications[word].push_back(static_cast<int>(graph.events.size()));
    graph.events.push_back(beginning);
  }
  graph.next.resize(threads_.size());
  graph.stopped.resize(threads_.size());
  Visit(graph);
  return ends_;
}

// A graph is the same in whatever order its events came: each is named by its thread and place.
std::vector<uint16_t> C11Enumerator::KeyOf(const Graph& graph) {
  const auto name = [&](int event) {
    const Event& of = graph.events[static_cast<size_t>(event)];
    return static_cast<uint16_t>((of.thread + 1) * 32 + static_cast<int>(of.index));
  };
  std::vector<uint16_t> key;
  for (size_t i = 0; i < graph.next.size(); ++i) {
    key.push_back(static_cast<uint16_t>(graph.next[i] * 2 + graph.stopped[i]));
    for (size_t e = 0; e < graph.events.size(); ++e) {
      const Event& event = graph.events[e];
      if (event.thread != static_cast<int>(i)) continue;
      key.push_back(event.from == kNone ? 999 : name(event.from));
    }
  }
  for (const std::vector<int>& order : graph.modifications) {
    key.push_back(1000);
    for (const int event : order) key.push_back(name(event));
  }
  return key;
}

void C11Enumerator::Visit(const Graph& graph) {
  if (!seen_.insert(KeyOf(graph)).second) return;
  bool ended = true;
  int died = 0;
  for (const bool stopped : graph.stopped) died += stopped;
  for (size_t i = 0; i < threads_.size(); ++i) {
    // One step more than it has instructions: its return, after which its death changes nothing.
    if (graph.stopped[i] || graph.next[i] > threads_[i].size()) continue;
    ended = false;
    if (died < deaths_) {
      Graph dead = graph;
      dead.stopped[i] = true;
      Visit(dead);
    }
    if (graph.next[i] < threads_[i].size()) {
      Extend(graph, static_cast<int>(i));
    } else {
      Graph returned = graph;
      ++returned.next[i];
      Visit(returned);
    }
  }
  if (ended) AddEnd(graph);
}

void C11Enumerator::AddEnd(const Graph& graph) {
  End end;
  for (size_t i = 0; i < threads_.size(); ++i) {
    std::vector<uint64_t>& told = end.told.emplace_back();
    if (graph.stopped[i]) continue;
    told.resize(threads_[i].size());
    for (const Event& event : graph.events) {
      if (event.thread == static_cast<int>(i) && event.reads) told[event.index] = event.read;
    }
  }
  for (const std::vector<int>& order : graph.modifications) {
    end.words.push_back(graph.events[static_cast<size_t>(order.back())].written);
  }
  ends_.insert(end);
}

void C11Enumerator::Extend(const Graph& graph, int thread) {
  const auto t = static_cast<size_t>(thread);
  const Instruction& instruction = threads_[t][graph.next[t]];
  Event event;
  event.thread = thread;
  event.index = graph.next[t];
  event.word = instruction.word;
  event.order = instruction.order;
  event.written = instruction.operand;
  switch (instruction.code) {
    case Code::kPlainLoad:
    case Code::kLoad:
      event.plain = instruction.code == Code::kPlainLoad;
      return AddRead(graph, event);
    case Code::kStoreSeqCst:
    case Code::kPlainStore:
    case Code::kStore:
      event.plain = instruction.code == Code::kPlainStore;
      if (instruction.code == Code::kStoreSeqCst) event.order = std::memory_order_seq_cst;
      return AddWrite(graph, event);
    case Code::kFetchAdd:
    case Code::kCompareAndSwap:
      return AddUpdate(graph, event, instruction);
    case Code::kFence:
      event.order = std::memory_order_seq_cst;
      [[fallthrough]];
    case Code::kFenceOf: {
      event.fence = true;
      Graph next = graph;
      next.events.push_back(event);
      return VisitIfConsistent(next);
    }
  }
}

void C11Enumerator::AddRead(const Graph& graph, const Event& event) {
  for (const int from : graph.modifications[event.word]) {
    Graph next = graph;
    Event read = event;
    read.reads = true;
    read.from = from;
    read.read = graph.events[static_cast<size_t>(from)].written;
    next.events.push_back(read);
    VisitIfConsistent(next);
  }
}

void C11Enumerator::AddWrite(const Graph& graph, const Event& event) {
  for (size_t place = 1; place <= graph.modifications[event.word].size(); ++place) {
    Graph next = graph;
    Event write = event;
    write.writes = true;
    std::vector<int>& order = next.modifications[event.word];
    order.insert(order.begin() + static_cast<ptrdiff_t>(place),
                 static_cast<int>(next.events.size()));
    next.events.push_back(write);
    VisitIfConsistent(next);
  }
}

void C11Enumerator::AddUpdate(const Graph& graph, const Event& event,
                              const Instruction& instruction) {
  const std::vector<int>& modifications = graph.modifications[event.word];
  for (size_t place = 0; place < modifications.size(); ++place) {
    Graph next = graph;
    Event update = event;
    update.reads = true;
    update.from = modifications[place];
    update.read = graph.events[static_cast<size_t>(update.from)].written;
    update.writes = instruction.code == Code::kFetchAdd || update.read == 0;
    if (instruction.code == Code::kFetchAdd) update.written += update.read;
    if (update.writes) {
      std::vector<int>& order = next.modifications[event.word];
      order.insert(order.begin() + static_cast<ptrdiff_t>(place) + 1,
                   static_cast<int>(next.events.size()));
    } else {
      update.order = FailureOrder(instruction.order);
    }
    next.events.push_back(update);
    VisitIfConsistent(next);
  }
}

void C11Enumerator::VisitIfConsistent(const Graph& graph) {
  Graph next = graph;
  ++next.next[static_cast<size_t>(graph.events.back().thread)];
  if (IsConsistent(next)) Visit(next);
}

// ---- The axioms ---------------------------------------------------------------------------------

bool C11Enumerator::IsConsistent(const Graph& graph) {
  const Relations of = RelationsOf(graph);
  const int count = static_cast<int>(graph.events.size());
  if (of.happens_before.HasCycle() || of.coherence.HasCycle()) return false;
  for (int a = 0; a < count; ++a) {
    for (int b = 0; b < count; ++b) {
      if (of.happens_before.Has(a, b) && of.coherence.Has(b, a)) return false;
    }
  }
  // An update reads what is right before it.
  for (const std::vector<int>& order : graph.modifications) {
    for (size_t place = 1; place < order.size(); ++place) {
      const Event& event = graph.events[static_cast<size_t>(order[place])];
      if (event.reads && event.from != order[place - 1]) return false;
    }
  }
  Relation all = SeqCstOrder(graph, of);
  for (int a = 0; a < count; ++a) {
    all.row[static_cast<size_t>(a)] |= of.sequenced.row[static_cast<size_t>(a)];
    const int from = graph.events[static_cast<size_t>(a)].from;
    if (from != kNone) all.Add(from, a);
  }
  all.Close();
  if (all.HasCycle()) return false;
  racy_ |= HasRace(graph, of.happens_before);
  return true;
}

C11Enumerator::Relations C11Enumerator::RelationsOf(const Graph& graph) const {
  Relations of;
  const int count = static_cast<int>(graph.events.size());
  for (int a = 0; a < count; ++a) {
    const Event& first = graph.events[static_cast<size_t>(a)];
    for (int b = 0; b < count; ++b) {
      const Event& second = graph.events[static_cast<size_t>(b)];
      if (second.thread == kNone) continue;
      if (first.thread == kNone || (first.thread == second.thread && first.index < second.index)) {
        of.sequenced.Add(a, b);
      }
    }
    if (first.from != kNone) of.coherence.Add(first.from, a);
  }
  for (const std::vector<int>& order : graph.modifications) {
    for (size_t i = 0; i < order.size(); ++i) {
      for (size_t n = i + 1; n < order.size(); ++n) {
        of.coherence.Add(order[i], order[n]);
        // Whoever reads an older store comes before the newer one.
        for (int a = 0; a < count; ++a) {
          if (a != order[n] && graph.events[static_cast<size_t>(a)].from == order[i]) {
            of.coherence.Add(a, order[n]);
          }
        }
      }
    }
  }
  of.coherence.Close();
  of.happens_before = of.sequenced;
  AddSynchronisation(graph, of.sequenced, of.happens_before);
  of.happens_before.Close();
  return of;
}

void C11Enumerator::AddSynchronisation(const Graph& graph, const Relation& sequenced,
                                       Relation& out) {
  const int count = static_cast<int>(graph.events.size());
  const auto event = [&](int i) -> const Event& { return graph.events[static_cast<size_t>(i)]; };
  for (int read = 0; read < count; ++read) {
    if (!event(read).reads || event(read).plain) continue;
    std::vector<int> sources, targets;
    // The heads of the release sequences that it reads from: what it reads, and as long as that is
    // an update, what that reads.
    for (int head = event(read).from; head != kNone && event(head).thread != kNone;
         head = event(head).from) {
      if (event(head).plain) break;
      if (Releases(event(head).order)) sources.push_back(head);
      for (int fence = 0; fence < count; ++fence) {
        if (event(fence).fence && Releases(event(fence).order) && sequenced.Has(fence, head)) {
          sources.push_back(fence);
        }
      }
    }
    if (Acquires(event(read).order)) targets.push_back(read);
    for (int fence = 0; fence < count; ++fence) {
      if (event(fence).fence && Acquires(event(fence).order) && sequenced.Has(read, fence)) {
        targets.push_back(fence);
      }
    }
    for (const int source : sources) {
      for (const int target : targets) {
        if (source != target) out.Add(source, target);
      }
    }
  }
}

// [atomics.order] 4: of two operations, one coherence-ordered before the other, who precedes whom.
C11Enumerator::Relation C11Enumerator::SeqCstOrder(const Graph& graph, const Relations& of) {
  Relation order;
  const int count = static_cast<int>(graph.events.size());
  const auto seq_cst = [&](int i) {
    const Event& event = graph.events[static_cast<size_t>(i)];
    return event.thread != kNone && !event.plain && event.order == std::memory_order_seq_cst;
  };
  const auto is_fence = [&](int i) { return graph.events[static_cast<size_t>(i)].fence; };
  for (int a = 0; a < count; ++a) {
    for (int b = 0; b < count; ++b) {
      if (!of.coherence.Has(a, b)) continue;
      std::vector<int> before, after;
      if (seq_cst(a)) before.push_back(a);
      if (seq_cst(b)) after.push_back(b);
      for (int fence = 0; fence < count; ++fence) {
        if (!is_fence(fence) || !seq_cst(fence)) continue;
        if (of.happens_before.Has(fence, a)) before.push_back(fence);
        if (of.happens_before.Has(b, fence)) after.push_back(fence);
      }
      for (const int first : before) {
        for (const int second : after) order.Add(first, second);
      }
    }
  }
  return order;
}

bool C11Enumerator::HasRace(const Graph& graph, const Relation& happens_before) {
  const int count = static_cast<int>(graph.events.size());
  for (int a = 0; a < count; ++a) {
    const Event& first = graph.events[static_cast<size_t>(a)];
    for (int b = a + 1; b < count; ++b) {
      const Event& second = graph.events[static_cast<size_t>(b)];
      if (first.thread == kNone || first.thread == second.thread || first.fence || second.fence ||
          first.word != second.word || (!first.writes && !second.writes) ||
          (!first.plain && !second.plain)) {
        continue;
      }
      if (!happens_before.Has(a, b) && !happens_before.Has(b, a)) return true;
    }
  }
  return false;
}

}  // namespace kill9::explore
