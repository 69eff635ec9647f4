// Bugs that were published in code that many used, as small programs. Each has a repaired form.
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "property/explore/programs/programs.h"

namespace kill9::explore {
namespace {

using Word = std::atomic<uint64_t>;
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kSeqCst = std::memory_order_seq_cst;

template <typename T>
T& In(char* memory) {
  return *reinterpret_cast<T*>(memory);
}

// ---- A stack whose tag comes from a stale copy: it does not change when it must (ABA) -----------

struct Stack {
  Word head;  // tag << 8 | node; 0: empty
  Word next[4];
};

// `tag`: what the caller believes the tag to be.
uint64_t Pop(Stack& stack, uint64_t* tag, bool repaired) {
  uint64_t seen = stack.head.load(kAcquire);
  while ((seen & 0xff) != 0) {
    const uint64_t node = seen & 0xff;
    const uint64_t next = stack.next[node].load(kRelaxed);
    if (repaired) *tag = seen >> 8;
    if (stack.head.compare_exchange_strong(seen, (*tag + 1) << 8 | next, kSeqCst, kAcquire)) {
      return node;
    }
  }
  return 0;
}

void Push(Stack& stack, uint64_t node, uint64_t* tag, bool repaired) {
  uint64_t seen = stack.head.load(kAcquire);
  do {
    stack.next[node].store(seen & 0xff, kRelaxed);
    if (repaired) *tag = seen >> 8;
  } while (!stack.head.compare_exchange_strong(seen, (*tag + 1) << 8 | node, kSeqCst, kAcquire));
}

Program StaleTag(bool repaired) {
  Program program;
  program.name = "stale_tag";
  program.must_not_wait = true;
  program.prepare = [](char* memory) {
    Stack& stack = In<Stack>(memory);
    stack.head.store(1, kRelaxed);
    stack.next[1].store(2, kRelaxed);
  };
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Stack& stack = In<Stack>(memory);
    uint64_t tag = stack.head.load(kAcquire) >> 8;
    results[0] = Pop(stack, &tag, repaired);
    if (participant == 0) return;
    const uint64_t first = results[0], second = Pop(stack, &tag, repaired);
    results[0] = 0;
    if (first != 0) Push(stack, first, &tag, repaired);
    if (second != 0) Push(stack, second, &tag, repaired);
  };
  program.judge = [](char* memory, const ProgramOutcome& outcome) -> std::string {
    // Each node has one owner: the stack, or whoever popped it and kept it.
    int owners[4] = {};
    uint64_t node = In<Stack>(memory).head.load(kRelaxed) & 0xff;
    for (int steps = 0; node != 0 && steps < 4; ++steps) {
      ++owners[node];
      node = In<Stack>(memory).next[node].load(kRelaxed);
    }
    ++owners[outcome.results[0][0]];
    return owners[1] == 1 && owners[2] == 1 ? "" : "a node has two owners, or none";
  };
  return program;
}

// ---- A flag is raised before the tail that it guards: an empty queue that is not ---------------

struct Flagged {
  Word ready, tail, cells[2];
};

Program FlagBeforeTail(bool repaired) {
  Program program;
  program.name = "flag_before_tail";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Flagged& queue = In<Flagged>(memory);
    if (participant == 0) {
      queue.cells[0].store(7, kRelaxed);
      if (!repaired) queue.ready.store(1, kRelease);
      queue.tail.store(1, kRelease);
      if (repaired) queue.ready.store(1, kRelease);
    } else {
      results[0] = queue.ready.load(kAcquire);
      results[1] = queue.tail.load(kAcquire) == 0 ? 0 : queue.cells[0].load(kRelaxed);
    }
  };
  program.judge = [](char*, const ProgramOutcome& outcome) -> std::string {
    if (outcome.results[1][0] == 1 && outcome.results[1][1] != 7) {
      return "the flag says that there is something, and the queue is empty";
    }
    return "";
  };
  return program;
}

// ---- No store-to-load fence before a sleep: a wake-up is lost ----------------------------------

struct Sleeper {
  Word work, sleeping;
};

