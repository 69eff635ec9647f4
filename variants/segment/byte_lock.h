// A write lock on one byte of a file, of the open file description (fcntl, F_OFD_SETLK): the kernel
// drops it when the last reference to the description goes, however its process ends.
//
// And where the proof is that a participant lives (participants.h), as it is found from outside: a
// byte that is locked, and the page whose mapping keeps the lock. That page is mapped at an offset
// of the slot's own, so /proc/PID/maps tells, in the reader's PID namespace and whatever the
// segment says, which process is which participant.
#ifndef KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_
#define KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace kill9 {

inline struct flock ByteLock(off_t byte, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

// Never waits. 0, or the error: EAGAIN or EACCES where another description has the lock.
inline int TryLockByte(int fd, off_t byte) {
  struct flock lock = ByteLock(byte, F_WRLCK);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}
inline void UnlockByte(int fd, off_t byte) {
  struct flock lock = ByteLock(byte, F_UNLCK);
  fcntl(fd, F_OFD_SETLK, &lock);
}
// Whether another description than that of `fd` has the lock. Also true if it cannot be told.
inline bool IsByteLocked(int fd, off_t byte) {
  struct flock lock = ByteLock(byte, F_WRLCK);
  return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

// Far from any byte that somebody else could lock.
inline constexpr off_t kProofLockBase = off_t{1} << 62;
constexpr off_t ProofLockByte(uint32_t slot) { return kProofLockBase + static_cast<off_t>(slot); }

inline size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
// At which offset of the file the page is mapped. It may lie behind the end: nobody touches it.
inline off_t ProofPageOffset(uint32_t slot) {
  return static_cast<off_t>(slot) * static_cast<off_t>(PageBytes());
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_
