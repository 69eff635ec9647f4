// kill9's interface in C++: a class that is an object, and one line that makes it a plugin or a
// program. Header only; C++20.
//
//     class Mine {
//      public:
//       static constexpr const char* kName = "mine";
//       static void Create(const kill9::Room& room);
//       explicit Mine(const kill9::Room& room);                    // attaches; throws if it cannot
//       bool Put(std::string_view key, std::string_view value);    // false: no room
//       std::optional<std::string> Get(std::string_view key);
//       bool Erase(std::string_view key);                          // whether it was there
//       void ForEach(const kill9::Visit& visit);
//       // and, if it has them:
//       static constexpr const char* kModel = "cache";             // else "map"
//       static constexpr bool kHasThreads = true;
//       static constexpr uint64_t kMaxKeyBytes, kMaxValueBytes;    // else 250, 4,096
//       void Recover();
//       std::string Audit();                                       // what is broken, or nothing
//     };
//
// Other models have other functions, in the place of Put, Get, Erase and ForEach:
//
//     counter    void Add(uint64_t number); uint64_t Read();
//     set        bool Add(std::string_view key) (it is new), Remove(key), Contains(key)
//     queue      bool Enqueue(std::string_view value); std::optional<std::string> Dequeue();
//     list       bool Append(value); std::optional<std::string> Read(uint64_t index);
//                bool Remove(value)
//     mutex, robust-mutex, semaphore    kill9::Acquired Acquire(key); void Release(key);
//     lease      kill9::Acquired Acquire(key, uint64_t term_ns), Renew(key, uint64_t term_ns);
//                void Release(key);
//     condition  void Wait(); void Signal(); void Broadcast(uint64_t number); uint64_t Read();
//
//     KILL9_PLUGIN(Mine)      // a shared library: kill9 --plugin=./libmine.so torture
//     KILL9_MAIN(Mine)        // or a program, linked with kill9: ./mine torture
#ifndef KILL9_INCLUDE_KILL9_OBJECT_H_
#define KILL9_INCLUDE_KILL9_OBJECT_H_

#include <fcntl.h>
#include <kill9/kill9.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kill9 {

using Room = kill9_room;
using Visit = std::function<void(std::string_view key, std::string_view value)>;

// A file of the object's directory, mapped: of `bytes` zeros where it is created, else as it is.
class MappedFile {
 public:
  MappedFile(const Room& room, const char* name, size_t bytes, bool create = false)
      : bytes_(bytes) {
    const std::string path = std::string(room.directory) + "/" + name;
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
    const bool there = fd >= 0 && (!create || ftruncate(fd, static_cast<off_t>(bytes)) == 0);
    if (there) address_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (address_ == MAP_FAILED) throw std::runtime_error("cannot map " + path);
  }
  ~MappedFile() { munmap(address_, bytes_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  template <typename T>
  T* At(size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(address_) + offset);
  }

 private:
  void* address_ = MAP_FAILED;
  size_t bytes_;
};

// A robust mutex in memory that processes share.
class SharedMutex {
 public:
  void Make() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex_, &attributes);
  }
  // For std::lock_guard. Where its holder has died the next one goes on: what the mutex guards must
  // be sound between any two instructions.
  void lock() { Lock(); }
  // Whether its holder had died. Nobody sleeps for long: a waiter that was chosen to be woken may
  // be killed, and takes the wake-up with it. The kernel is asked for the time: a swept lease is
  // told another one by the C library.
  bool Lock() {
    int error = pthread_mutex_trylock(&mutex_);
    while (error == EBUSY || error == ETIMEDOUT) {
      timespec until;
      syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &until);
      until.tv_nsec += 20'000'000;
      until.tv_sec += until.tv_nsec / 1'000'000'000;
      until.tv_nsec %= 1'000'000'000;
      error = pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until);
    }
    if (error == EOWNERDEAD) pthread_mutex_consistent(&mutex_);
    return error == EOWNERDEAD;
  }
  // False: another one has it.
  bool TryLock() {
    const int error = pthread_mutex_trylock(&mutex_);
    if (error == EOWNERDEAD) pthread_mutex_consistent(&mutex_);
    return error != EBUSY;
  }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

