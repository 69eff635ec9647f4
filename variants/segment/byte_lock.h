// A write lock on one byte of a file, of the open file description (fcntl, F_OFD_SETLK): the kernel
// drops it when the last reference to the description goes, however its process ends.
#ifndef KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_
#define KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_

#include <fcntl.h>
#include <sys/types.h>

namespace kill9 {

// `type`: F_WRLCK or F_UNLCK. Never waits. False: errno says why; EAGAIN or EACCES where somebody
// else has the lock.
inline bool SetByteLock(int fd, off_t byte, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_BYTE_LOCK_H_
