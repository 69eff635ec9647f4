// A list for kill9, right at every instruction: items lie anywhere, and their order changes as a
// whole.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_list.so safe_list.cc
//   kill9 try ./libsafe_list.so
#include <kill9/object.h>

struct Order {
  uint32_t size;
  uint8_t place[60];  // of each item, in the order of the appends
};

class SafeList : public kill9::SharedState<Order> {  // which has Change
 public:
  static constexpr const char* kName = "safe_list";
  static constexpr const char* kModel = "list";

  static void Create(const kill9::Room& room) {
    SharedState::Create(room);
    kill9::MappedFile(room, "items", 60 * sizeof(Item), true);
  }
  explicit SafeList(const kill9::Room& room)
      : SharedState(room), items_(room, "items", 60 * sizeof(Item)) {}

  bool Append(std::string_view value) {
    return Change(
        [&](Order& order) {
          if (order.size == 60) return false;
          const uint8_t place = FreePlace(order);
          items_.At<Item>(0)[place].Set(value);
          order.place[order.size++] = place;
          return true;
        },
        /*faulty=*/false);
  }
  std::optional<std::string> Read(uint64_t index) {
    return Change([&](Order& order) -> std::optional<std::string> {
      if (index >= order.size) return std::nullopt;
      return std::string(ItemAt(order, index));
    });
  }
  // With the fault who dies in it leaves an item there twice.
  bool Remove(std::string_view value) {
    return Change([&](Order& order) {
      uint32_t n = 0;
      while (n < order.size && ItemAt(order, n) != value) ++n;
      if (n == order.size) return false;
      for (; n + 1 < order.size; ++n) order.place[n] = order.place[n + 1];
      --order.size;
      return true;
    });
  }

 private:
  using Item = kill9::Bytes<4096>;
  std::string_view ItemAt(const Order& order, uint64_t index) {
    return items_.At<Item>(0)[order.place[index]].view();
  }
  static uint8_t FreePlace(const Order& order) {
    uint8_t place = 0;
    for (uint32_t n = 0; n < order.size; ++n) {
      if (order.place[n] != place) continue;
      ++place;
      n = ~0u;  // from the beginning
    }
    return place;
  }

  kill9::MappedFile items_;
};
KILL9_PLUGIN(SafeList)