// At most `kMost` bytes. Zeros are none.
template <size_t kMost>
class Bytes {
 public:
  void Set(std::string_view bytes) { size_ = static_cast<uint32_t>(bytes.copy(bytes_, kMost)); }
  std::string_view view() const { return {bytes_, size_}; }

 private:
  uint32_t size_;
  char bytes_[kMost];
};

// A key and its value.
template <size_t kMostKey, size_t kMostValue>
struct Entry {
  Bytes<kMostKey> key;
  Bytes<kMostValue> value;
  void Set(std::string_view new_key, std::string_view new_value) {
    key.Set(new_key);
    value.Set(new_value);
  }
};

// As many elements as there are entries to find room, and a mutex around them, in one file.
// Elements begin as zeros.
template <typename T>
class SharedArray {
 public:
  static void Make(const Room& room) {
    MappedFile(room, "array", BytesOf(room), true).template At<SharedMutex>(0)->Make();
  }
  explicit SharedArray(const Room& room)
      : file_(room, "array", BytesOf(room)), size_(room.entries) {}
  void lock() { file_.template At<SharedMutex>(0)->lock(); }
  void unlock() { file_.template At<SharedMutex>(0)->unlock(); }
  T* begin() { return file_.template At<T>(kOffset); }
  T* end() { return begin() + size_; }

 private:
  static constexpr size_t kOffset = 128;  // aligned for any T, and behind the mutex
  static_assert(sizeof(SharedMutex) <= kOffset && alignof(T) <= kOffset);
  static size_t BytesOf(const Room& room) { return kOffset + room.entries * sizeof(T); }
  MappedFile file_;
  size_t size_;
};

// The part of a map in such an array that reads: an element tells its key() (empty: it is free) and
// its value(). How one is written, and erased, is what the map itself says.
template <typename T>
class ArrayMap : public SharedArray<T> {
 public:
  using SharedArray<T>::SharedArray;
  static void Create(const Room& room) { SharedArray<T>::Make(room); }
  std::optional<std::string> Get(std::string_view key) {
    std::lock_guard lock(*this);
    const T* element = Find(key);
    if (element == nullptr) return std::nullopt;
    return std::string(element->value());
  }
  void ForEach(const Visit& visit) {
    std::lock_guard lock(*this);
    for (const T& element : *this) {
      if (!element.key().empty()) visit(element.key(), element.value());
    }
  }

 protected:
  // REQUIRES: locked. Null: there is none.
  T* Find(std::string_view key) {
    for (T& element : *this) {
      if (element.key() == key) return &element;
    }
    return nullptr;
  }
  T* FindOrFree(std::string_view key) {
    T* const found = Find(key);
    return found != nullptr ? found : Find("");
  }
};

#ifdef FAULTY  // an object is compiled once more, with a fault that has to be found
inline constexpr bool kFaulty = true;
#else
inline constexpr bool kFaulty = false;
#endif

// A small state that changes as a whole: the change is made in a copy, and one store says which of
// the two counts. It begins as zeros. With the fault a change is made in place: who dies in it
// leaves it half done.
template <typename T>
class SharedState {
 public:
  static void Create(const Room& room) {
    MappedFile(room, "state", sizeof(Layout), true).template At<Layout>(0)->mutex.Make();
  }
  explicit SharedState(const Room& room) : file_(room, "state", sizeof(Layout)) {}

 protected:
  // What `change(state)` gives is what this gives. `faulty`: in place.
  template <typename Body>
  auto Change(Body change, bool faulty = kFaulty) {
    Layout& shared = *file_.template At<Layout>(0);
    std::lock_guard lock(shared.mutex);
    const int now = shared.now, next = faulty ? now : 1 - now;
    if (next != now) shared.state[next] = shared.state[now];
    const auto answer = change(shared.state[next]);
    shared.now = next;  // before: the old state; behind it: the new one
    return answer;
  }

