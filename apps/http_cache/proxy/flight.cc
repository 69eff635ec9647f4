#include "apps/http_cache/proxy/flight.h"

#include <utility>

namespace kill9::http {

void Flights::Leave(const std::string& key, FlightWaiter* waiter) {
  const auto found = flights_.find(key);
  if (found != flights_.end()) found->second.erase(waiter);
}

void Flights::Land(const std::string& key, Landing landing) {
  const auto found = flights_.find(key);
  if (found == flights_.end()) return;
  // One by one: a waiter that is told may make others leave.
  const std::set<FlightWaiter*> waiters = std::move(found->second);
  flights_.erase(found);
  for (FlightWaiter* const waiter : waiters) waiter->OnLanded(landing);
}

}  // namespace kill9::http
