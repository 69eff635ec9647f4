// The functions of objects: one row says what a call is given, what it tells, and what it does.
// What reads, writes, checks or shows operations asks the row; only a model's Step and a driver
// know a function by its name. A new operation of an object is a new row.
#ifndef KILL9_HARNESS_HISTORY_FUNCTION_H_
#define KILL9_HARNESS_HISTORY_FUNCTION_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace kill9 {

enum class Function : uint8_t {
  kPut,             // argument = value written; result_version = its version (0: not recorded)
  kGet,             // result = value read (kNothing: absent); result_version (0: not recorded)
  kErase,           // result = 1 if it was there, else 0
  kCompareAndSwap,  // expected (a version), argument; ok: swapped, result_version = the new one;
                    // fail: it did not match, result_version = the present one (0: absent)
  kPin,             // reads as kGet; the value is validated again before release
  kCommit,          // a draft's commit; as kPut
  kRecover,         // no effect on keys
  kAttach,
  kDetach,
  kForEach,
  kEnqueue,              // argument; of the queue model
  kDequeue,              // result (kNothing: the queue was empty)
  kCompareAndSwapValue,  // as kCompareAndSwap, but expected is a value (Jepsen's :cas [old new]);
                         // fail: it had no effect, nothing more is known
  kAdd,                  // argument, a number; of a counter
  kRead,                 // result, a number
  // Of a channel; `argument`, or `result`, is a message. result_version: twice its sequence, plus 1
  // if it was marked redelivered; 0: not recorded. Of a broadcast, `expected` of what was received:
  // how many were missed before it.
  kSend,         // argument
  kReceive,      // result (kNothing: there was none): taken and acknowledged
  kTake,         // result (kNothing: there was none): this process's until it gives it up
  kAcknowledge,  // argument: it never comes again
  kReturn,       // argument: it comes again
  kCount,        // result: how many messages there are that were not acknowledged
  kSubscribe,    // result: the sequence after which the process begins (again)
  // Of a heap; `argument` is a block's name, given by one allocation only; `expected`, below
  // kAttachmentShift, the size or to whom, above it which of its process's attachments the caller
  // is (harness/history/heap_call.h).
  kAllocate,  // the size; result: where it begins. The caller owns it
  kFree,      // result = 1 if the caller was an owner, else 0; so of the two below
  kShare,     // to whom, who is an owner from then on
  kTransfer,  // to whom, who is an owner from then on, in place of the caller
  kOwners,    // result: a bit for each owner
  // Of a lock.
  kAcquire,  // argument: who calls; result: whether it is the caller's now (Field::kAcquired)
  kRelease,  // argument: who calls
  kDie,      // argument: who died, between two calls; what it held is nobody's
  // Of a set, whose members are keys.
  kAddMember,     // result: 1 if it was no member before, else 0
  kRemoveMember,  // result = 1 if it was a member, else 0
  kContains,      // result = 1 if it is a member, else 0
  // Of a lease. What is given back, and who dies: kRelease, kDie. Clocks are read when it is asked
  // for (`expected`) and when it is answered, or its caller is dead (result_version; 0: not known);
  // `argument`: the term, in the same unit.
  kAcquireFor,  // result: whether it is the caller's now (Field::kAcquired)
  kRenew,       // result: whether it still is
  // Of a condition.
  kWait,       // sleeps until a wake-up is there, and takes it
  kSignal,     // argument: so many wake-ups more (1)
  kBroadcast,  // argument: so many wake-ups more, and all who sleep look
  kWakeUps,    // result: how many are there
  // Of a list.
  kAppend,      // argument
  kAt,          // argument, an index from 0 on; result (kNothing: the list is shorter)
  kRemoveItem,  // argument; result = 1 if it was there, else 0
  // As kPut, of a value with a deadline; `expected`: a time of the history, at which the deadline
  // may be over (it surely was not before).
  kPutUntil,
};

// Of the functions of a heap.
inline constexpr int kAttachmentShift = 40;