Program NoFenceBeforeSleep(bool repaired) {
  Program program;
  program.name = "no_fence_before_sleep";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Sleeper& shared = In<Sleeper>(memory);
    if (participant == 0) {
      shared.sleeping.store(1, kRelease);
      if (repaired) std::atomic_thread_fence(kSeqCst);
      results[0] = shared.work.load(kAcquire);  // 0: it sleeps
    } else {
      shared.work.store(1, kRelease);
      if (repaired) std::atomic_thread_fence(kSeqCst);
      results[0] = shared.sleeping.load(kAcquire);  // 1: it wakes the sleeper
    }
  };
  program.judge = [](char*, const ProgramOutcome& outcome) -> std::string {
    return outcome.results[0][0] == 0 && outcome.results[1][0] == 0
               ? "it sleeps beside its work, and nobody wakes it"
               : "";
  };
  return program;
}

// ---- An epoch is announced by a plain store: what is being read is freed -----------------------

struct Epochs {
  Word announced, pointer, node;
};

Program EpochByPlainStore(bool repaired) {
  Program program;
  program.name = "epoch_by_plain_store";
  program.prepare = [](char* memory) {
    In<Epochs>(memory).pointer.store(1, kRelaxed);
    In<Epochs>(memory).node.store(5, kRelaxed);
  };
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Epochs& shared = In<Epochs>(memory);
    if (participant == 0) {
      shared.announced.store(1, repaired ? kSeqCst : kRelease);
      if (shared.pointer.load(kSeqCst) != 0) results[0] = shared.node.load(kAcquire);
      shared.announced.store(0, kRelease);
    } else {
      shared.pointer.store(0, kSeqCst);
      if (shared.announced.load(kSeqCst) == 0) shared.node.store(99, kRelease);  // freed
    }
  };
  program.judge = [](char*, const ProgramOutcome& outcome) -> std::string {
    return outcome.results[0][0] == 99 ? "it reads what is freed" : "";
  };
  return program;
}

// ---- A consumer joins against what producers have reserved, not what they have filled ----------

struct Ring {
  Word reserved, filled, cells[4];
};

Program JoinAgainstReservation(bool repaired) {
  Program program;
  program.name = "join_against_reservation";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Ring& ring = In<Ring>(memory);
    if (participant == 0) {
      const uint64_t cell = ring.reserved.fetch_add(1, kSeqCst);
      ring.cells[cell].store(7, kRelaxed);
      ring.filled.fetch_add(1, kSeqCst);
    } else {
      const uint64_t count = (repaired ? ring.filled : ring.reserved).load(kAcquire);
      results[0] = count;
      if (count > 0) results[1] = ring.cells[0].load(kRelaxed);
    }
  };
  program.judge = [](char*, const ProgramOutcome& outcome) -> std::string {
    return outcome.results[1][0] > 0 && outcome.results[1][1] != 7
               ? "it takes a cell that is not filled"
               : "";
  };
  return program;
}

// ---- Recovery takes the reservation of a producer who is only slow, and who then writes --------

struct Reservation {
  Word owner;  // process id; 0: nobody
  Word cell, taken_by;
};

Program ReservationOfTheSlow(bool repaired) {
  Program program;
  program.name = "reservation_of_the_slow";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Reservation& shared = In<Reservation>(memory);
    const auto own = static_cast<uint64_t>(getpid());
    if (participant == 0) {
      shared.owner.store(own, kSeqCst);
      shared.cell.store(1, kRelaxed);
      uint64_t expected = own;
      results[0] = shared.owner.compare_exchange_strong(expected, 0, kSeqCst, kAcquire);
    } else {
      uint64_t owner = shared.owner.load(kAcquire);
      // It was there for a while: it must be dead.
      if (owner == 0 || (repaired && kill(static_cast<pid_t>(owner), 0) == 0)) return;
      if (!shared.owner.compare_exchange_strong(owner, own, kSeqCst, kAcquire)) return;
      shared.cell.store(2, kRelaxed);
      results[0] = 1;
    }
  };
  program.judge = [](char* memory, const ProgramOutcome& outcome) -> std::string {
    return outcome.results[1][0] == 1 && In<Reservation>(memory).cell.load(kRelaxed) != 2
               ? "who was taken for dead writes into a cell that is another's by now"
               : "";
  };
  return program;
}

// ---- Death between allocation and commit; two who repair move the tail backwards ---------------

struct Log {
  Word tail;  // repaired: changes << 8 | entries; else entries
  Word committed[4];
};

