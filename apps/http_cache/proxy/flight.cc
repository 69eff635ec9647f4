#include "apps/http_cache/proxy/flight.h"

#include <openssl/sha.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace kill9::http {
namespace {

constexpr int64_t kNearDeath_us = 1000;  // how soon to ask again where a death is near
constexpr int64_t kMostPause_us = 1'000'000;

std::string LeaseKey(const std::string& key) {
  std::string digest(1 + SHA256_DIGEST_LENGTH, '%');
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(),
         reinterpret_cast<unsigned char*>(digest.data() + 1));
  return digest;
}

}  // namespace

Flights::Flights(Loop* loop, server::Cluster* stores, std::chrono::milliseconds lease_for)
    : stores_(stores),
      keeps_terms_(stores->keeps_terms()),
      lease_for_(lease_for),
      soon_(event_new(loop->base(), -1, 0, OnTold, this)) {
  if (!keeps_terms_) return;
  for (const auto& store : stores->stores()) {
    const absl::StatusOr<int> descriptor = store->LeaseDescriptor();
    if (!descriptor.ok()) continue;  // then it is asked again each second
    told_.push_back(event_new(loop->base(), *descriptor, EV_READ | EV_PERSIST, OnTold, this));
    event_add(told_.back(), nullptr);
  }
}

Flights::~Flights() {
  for (event* const told : told_) event_free(told);
  event_free(soon_);
}

bool Flights::TakeLease(const std::string& key, Flight& flight) {
  flight.ours = true;
  if (!keeps_terms_) return true;
  const std::string lease_key = LeaseKey(key);
  std::string value;
  LeaseOptions options;
  options.lease_for = lease_for_;
  absl::StatusOr<LeaseAnswer> answer =
      stores_->Of(lease_key).GetOrLease(lease_key, &value, options);
  if (!answer.ok()) return true;  // no room to note it: rather two fetches than none
  if (answer->kind == LeaseAnswer::Kind::kLease) flight.lease = std::move(answer->lease);
  flight.ours = answer->kind != LeaseAnswer::Kind::kBusy;
  flight.ask_again_at = answer->until;
  return flight.ours;
}

bool Flights::Begin(const std::string& key) {
  const auto [flight, is_new] = flights_.try_emplace(key);
  if (!is_new) return false;
  if (TakeLease(key, flight->second)) return true;
  flights_.erase(flight);
  return false;
}

bool Flights::BeginOrWait(const std::string& key, FlightWaiter* waiter) {
  const auto [flight, is_new] = flights_.try_emplace(key);
  if (is_new && TakeLease(key, flight->second)) return true;
  flight->second.waiters.insert(waiter);
  if (is_new) WaitForOthers();
  return false;
}

void Flights::Leave(const std::string& key, FlightWaiter* waiter) {
  const auto found = flights_.find(key);
  if (found == flights_.end()) return;
  found->second.waiters.erase(waiter);
  if (!found->second.ours && found->second.waiters.empty()) flights_.erase(found);
}

void Flights::Land(const std::string& key, Landing landing) {
  const auto found = flights_.find(key);
  if (found == flights_.end()) return;
  Flight flight = std::move(found->second);
  flights_.erase(found);
  if (flight.lease.version != kAbsent)
    stores_->Of(flight.lease.key).DropLease(flight.lease).IgnoreError();
  for (FlightWaiter* const waiter : flight.waiters) waiter->OnLanded(landing);
}

// Each of them is asked: what one has told is told once.
bool Flights::ForgetTold() {
  bool near_death = false;
  for (const auto& store : stores_->stores()) near_death = store->ForgetTold() || near_death;
  return near_death;
}

// Arms the timer, for what the descriptor may not tell.
void Flights::WaitForOthers() {
  int64_t pause_us = kMostPause_us;
  if (ForgetTold()) pause_us = kNearDeath_us;
  const timeval pause = {pause_us / 1'000'000, pause_us % 1'000'000};
  event_add(soon_, &pause);
}

void Flights::AskAgain() {
  bool waits = false;
  std::vector<std::string> keys;  // those who are told may begin and leave flights
  for (const auto& [key, flight] : flights_) {
    if (!flight.ours) keys.push_back(key);
  }
  for (const std::string& key : keys) {
    const auto found = flights_.find(key);
    if (found == flights_.end() || found->second.ours) continue;
    if (!TakeLease(key, found->second)) {
      waits = true;
      continue;
    }
    // One of those who wait leads; the others go on waiting, for it.
    std::set<FlightWaiter*>& waiters = found->second.waiters;
    FlightWaiter* const first = *waiters.begin();
    waiters.erase(waiters.begin());
    first->OnLanded(Landing::kLead);
  }
  if (waits) WaitForOthers();
}

void Flights::OnTold(int, short, void* self) {
  Flights& flights = *static_cast<Flights*>(self);
  const bool near_death = flights.keeps_terms_ && flights.ForgetTold();
  flights.AskAgain();
  if (!near_death) return;
  const timeval pause = {0, kNearDeath_us};
  event_add(flights.soon_, &pause);
}

}  // namespace kill9::http