// What an operation is called on.
enum class Target : uint8_t {
  kObject,   // the object as a whole: no key, and no model looks at it
  kValue,    // the one value of a key
  kQueue,    // the queue of a key
  kCounter,  // the number of a key
  kBlocks,   // the blocks of a heap
  kLock,     // the lock of a key
  kMember,   // whether a key is a member
  kWakeUps,  // the wake-ups of a key
  kList,     // the list of a key
};

// What a completed operation does to its target.
enum class Effect : uint8_t {
  kNone,
  kWrites,   // what stands in `argument`
  kRemoves,  // a value, where there was one
  kAdds,     // `argument`, a number, to the one that is there
  kHolds,    // takes it for the caller, or gives it back
  kInserts,  // a member, where there was none
  kTakes,    // one, of a number
};

// What a field of an operation holds.
enum class Field : uint8_t {
  kUnused,
  kValue,          // the id of a value, or kNothing
  kRequiredValue,  // never kNothing
  kVersion,        // a number
  kNumber,         // itself: no value has it as its id
  kTime,           // of the history; in EDN as :time tells it, or the number of the line
  kWasThere,       // 1, 0, or kErasedUntold
  kWasNew,         // 1, 0, or kErasedUntold
  kCaller,         // the number of the process that calls, plus 1
  kAcquired,       // one of kHeldByOther and those below it (history.h)
};

struct FunctionRow {
  Function function;
  std::string_view name;     // in EDN with a colon before it
  std::string_view aliases;  // further names that EDN is read with, a blank between two
  std::string_view call;     // what a process is doing, in messages
  Target target = Target::kObject;
  Effect effect = Effect::kNone;
  Field argument = Field::kUnused;
  Field expected = Field::kUnused;
  Field result = Field::kUnused;
  // Whether it tells how many messages were missed: `expected`, in EDN :missed.
  bool tells_missed = false;
  std::string_view number = "value";  // what a worker is told an argument that is a number by
};

