// Memory that a run's processes share, made before they fork.
#ifndef KILL9_HARNESS_BASE_SHARED_MAPPING_H_
#define KILL9_HARNESS_BASE_SHARED_MAPPING_H_

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace kill9 {

// A shared mapping, all zero; null if there is no room. Of its beginning, `eager_bytes` have their
// memory at once, where the kernel can in pages of 2 MiB: a forked child finds no shared page
// mapped, and pays for each one that it touches.
char* MapShared(size_t bytes, size_t eager_bytes);

// Whole pages, all zero, that children share; null if there is no room, and errno says why.
void* MapSharedPages(size_t bytes);
void UnmapPages(void* pages, size_t bytes);

// One object in pages of its own; without its destructor, since some of those that share it may be
// killed. Null if there is no room.
struct UnmapObject {
  template <typename Object>
  void operator()(Object* object) const {
    UnmapPages(object, sizeof *object);
  }
};
template <typename Object>
using SharedMapping = std::unique_ptr<Object, UnmapObject>;
template <typename Object>
SharedMapping<Object> MapShared() {
  void* const pages = MapSharedPages(sizeof(Object));
  return SharedMapping<Object>(pages == nullptr ? nullptr : new (pages) Object);
}

// Whole pages of what the vector has reserved are not mapped in children: a fork then need not
// protect them, nor the parent fault on them afterwards. REQUIRES: the vector does not grow any
// more, and no child touches it.
void KeepFromChildren(void* begin, size_t bytes);
template <typename Element>
void KeepFromChildren(std::vector<Element>& vector) {
  KeepFromChildren(vector.data(), vector.capacity() * sizeof(Element));
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_SHARED_MAPPING_H_
