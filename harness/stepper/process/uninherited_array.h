// Memory that forked children do not inherit, so that a fork does not pay for it and no child's
// memory depends on it. Zero at first; nothing of it is there until it is touched.
#ifndef KILL9_HARNESS_STEPPER_PROCESS_UNINHERITED_ARRAY_H_
#define KILL9_HARNESS_STEPPER_PROCESS_UNINHERITED_ARRAY_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace kill9::stepper {

template <typename Element>
class UninheritedArray {
 public:
  explicit UninheritedArray(size_t count) : bytes_(count * sizeof(Element)) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("kill9: no address space for the stepper");
      std::abort();
    }
    madvise(memory, bytes_, MADV_DONTFORK);
    elements_ = static_cast<Element*>(memory);
  }
  ~UninheritedArray() { munmap(elements_, bytes_); }
  UninheritedArray(const UninheritedArray&) = delete;
  UninheritedArray& operator=(const UninheritedArray&) = delete;

  // Zero again.
  void Clear() { madvise(elements_, bytes_, MADV_DONTNEED); }
  Element* data() const { return elements_; }
  Element& operator[](size_t at) { return elements_[at]; }
  const Element& operator[](size_t at) const { return elements_[at]; }

 private:
  size_t bytes_;
  Element* elements_;
};

}  // namespace kill9::stepper

#endif  // KILL9_HARNESS_STEPPER_PROCESS_UNINHERITED_ARRAY_H_
