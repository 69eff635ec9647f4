#include "apps/cluster/cluster.h"

#include <algorithm>
#include <utility>

#include "variants/segment/hash.h"

namespace kill9::server {

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Attach(
    const Variant& design, const std::vector<std::shared_ptr<Segment>>& segments) {
  std::unique_ptr<Cluster> cluster(new Cluster);
  for (const std::shared_ptr<Segment>& segment : segments) {
    absl::StatusOr<std::unique_ptr<Store>> store = design.Attach(segment);
    if (!store.ok()) return store.status();
    cluster->stores_.push_back(*std::move(store));
    cluster->segments_.push_back(segment);
  }
  return cluster;
}

// The jump consistent hash of Lamping and Veach (2014): C1. The segments' own hashes are keyed,
// each in its own way; this one is the same in every run.
size_t Cluster::ShareOf(std::string_view key) const {
  if (stores_.size() == 1) return 0;
  uint64_t state = XXH3_64bits(key.data(), key.size());
  int64_t share = 0;
  for (int64_t next = 0; next < static_cast<int64_t>(stores_.size());) {
    share = next;
    state = state * 2862933555777941757u + 1;
    next = static_cast<int64_t>(
        static_cast<double>(share + 1) *
        (static_cast<double>(int64_t{1} << 31) / static_cast<double>((state >> 33) + 1)));
  }
  return static_cast<size_t>(share);
}

// What of several stores was found waits for its turn: `visit` is told in the keys' order.
absl::Status Cluster::GetMany(std::span<const std::string_view> keys,
                              absl::FunctionRef<void(size_t index, const EntryView*)> visit) {
  if (stores_.size() == 1) return stores_[0]->GetMany(keys, visit);
  struct Found {
    bool is_there = false;
    std::string value;
    Version version = kAbsent;
    Terms terms;
  };
  std::vector<std::vector<size_t>> places(stores_.size());
  for (size_t i = 0; i < keys.size(); ++i) places[ShareOf(keys[i])].push_back(i);
  std::vector<Found> found(keys.size());
  for (size_t share = 0; share < stores_.size(); ++share) {
    std::vector<std::string_view> wanted;
    for (const size_t place : places[share]) wanted.push_back(keys[place]);
    const absl::Status status = stores_[share]->GetMany(wanted, [&](size_t index,
                                                                    const EntryView* entry) {
      if (entry == nullptr) return;
      found[places[share][index]] = {true, std::string(entry->value), entry->version, entry->terms};
    });
    if (!status.ok()) return status;
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    EntryView entry;
    entry.key = keys[i];
    entry.value = found[i].value;
    entry.version = found[i].version;
    entry.terms = found[i].terms;
    visit(i, found[i].is_there ? &entry : nullptr);
  }
  return absl::OkStatus();
}

absl::Status Cluster::Clear() {
  for (const auto& store : stores_) {
    if (absl::Status status = store->Clear(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Cluster::ClearAt(Expiry when) {
  for (const auto& store : stores_) {
    if (absl::Status status = store->ClearAt(when); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Cluster::DropExpired() {
  uint64_t dropped = 0;
  for (const auto& store : stores_) {
    const absl::StatusOr<uint64_t> some = store->DropExpired();
    if (!some.ok()) return some.status();
    dropped += *some;
  }
  return dropped;
}

absl::Status Cluster::ForEach(absl::FunctionRef<bool(const EntryView&)> visit) {
  bool goes_on = true;
  for (size_t share = 0; share < stores_.size() && goes_on; ++share) {
    const absl::Status status =
        stores_[share]->ForEach([&](const EntryView& entry) { return goes_on = visit(entry); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Cluster::Recover() {
  for (const auto& store : stores_) {
    if (const auto report = store->Recover(); !report.ok()) return report.status();
  }
  return absl::OkStatus();
}

StoreCounters Cluster::Counted() {
  StoreCounters sum;
  for (const auto& store : stores_) {
    const StoreCounters one = store->Counted().value_or(StoreCounters());
    sum.hits += one.hits;
    sum.misses += one.misses;
    sum.evictions += one.evictions;
    sum.expired += one.expired;
    sum.cleared += one.cleared;
    sum.leases += one.leases;
    sum.waits += one.waits;
  }
  return sum;
}

size_t Cluster::max_key_bytes() const {
  size_t most = stores_[0]->max_key_bytes();
  for (const auto& store : stores_) most = std::min(most, store->max_key_bytes());
  return most;
}

size_t Cluster::max_value_bytes() const {
  size_t most = stores_[0]->max_value_bytes();
  for (const auto& store : stores_) most = std::min(most, store->max_value_bytes());
  return most;
}

bool Cluster::keeps_terms() const {
  return std::all_of(stores_.begin(), stores_.end(),
                     [](const auto& store) { return store->keeps_terms(); });
}

}  // namespace kill9::server