uint64_t EntriesIn(uint64_t tail) { return tail & 0xff; }
uint64_t Next(uint64_t tail, uint64_t entries, bool repaired) {
  return (repaired ? ((tail >> 8) + 1) << 8 : 0) | entries;
}

void Repair(Log& log, bool repaired) {
  uint64_t tail = log.tail.load(kAcquire);
  while (EntriesIn(tail) > 0 && log.committed[EntriesIn(tail) - 1].load(kAcquire) == 0) {
    const uint64_t next = Next(tail, EntriesIn(tail) - 1, repaired);
    if (!repaired) {
      log.tail.store(next, kSeqCst);
      tail = next;
    } else if (log.tail.compare_exchange_strong(tail, next, kSeqCst, kAcquire)) {
      tail = next;
    }
  }
}

Program TwoRepairers(bool repaired) {
  Program program;
  program.name = "two_repairers";
  program.participants = 3;
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Log& log = In<Log>(memory);
    if (participant == 0) {
      const uint64_t tail = log.tail.fetch_add(1, kSeqCst);
      log.committed[EntriesIn(tail)].store(1, kRelease);
      return;
    }
    if (kill(1'000'000, 0) == 0) return;  // the first one's process
    Repair(log, repaired);
    if (participant == 2) return;
    uint64_t tail = log.tail.load(kAcquire);
    do {
      log.committed[EntriesIn(tail)].store(1, kRelease);
    } while (!log.tail.compare_exchange_strong(tail, Next(tail, EntriesIn(tail) + 1, repaired),
                                               kSeqCst, kAcquire));
    results[0] = EntriesIn(tail) + 1;
  };
  program.judge = [](char* memory, const ProgramOutcome& outcome) -> std::string {
    return EntriesIn(In<Log>(memory).tail.load(kAcquire)) < outcome.results[1][0]
               ? "an entry that was appended is behind the tail again"
               : "";
  };
  return program;
}

// ---- A publisher dies while a queue's cell is its own: whoever comes to it waits for ever -------

struct Cells {
  Word turn, owner, value;
};

Program CellOfTheDead(bool repaired) {
  Program program;
  program.name = "cell_of_the_dead";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Cells& cell = In<Cells>(memory);
    if (participant == 0) {
      cell.owner.store(static_cast<uint64_t>(getpid()), kSeqCst);
      cell.turn.store(1, kRelease);  // the cell is its own
      cell.value.store(7, kRelaxed);
      cell.turn.store(2, kRelease);  // and is full
      return;
    }
    if (cell.turn.load(kAcquire) == 0) return;
    while (cell.turn.load(kAcquire) != 2) {
      if (repaired && kill(static_cast<pid_t>(cell.owner.load(kAcquire)), 0) != 0) return;
      sched_yield();
    }
    results[0] = cell.value.load(kRelaxed);
  };
  return program;
}

// ---- A queue's head is changed by an update that only acquires: the next reader finds a link that
// is not yet written -----------------------------------------------------------------------------

struct Linked {
  Word head, value;
};

Program UpdateOnlyAcquires(bool repaired) {
  Program program;
  program.name = "update_only_acquires";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Linked& queue = In<Linked>(memory);
    if (participant == 0) {
      queue.value.store(7, kRelaxed);
      uint64_t expected = 0;
      // [spare acquire: nobody has stored before]
      queue.head.compare_exchange_strong(expected, 1,
                                         repaired ? std::memory_order_acq_rel : kAcquire, kAcquire);
    } else {
      results[0] = queue.head.load(kAcquire);
      if (results[0] == 1) results[1] = queue.value.load(kRelaxed);
    }
  };
  program.judge = [](char*, const ProgramOutcome& outcome) -> std::string {
    return outcome.results[1][0] == 1 && outcome.results[1][1] != 7
               ? "it follows a link to what is not yet written"
               : "";
  };
  return program;
}

// ---- A seqlock with both fences on the wrong side ----------------------------------------------

struct Sequenced {
  Word sequence, first, second;
};