inline constexpr FunctionRow kFunctions[] = {
    {.function = Function::kPut,
     .name = "put",
     .aliases = "write w set",
     .call = "Put",
     .target = Target::kValue,
     .effect = Effect::kWrites,
     .argument = Field::kValue},
    {.function = Function::kGet,
     .name = "get",
     .aliases = "read r",
     .call = "Get",
     .target = Target::kValue,
     .result = Field::kValue},
    {.function = Function::kErase,
     .name = "erase",
     .aliases = "delete remove",
     .call = "Erase",
     .target = Target::kValue,
     .effect = Effect::kRemoves,
     .result = Field::kWasThere},
    {.function = Function::kCompareAndSwap,
     .name = "compare-and-swap",
     .aliases = "",
     .call = "CompareAndSwap",
     .target = Target::kValue,
     .effect = Effect::kWrites,
     .argument = Field::kValue,
     .expected = Field::kVersion},
    {.function = Function::kPin,
     .name = "pin",
     .aliases = "",
     .call = "Pin or its release",
     .target = Target::kValue,
     .result = Field::kValue},
    {.function = Function::kCommit,
     .name = "commit",
     .aliases = "",
     .call = "Reserve, Commit or drop",
     .target = Target::kValue,
     .effect = Effect::kWrites,
     .argument = Field::kValue},
    {.function = Function::kRecover, .name = "recover", .aliases = "", .call = "Recover"},
    {.function = Function::kAttach, .name = "attach", .aliases = "", .call = "Attach"},
    {.function = Function::kDetach, .name = "detach", .aliases = "", .call = "Detach"},
    {.function = Function::kForEach, .name = "for-each", .aliases = "", .call = "ForEach"},
    {.function = Function::kEnqueue,
     .name = "enqueue",
     .aliases = "",
     .call = "Enqueue",
     .target = Target::kQueue,
     .effect = Effect::kWrites,
     .argument = Field::kRequiredValue},
    {.function = Function::kDequeue,
     .name = "dequeue",
     .aliases = "",
     .call = "Dequeue",
     .target = Target::kQueue,
     .effect = Effect::kRemoves,
     .result = Field::kValue},
    {.function = Function::kCompareAndSwapValue,
     .name = "cas",
     .aliases = "",
     .call = "CompareAndSwap",
     .target = Target::kValue,
     .effect = Effect::kWrites,
     .argument = Field::kValue,
     .expected = Field::kValue},
    {.function = Function::kAdd,
     .name = "add",
     .aliases = "",
     .call = "Add",
     .target = Target::kCounter,
     .effect = Effect::kAdds,
     .argument = Field::kNumber},
    {.function = Function::kRead,
     .name = "read",
     .aliases = "",
     .call = "Read",
     .target = Target::kCounter,
     .result = Field::kNumber},
    {.function = Function::kSend,
     .name = "send",
     .aliases = "",
     .call = "Send or Commit",
     .target = Target::kQueue,
     .effect = Effect::kWrites,
     .argument = Field::kRequiredValue},
    {.function = Function::kReceive,
     .name = "receive",
     .aliases = "",
     .call = "Receive",
     .target = Target::kQueue,
     .effect = Effect::kRemoves,
     .result = Field::kValue,
     .tells_missed = true},
    {.function = Function::kTake,
     .name = "take",
     .aliases = "",
     .call = "Take",
     .target = Target::kQueue,
     .effect = Effect::kRemoves,
     .result = Field::kValue,
     .tells_missed = true},
    {.function = Function::kAcknowledge,
     .name = "acknowledge",
     .aliases = "",
     .call = "Acknowledge",
     .target = Target::kQueue,
     .effect = Effect::kRemoves,
     .argument = Field::kRequiredValue},
    {.function = Function::kReturn,
     .name = "return",
     .aliases = "",
     .call = "Return",
     .target = Target::kQueue,
     .effect = Effect::kRemoves,
     .argument = Field::kRequiredValue},
    {.function = Function::kCount,
     .name = "count",
     .aliases = "",
     .call = "Look",
     .target = Target::kQueue,
     .result = Field::kNumber},
    {.function = Function::kSubscribe,
     .name = "subscribe",
     .aliases = "",
     .call = "Attach",
     .target = Target::kQueue,
     .result = Field::kNumber},
    {.function = Function::kAllocate,
     .name = "allocate",
     .aliases = "",
     .call = "Allocate",
     .target = Target::kBlocks,
     .effect = Effect::kWrites,
     .argument = Field::kRequiredValue,
     .expected = Field::kNumber,
     .result = Field::kNumber},
    {.function = Function::kFree,
     .name = "free",
     .aliases = "",
     .call = "Free",
     .target = Target::kBlocks,
     .effect = Effect::kRemoves,
     .argument = Field::kRequiredValue,
     .expected = Field::kNumber,
     .result = Field::kWasThere},
    {.function = Function::kShare,
     .name = "share",
     .aliases = "",
     .call = "Share",
     .target = Target::kBlocks,
     .effect = Effect::kWrites,
     .argument = Field::kRequiredValue,
     .expected = Field::kNumber,
     .result = Field::kWasThere},
    {.function = Function::kTransfer,
     .name = "transfer",
     .aliases = "",
     .call = "Transfer",
     .target = Target::kBlocks,
     .effect = Effect::kWrites,
     .argument = Field::kRequiredValue,
     .expected = Field::kNumber,
     .result = Field::kWasThere},
    {.function = Function::kOwners,
     .name = "owners",
     .aliases = "",
     .call = "Owners",
     .target = Target::kBlocks,
     .argument = Field::kRequiredValue,
     .expected = Field::kNumber,
     .result = Field::kNumber},
    {.function = Function::kAcquire,
     .name = "acquire",
     .aliases = "lock",
     .call = "Acquire",
     .target = Target::kLock,
     .effect = Effect::kHolds,
     .argument = Field::kCaller,
     .result = Field::kAcquired},
    {.function = Function::kRelease,
     .name = "release",
     .aliases = "unlock",
     .call = "Release",
     .target = Target::kLock,
     .effect = Effect::kHolds,
     .argument = Field::kCaller},
    {.function = Function::kDie,
     .name = "die",
     .aliases = "",
     .call = "its death",
     .target = Target::kLock,
     .effect = Effect::kHolds,
     .argument = Field::kCaller},
    {.function = Function::kAddMember,
     .name = "add",
     .aliases = "",
     .call = "Add",
     .target = Target::kMember,
     .effect = Effect::kInserts,
     .result = Field::kWasNew},
    {.function = Function::kRemoveMember,
     .name = "remove",
     .aliases = "",
     .call = "Remove",
     .target = Target::kMember,
     .effect = Effect::kRemoves,
     .result = Field::kWasThere},
    {.function = Function::kContains,
     .name = "contains",
     .aliases = "member",
     .call = "Contains",
     .target = Target::kMember,
     .result = Field::kWasThere},
    {.function = Function::kAcquireFor,
     .name = "acquire",
     .aliases = "",
     .call = "Acquire",
     .target = Target::kLock,
     .effect = Effect::kHolds,
     .argument = Field::kNumber,
     .expected = Field::kNumber,
     .result = Field::kAcquired,
     .number = "term_ns"},
    {.function = Function::kRenew,
     .name = "renew",
     .aliases = "",
     .call = "Renew",
     .target = Target::kLock,
     .effect = Effect::kHolds,
     .argument = Field::kNumber,
     .expected = Field::kNumber,
     .result = Field::kAcquired,
     .number = "term_ns"},
    {.function = Function::kWait,
     .name = "wait",
     .aliases = "",
     .call = "Wait",
     .target = Target::kWakeUps,
     .effect = Effect::kTakes},
    {.function = Function::kSignal,
     .name = "signal",
     .aliases = "",
     .call = "Signal",
     .target = Target::kWakeUps,
     .effect = Effect::kAdds,
     .argument = Field::kNumber},
    {.function = Function::kBroadcast,
     .name = "broadcast",
     .aliases = "",
     .call = "Broadcast",
     .target = Target::kWakeUps,
     .effect = Effect::kAdds,
     .argument = Field::kNumber},
    {.function = Function::kWakeUps,
     .name = "read",
     .aliases = "",
     .call = "Read",
     .target = Target::kWakeUps,
     .result = Field::kNumber},
    {.function = Function::kAppend,
     .name = "append",
     .aliases = "",
     .call = "Append",
     .target = Target::kList,
     .effect = Effect::kWrites,
     .argument = Field::kRequiredValue},
    {.function = Function::kAt,
     .name = "read",
     .aliases = "nth",
     .call = "Read",
     .target = Target::kList,
     .argument = Field::kNumber,
     .result = Field::kValue,
     .number = "index"},
    {.function = Function::kRemoveItem,
     .name = "remove",
     .aliases = "",
     .call = "Remove",
     .target = Target::kList,
     .effect = Effect::kRemoves,
     .argument = Field::kRequiredValue,
     .result = Field::kWasThere},
    {.function = Function::kPutUntil,
     .name = "put-until",
     .aliases = "",
     .call = "Put with a deadline",
     .target = Target::kValue,
     .effect = Effect::kWrites,
     .argument = Field::kValue,
     .expected = Field::kTime},
};

constexpr bool FunctionsAreInOrder() {
  for (size_t i = 0; i < std::size(kFunctions); ++i) {
    if (static_cast<size_t>(kFunctions[i].function) != i) return false;
  }
  return true;
}
static_assert(FunctionsAreInOrder(), "a function's row is found by its number");

// Whether a :value of EDN is its argument: what it tells then is its :result.
constexpr bool TakesValue(const FunctionRow& row) {
  return row.argument != Field::kUnused && row.argument != Field::kCaller;
}

constexpr const FunctionRow& RowOf(Function function) {
  return kFunctions[static_cast<size_t>(function)];
}

// Whether EDN may call it so; `name` without the colon.
constexpr bool IsNameOf(const FunctionRow& row, std::string_view name) {
  if (name == row.name) return true;
  for (std::string_view rest = row.aliases; !rest.empty();) {
    const size_t blank = rest.find(' ');
    if (rest.substr(0, blank) == name) return true;
    rest.remove_prefix(blank == rest.npos ? rest.size() : blank + 1);
  }
  return false;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_FUNCTION_H_
