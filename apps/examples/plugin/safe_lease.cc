// A lock for kill9 that is lent for a term, right at every instruction: who has it, and until when,
// changes as a whole.
//   g++ -std=c++20 -O1 -g -shared -fPIC -o libsafe_lease.so safe_lease.cc
//   kill9 try ./libsafe_lease.so
#include <kill9/object.h>
#include <sched.h>

struct Lent {
  uint64_t to;  // a handle's number; 0: nobody
  uint64_t until_ns;
  uint64_t handles;
};

class SafeLease : public kill9::SharedState<Lent> {  // which has Create and Change
 public:
  static constexpr const char* kName = "safe_lease";
  static constexpr const char* kModel = "lease";

  explicit SafeLease(const kill9::Room& room)
      : SharedState(room), me_(Change([](Lent& lent) { return ++lent.handles; })) {}

  kill9::Acquired Acquire(std::string_view, uint64_t term_ns) {
    const kill9::Acquired answer = Change([&](Lent& lent) {
      if (lent.to != 0 && lent.to != me_ && Now() < lent.until_ns) return kill9::Acquired::kNo;
      return Lend(lent, kill9::kFaulty ? kForEver : term_ns);
    });
    if (!kill9::kFaulty || answer == kill9::Acquired::kNo) return answer;
    // With the fault who dies here has it for ever.
    sched_yield();
    return Renew("", term_ns);
  }
  kill9::Acquired Renew(std::string_view, uint64_t term_ns) {
    return Change([&](Lent& lent) {
      if (lent.to != me_ || Now() >= lent.until_ns) return kill9::Acquired::kNo;
      return Lend(lent, term_ns);
    });
  }
  void Release(std::string_view) {
    Change([&](Lent& lent) {
      if (lent.to == me_) lent.to = 0;
      return 0;
    });
  }

 private:
  static uint64_t Now() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }
  kill9::Acquired Lend(Lent& lent, uint64_t term_ns) const {
    lent.to = me_;
    lent.until_ns = Now() + term_ns;
    return kill9::Acquired::kYes;
  }

  static constexpr uint64_t kForEver = uint64_t{1} << 62;
  const uint64_t me_;
};
KILL9_PLUGIN(SafeLease)