 private:
  struct Layout {
    SharedMutex mutex;
    std::atomic<int> now;
    T state[2];
  };
  MappedFile file_;
};

// What an acquisition comes to.
enum class Acquired : int {
  kYes = KILL9_OK,
  kNo = KILL9_BUSY,               // another one has it; of a renewal: it is lost
  kOwnerDied = KILL9_OWNER_DIED,  // it is the caller's, and who had it last died with it
};

namespace internal {

// What a class has, or what is taken instead.
template <typename T>
constexpr const char* ModelOf() {
  if constexpr (requires { T::kModel; }) return T::kModel;
  return "map";
}
template <typename T>
constexpr uint32_t FlagsOf() {
  if constexpr (requires { T::kHasThreads; }) return T::kHasThreads ? KILL9_HAS_THREADS : 0;
  return 0;
}
template <typename T>
constexpr uint64_t MaxKeyBytesOf() {
  if constexpr (requires { T::kMaxKeyBytes; }) return T::kMaxKeyBytes;
  return 250;
}
template <typename T>
constexpr uint64_t MaxValueBytesOf() {
  if constexpr (requires { T::kMaxValueBytes; }) return T::kMaxValueBytes;
  return 4096;
}

// No exception crosses the interface: one says that the object cannot go on.
template <typename Body>
int Guarded(const char* name, Body body) {
  try {
    return body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  } catch (...) {
    std::fprintf(stderr, "%s: an unknown exception\n", name);
  }
  return KILL9_DAMAGED;
}

template <typename T>
int CallStore(T& object, kill9_call* call) {
  const std::string_view key(call->key, call->key_bytes);
  switch (call->operation) {
    case KILL9_PUT:
      return object.Put(key, {call->value, call->value_bytes}) ? KILL9_OK : KILL9_FULL;
    case KILL9_GET: {
      const std::optional<std::string> value = object.Get(key);
      if (!value.has_value()) return KILL9_ABSENT;
      call->give(call, call->key, call->key_bytes, value->data(), value->size(), 0);
      return KILL9_OK;
    }
    case KILL9_ERASE:
      return object.Erase(key) ? KILL9_OK : KILL9_ABSENT;
    case KILL9_VISIT:
      object.ForEach([call](std::string_view name, std::string_view value) {
        call->give(call, name.data(), name.size(), value.data(), value.size(), 0);
      });
      return KILL9_OK;
    default:
      return KILL9_UNKNOWN;
  }
}

inline int Give(kill9_call* call, const std::optional<std::string>& value) {
  if (!value.has_value()) return KILL9_ABSENT;
  call->give(call, "", 0, value->data(), value->size(), 0);
  return KILL9_OK;
}

// By the functions that the model has.
template <typename T>
int Call(T& object, kill9_call* call) {
  constexpr std::string_view kModel = ModelOf<T>();
  [[maybe_unused]] const std::string_view key(call->key, call->key_bytes);
  [[maybe_unused]] const std::string_view value(call->value, call->value_bytes);
  const auto is = [call](uint32_t operation) { return call->operation == operation; };
  if constexpr (kModel == "map" || kModel == "cache") {
    return CallStore(object, call);
  } else if constexpr (kModel == "counter") {
    if (is(KILL9_ADD)) return object.Add(call->number), KILL9_OK;
    if (is(KILL9_READ)) return call->number = object.Read(), KILL9_OK;
  } else if constexpr (kModel == "set") {
    if (is(KILL9_ADD)) return object.Add(key) ? KILL9_OK : KILL9_PRESENT;
    if (is(KILL9_REMOVE)) return object.Remove(key) ? KILL9_OK : KILL9_ABSENT;
    if (is(KILL9_CONTAINS)) return object.Contains(key) ? KILL9_OK : KILL9_ABSENT;
  } else if constexpr (kModel == "queue") {
    if (is(KILL9_ENQUEUE)) return object.Enqueue(value) ? KILL9_OK : KILL9_FULL;
    if (is(KILL9_DEQUEUE)) return Give(call, object.Dequeue());
  } else if constexpr (kModel == "list") {
    if (is(KILL9_APPEND)) return object.Append(value) ? KILL9_OK : KILL9_FULL;
    if (is(KILL9_READ)) return Give(call, object.Read(call->number));
    if (is(KILL9_REMOVE)) return object.Remove(value) ? KILL9_OK : KILL9_ABSENT;
  } else if constexpr (kModel == "condition") {
    if (is(KILL9_WAIT)) return object.Wait(), KILL9_OK;
    if (is(KILL9_SIGNAL)) return object.Signal(), KILL9_OK;
    if (is(KILL9_BROADCAST)) return object.Broadcast(call->number), KILL9_OK;
    if (is(KILL9_READ)) return call->number = object.Read(), KILL9_OK;
  } else {
    if (is(KILL9_RELEASE)) return object.Release(key), KILL9_OK;
    if constexpr (kModel == "lease") {
      if (is(KILL9_ACQUIRE)) return static_cast<int>(object.Acquire(key, call->number));
      if (is(KILL9_RENEW)) return static_cast<int>(object.Renew(key, call->number));
    } else {
      static_assert(kModel == "mutex" || kModel == "robust-mutex" || kModel == "semaphore",
                    "kModel is none of kill9's models");
      if (is(KILL9_ACQUIRE)) return static_cast<int>(object.Acquire(key));
    }
  }
  return KILL9_UNKNOWN;
}

template <typename T>
void* Attach(const kill9_room* room) {
  T* handle = nullptr;
  Guarded(T::kName, [&] {
    handle = new T(*room);
    return KILL9_OK;
  });
  return handle;
}

}  // namespace internal

