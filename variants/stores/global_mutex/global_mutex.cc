// global_mutex: everything under one process-shared robust mutex.
//
// The simplest design that loses nothing: one lock domain (variants/stores/locked/shard.h) is the
// whole store. Layout, invariants and commit points are those of variants/stores/locked: journal.h
// (J1-J5), heap.h (H1-H6), shard.h (D1-D5), ledger.h (L1-L4), recovery.cc, audit.cc.
#include "variants/stores/locked/locked_variant.h"

namespace kill9 {
namespace {

class GlobalMutexVariant final : public locked::LockedVariant {
 public:
  GlobalMutexVariant() : LockedVariant("global_mutex") {}
  std::string_view summary() const override {
    return "one robust mutex over a hash table and a coalescing heap, repaired from an undo "
           "journal";
  }
  const Traits& traits() const override {
    static const Traits traits = [] {
      Traits own;
      own.can_keep_terms = true;
      own.has_modify = true;
      own.edges = locked::kSizeEdges;
      own.recovery_trigger =
          "the next locker undoes a half-done operation; holds come back by Recover(), by an "
          "attach that finds no slot, or by an allocation that finds no room";
      own.recovery_cost = "one operation's journal, plus what the dead participant held";
      return own;
    }();
    return traits;
  }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return locked::CreateSegment(options, name(), 1);
  }
};

}  // namespace

const Variant& GlobalMutex();
const Variant& GlobalMutex() {
  static const GlobalMutexVariant variant;
  return variant;
}

}  // namespace kill9
