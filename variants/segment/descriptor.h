// A file descriptor that the program may close behind our back, as closefrom(3) and daemons do.
//
// Its number may be another file's by then: to ask that file about locks would be a wrong answer,
// and to close it somebody else's loss. So what is taken over remembers which file it is, and which
// object took over a number last.
#ifndef KILL9_VARIANTS_SEGMENT_DESCRIPTOR_H_
#define KILL9_VARIANTS_SEGMENT_DESCRIPTOR_H_

#include <sys/types.h>

#include <cstdint>

namespace kill9 {

class Descriptor {
 public:
  // Takes `fd` over, which is open.
  explicit Descriptor(int fd);
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { Close(); }

  int number() const { return number_; }
  // Whether the number still stands for the file that was taken over. One system call. True by
  // mistake only where somebody else has opened the same file since, under the same number and not
  // through this class.
  bool Intact() const;
  // Whether `fd` is open and of the file that was taken over.
  bool IsSameFile(int fd) const;
  dev_t device() const { return device_; }
  // Closes it, if it is intact. Idempotent.
  void Close();

 private:
  int number_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  uint64_t owner_;  // of the number, as the process's list of them says
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_DESCRIPTOR_H_
