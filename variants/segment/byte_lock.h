// A write lock on one byte of a file, of the open file description (fcntl, F_OFD_SETLK): the kernel
// drops it when the last reference to the description goes, however its process ends.
#ifndef KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_
#define KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_

#include <fcntl.h>
#include <sys/types.h>

#include <cerrno>

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

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_
