// One fetch for many equal requests, in all workers together. Within a worker those who ask for
// what is being fetched wait for it here; between workers the store's leases decide who fetches. If
// a worker dies while it fetches, its lease passes to another at once, and one of those who wait
// there fetches. Nobody polls: a descriptor of each store's wakes the loop.
//
// A lease is of a key of its own, beside the response's: the record's versions mean something else
// (Cache, C3).
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_FLIGHT_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_FLIGHT_H_

#include <event2/event.h>

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "apps/cluster/cluster.h"
#include "apps/http_cache/net/loop.h"
#include "variants/store.h"

namespace kill9::http {

enum class Landing : uint8_t {
  kLead,       // it is this one's to fetch now; what was fetched meanwhile may be stored
  kLookAgain,  // it may be stored now
  kGoAlone,    // its response is of no use to others
  kFailed,     // the origin gave no response
};

class FlightWaiter {
 public:
  virtual ~FlightWaiter() = default;
  // After kLead it calls Land, in the end.
  virtual void OnLanded(Landing landing) = 0;
};

class Flights {
 public:
  // Where the stores keep no terms, only the requests of one worker share a fetch. `lease_for`:
  // whoever fetches for longer is taken for lost.
  Flights(Loop* loop, server::Cluster* stores, std::chrono::milliseconds lease_for);
  ~Flights();
  Flights(const Flights&) = delete;
  Flights& operator=(const Flights&) = delete;

  // True: nobody fetches it; the caller does now, and calls Land in the end.
  bool Begin(const std::string& key);
  // True: as Begin. False: the waiter is told, unless it leaves before.
  bool BeginOrWait(const std::string& key, FlightWaiter* waiter);
  void Leave(const std::string& key, FlightWaiter* waiter);
  void Land(const std::string& key, Landing landing);

 private:
  struct Flight {
    bool ours = false;  // somebody here fetches; else another worker does
    LeaseToken lease;
    std::set<FlightWaiter*> waiters;
    Expiry ask_again_at;  // where it is another's
  };

  // Whether the lease, or all that is needed of it, is ours now.
  bool TakeLease(const std::string& key, Flight& flight);
  bool ForgetTold();
  void WaitForOthers();
  void AskAgain();
  static void OnTold(int, short, void* self);

  server::Cluster* const stores_;
  const bool keeps_terms_;
  const std::chrono::milliseconds lease_for_;
  std::vector<event*> told_;
  event* const soon_;
  std::map<std::string, Flight> flights_;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_FLIGHT_H_
