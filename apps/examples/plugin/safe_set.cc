// A set for kill9, right at every instruction: members stand side by side, and how many there are
// changes together with them.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_set.so safe_set.cc
//   kill9 try ./libsafe_set.so
#include <kill9/object.h>

struct Members {
  uint32_t size;
  kill9::Bytes<60> key[32];
};

struct SafeSet : kill9::SharedState<Members> {  // which has Create and Change
  static constexpr const char* kName = "safe_set";
  static constexpr const char* kModel = "set";
  using SharedState::SharedState;

  bool Add(std::string_view key) {
    return Change([key](Members& members) {
      if (Find(members, key) != members.size || members.size == 32) return false;
      members.key[members.size++].Set(key);
      return true;
    });
  }
  // With the fault who dies in it leaves the last member there twice.
  bool Remove(std::string_view key) {
    return Change([key](Members& members) {
      const uint32_t found = Find(members, key);
      if (found == members.size) return false;
      members.key[found] = members.key[members.size - 1];
      --members.size;
      return true;
    });
  }
  bool Contains(std::string_view key) {
    return Change([key](Members& members) { return Find(members, key) != members.size; });
  }

 private:
  static uint32_t Find(const Members& members, std::string_view key) {
    uint32_t n = 0;
    while (n < members.size && members.key[n].view() != key) ++n;
    return n;
  }
};
KILL9_PLUGIN(SafeSet)
