// A queue for kill9, right at every instruction: an item is written before it counts.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_queue.so safe_queue.cc
//   kill9 try ./libsafe_queue.so
#include <kill9/object.h>

struct Items {
  std::atomic<uint64_t> first, end;  // that were taken; that came
  kill9::Bytes<4096> item[1024];
};

class SafeQueue {
 public:
  static constexpr const char* kName = "safe_queue";
  static constexpr const char* kModel = "queue";

  static void Create(const kill9::Room& room) {
    kill9::MappedFile(room, "mutex", sizeof(kill9::SharedMutex), true)
        .At<kill9::SharedMutex>(0)
        ->Make();
    kill9::MappedFile(room, "items", sizeof(Items), true);
  }
  explicit SafeQueue(const kill9::Room& room)
      : mutex_(room, "mutex", sizeof(kill9::SharedMutex)), items_(room, "items", sizeof(Items)) {}

  bool Enqueue(std::string_view value) {
    std::lock_guard lock(*mutex_.At<kill9::SharedMutex>(0));
    Items& items = *items_.At<Items>(0);
    if (items.end - items.first == 1024) return false;
    kill9::Bytes<4096>& item = items.item[items.end % 1024];
    // With the fault who dies in it leaves an item that counts, and is not there.
    if (kill9::kFaulty) ++items.end;
    item.Set(value);
    if (!kill9::kFaulty) ++items.end;
    return true;
  }
  std::optional<std::string> Dequeue() {
    std::lock_guard lock(*mutex_.At<kill9::SharedMutex>(0));
    Items& items = *items_.At<Items>(0);
    if (items.first == items.end) return std::nullopt;
    std::string value(items.item[items.first % 1024].view());
    ++items.first;
    return value;
  }

 private:
  kill9::MappedFile mutex_, items_;
};
KILL9_PLUGIN(SafeQueue)
