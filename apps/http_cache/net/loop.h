// A worker's event loop, and those who live in it.
#ifndef KILL9_APPS_HTTP_CACHE_NET_LOOP_H_
#define KILL9_APPS_HTTP_CACHE_NET_LOOP_H_

#include <event2/event.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

namespace kill9::http {

// Lives until it is buried; is asked once a second whether it has waited too long.
class Member {
 public:
  virtual ~Member() = default;
  virtual void Tick(int64_t monotonic_ms) = 0;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  template <typename T>
  T* Adopt(std::unique_ptr<T> member) {
    T* const adopted = member.get();
    members_[adopted] = std::move(member);
    return adopted;
  }
  // The member is destroyed once nobody can be within a call to it. Idempotent.
  void Bury(Member* member);

  void Run() { event_base_dispatch(base_); }
  void Stop() { event_base_loopbreak(base_); }
  event_base* base() const { return base_; }
  static int64_t WallMs();       // since 1970
  static int64_t MonotonicMs();  // for deadlines
  // Called with each tick.
  void OnTick(std::function<void()> on_tick) { on_tick_ = std::move(on_tick); }

 private:
  static void Tick(int, short, void* self);
  static void EmptyGraves(int, short, void* self);

  event_base* const base_;
  event* const ticker_;
  event* const graves_event_;
  std::unordered_map<Member*, std::unique_ptr<Member>> members_;
  std::vector<std::unique_ptr<Member>> graves_;
  std::function<void()> on_tick_;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_NET_LOOP_H_