// The table of a class's functions.
template <typename T>
const kill9_object* ObjectOf() {
  static const kill9_object object = [] {
    kill9_object table{};
    table.struct_size = sizeof table;
    table.version = KILL9_VERSION_OF_INTERFACE;
    table.name = T::kName;
    table.summary = "an object of its own";
    table.model = internal::ModelOf<T>();
    table.flags = internal::FlagsOf<T>();
    table.max_key_bytes = internal::MaxKeyBytesOf<T>();
    table.max_value_bytes = internal::MaxValueBytesOf<T>();
    table.create = [](const kill9_room* room) {
      return internal::Guarded(T::kName, [&] { return T::Create(*room), KILL9_OK; });
    };
    table.attach = internal::Attach<T>;
    table.detach = [](void* handle) { delete static_cast<T*>(handle); };
    table.call = [](void* handle, kill9_call* call) {
      return internal::Guarded(T::kName,
                               [&] { return internal::Call(*static_cast<T*>(handle), call); });
    };
    if constexpr (requires(T & one) { one.Recover(); }) {
      table.recover = [](void* handle, kill9_recovered*) {
        return internal::Guarded(T::kName,
                                 [&] { return static_cast<T*>(handle)->Recover(), KILL9_OK; });
      };
    }
    if constexpr (requires(T & one) { one.Audit(); }) {
      table.audit = [](void* handle, kill9_audit* audit) {
        return internal::Guarded(T::kName, [&] {
          T& mine = *static_cast<T*>(handle);
          const std::string broken = mine.Audit();
          if constexpr (requires(const Visit& visit) { mine.ForEach(visit); }) {
            mine.ForEach([audit](std::string_view, std::string_view) { ++audit->entries; });
          }
          std::snprintf(audit->violation, sizeof audit->violation, "%s", broken.c_str());
          return KILL9_OK;
        });
      };
    }
    return table;
  }();
  return &object;
}

}  // namespace kill9

#define KILL9_PLUGIN(Class) \
  extern "C" const kill9_object* kill9_object_1(void) { return kill9::ObjectOf<Class>(); }
#define KILL9_MAIN(Class) \
  int main(int argc, char** argv) { return kill9_main(argc, argv, kill9::ObjectOf<Class>()); }

#endif  // KILL9_INCLUDE_KILL9_OBJECT_H_