Program SeqlockFences(bool repaired) {
  Program program;
  program.name = "seqlock_fences";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Sequenced& shared = In<Sequenced>(memory);
    if (participant == 0) {
      if (!repaired) std::atomic_thread_fence(kRelease);
      shared.sequence.store(1, kRelaxed);
      if (repaired) std::atomic_thread_fence(kRelease);
      shared.first.store(7, kRelaxed);
      shared.second.store(7, kRelaxed);
      shared.sequence.store(2, kRelease);
    } else {
      const uint64_t before = shared.sequence.load(kAcquire);
      results[1] = shared.first.load(kRelaxed);
      results[2] = shared.second.load(kRelaxed);
      if (repaired) std::atomic_thread_fence(kAcquire);
      const uint64_t after = shared.sequence.load(kRelaxed);
      if (!repaired) std::atomic_thread_fence(kAcquire);
      results[0] = before % 2 == 0 && before == after;
    }
  };
  program.judge = [](char*, const ProgramOutcome& outcome) -> std::string {
    const auto& read = outcome.results[1];
    return read[0] == 1 && read[1] != read[2] ? "half of what it reads is old" : "";
  };
  return program;
}

// ---- A buffer is given back by a relaxed store: who takes it writes while it is still read ------

struct Lent {
  Word free;
  uint64_t bytes;  // plain
};

Program RelaxedGivingBack(bool repaired) {
  Program program;
  program.name = "relaxed_giving_back";
  program.run = [repaired](char* memory, int participant, uint64_t* results) {
    Lent& shared = In<Lent>(memory);
    if (participant == 0) {
      results[0] = shared.bytes;
      shared.free.store(1, repaired ? kRelease : kRelaxed);
    } else if (shared.free.load(kAcquire) == 1) {
      shared.bytes = 9;
    }
  };
  return program;
}

// ---- A commit mark is a plain store after plain stores: the compiler may put it before them -----

struct Committed {
  uint64_t mark, first, second;
};

Program MarkByLuck(bool repaired) {
  Program program;
  program.name = "mark_by_luck";
  program.participants = 1;
  program.run = [repaired](char* memory, int, uint64_t*) {
    Committed& shared = In<Committed>(memory);
    shared.first = 7;
    shared.second = 7;
    if (repaired) std::atomic_signal_fence(kSeqCst);
    shared.mark = 1;
  };
  program.judge = [](char* memory, const ProgramOutcome&) -> std::string {
    const Committed& shared = In<Committed>(memory);
    return shared.mark == 1 && (shared.first != 7 || shared.second != 7)
               ? "it is marked as committed, and is not all there"
               : "";
  };
  return program;
}

}  // namespace

const std::vector<PublicBug>& PublicBugs() {
  static const std::vector<PublicBug>* const bugs = new std::vector<PublicBug>{
      {"stale_tag", "an ABA tag is raised from a stale copy inside the CAS loop", 0,
       MemoryModel::kSc, StaleTag},
      {"flag_before_tail", "a flag is published before the tail that it guards", 0,
       MemoryModel::kSc, FlagBeforeTail},
      {"no_fence_before_sleep", "no store-to-load fence before a sleep", 0, MemoryModel::kTso,
       NoFenceBeforeSleep},
      {"epoch_by_plain_store", "an epoch is announced by a plain store", 0, MemoryModel::kTso,
       EpochByPlainStore},
      {"join_against_reservation", "a consumer joins against a producer's reservation", 0,
       MemoryModel::kSc, JoinAgainstReservation},
      {"reservation_of_the_slow", "recovery takes a paused producer's reservation", 0,
       MemoryModel::kSc, ReservationOfTheSlow},
      {"two_repairers", "two repairers move the tail backwards", 1, MemoryModel::kSc, TwoRepairers},
      {"cell_of_the_dead", "a publisher dies owning a queue's cell", 1, MemoryModel::kSc,
       CellOfTheDead},
      {"update_only_acquires", "an update of a queue's head acquires and does not release", 0,
       MemoryModel::kC11, UpdateOnlyAcquires},
      {"seqlock_fences", "a seqlock with both fences on the wrong side", 0, MemoryModel::kC11,
       SeqlockFences},
      {"relaxed_giving_back", "what was read is given back by a relaxed store", 0,
       MemoryModel::kC11, RelaxedGivingBack},
      {"mark_by_luck", "a commit is marked by a plain store that nothing orders", 1,
       MemoryModel::kCompiler, MarkByLuck},
  };
  return *bugs;
}

}  // namespace kill9::explore
