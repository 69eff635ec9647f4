// What the operations of a heap hold in a history beyond their block: who calls, and to whom or how
// many bytes. An owner of blocks is a participant: one attachment of one process.
#ifndef KILL9_HARNESS_HISTORY_HEAP_CALL_H_
#define KILL9_HARNESS_HISTORY_HEAP_CALL_H_

#include <cstdint>

#include "harness/history/history.h"

namespace kill9 {

// A participant, as `expected` names one: its process in the low 24 bits, above them which of its
// attachments it is.
inline constexpr int kOwnerProcessBits = 24;
constexpr uint64_t HeapOwner(uint64_t process, uint64_t attachment) {
  constexpr uint64_t kAttachments = uint64_t{1} << (kAttachmentShift - kOwnerProcessBits);
  return process | (attachment % kAttachments) << kOwnerProcessBits;
}
// What `expected` holds: the caller's attachment, and the size or to whom.
constexpr uint64_t HeapCall(uint64_t attachment, uint64_t size_or_owner) {
  return HeapOwner(0, attachment) << (kAttachmentShift - kOwnerProcessBits) | size_or_owner;
}
constexpr uint64_t SizeOrOwnerOf(const Operation& operation) {
  return operation.expected & ((uint64_t{1} << kAttachmentShift) - 1);
}
constexpr uint64_t CallerOf(const Operation& operation) {
  return operation.process | operation.expected >> kAttachmentShift << kOwnerProcessBits;
}
// The bit of `result` that stands for an owner; two of one bit are not told apart.
constexpr uint64_t OwnerBit(uint64_t owner) { return uint64_t{1} << owner % 64; }

}  // namespace kill9

#endif  // KILL9_HARNESS_HISTORY_HEAP_CALL_H_
