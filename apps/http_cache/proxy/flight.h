// One fetch for many equal requests: who asks for what is being fetched already waits for it.
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_FLIGHT_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_FLIGHT_H_

#include <map>
#include <set>
#include <string>

namespace kill9::http {

enum class Landing : uint8_t {
  kLookAgain,  // it may be stored now
  kGoAlone,    // its response is of no use to others
  kFailed,     // the origin gave no response
};

class FlightWaiter {
 public:
  virtual ~FlightWaiter() = default;
  virtual void OnLanded(Landing landing) = 0;
};

class Flights {
 public:
  // True: nobody fetches it; the caller does now, and calls Land in the end.
  bool Begin(const std::string& key) { return flights_.try_emplace(key).second; }
  // REQUIRES: Begin said false.
  void Wait(const std::string& key, FlightWaiter* waiter) { flights_[key].insert(waiter); }
  void Leave(const std::string& key, FlightWaiter* waiter);
  void Land(const std::string& key, Landing landing);

 private:
  std::map<std::string, std::set<FlightWaiter*>> flights_;
};

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_FLIGHT_H_
