#include "harness/store_driver/keys.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9 {
std::string_view KeyDistributionName(KeyDistribution distribution) {
  switch (distribution) {
    case KeyDistribution::kUniform:
      return "uniform";
    case KeyDistribution::kZipfian:
      return "zipfian";
    case KeyDistribution::kHotspot:
      return "hotspot";
    case KeyDistribution::kOneHot:
      return "one_hot";
    case KeyDistribution::kLatest:
      return "latest";
  }
  std::abort();
}

KeyTable::KeyTable(std::vector<std::string> texts, uint64_t extra)
    : workload_keys_(texts.size()), texts_(std::move(texts)) {
  texts_.reserve(workload_keys_ + extra);
  for (uint64_t i = 0; i < extra; ++i) texts_.push_back(absl::StrCat("fill-", i));
  numbers_.reserve(texts_.size());
  for (uint64_t key = 0; key < texts_.size(); ++key) numbers_.emplace(texts_[key], key);
}

uint64_t KeyTable::Find(std::string_view text) const {
  const auto found = numbers_.find(text);
  return found == numbers_.end() ? size() : found->second;
}

KeyChooser::KeyChooser(KeyDistribution distribution, uint64_t count)
    : distribution_(distribution),
      count_(count),
      hot_(std::max<uint64_t>(1, count / (distribution == KeyDistribution::kOneHot ? 1000 : 100))) {
  if (distribution != KeyDistribution::kZipfian && distribution != KeyDistribution::kLatest) return;
  for (uint64_t i = 1; i <= count; ++i) zeta_ += 1 / std::pow(static_cast<double>(i), theta_);
  const double zeta_of_two = 1 + std::pow(0.5, theta_);
  alpha_ = 1 / (1 - theta_);
  eta_ = (1 - std::pow(2.0 / static_cast<double>(count), 1 - theta_)) / (1 - zeta_of_two / zeta_);
}

uint64_t KeyChooser::ZipfianRank(Random& random) const {
  const double u = random.Unit();
  const double uz = u * zeta_;
  if (uz < 1) return 0;
  if (uz < 1 + std::pow(0.5, theta_)) return std::min<uint64_t>(1, count_ - 1);
  const double rank = static_cast<double>(count_) * std::pow(eta_ * u - eta_ + 1, alpha_);
  return std::min(count_ - 1, static_cast<uint64_t>(rank));
}

uint64_t KeyChooser::Choose(Random& random, uint64_t latest) const {
  switch (distribution_) {
    case KeyDistribution::kUniform:
      return random.Below(count_);
    case KeyDistribution::kHotspot:
    case KeyDistribution::kOneHot:
      return random.Below(100) < 95 ? random.Below(hot_) : random.Below(count_);
    case KeyDistribution::kZipfian: {
      // Scattered, so that the popular keys are not neighbours.
      return Random(ZipfianRank(random)).Next() % count_;
    }
    case KeyDistribution::kLatest:
      return (latest + count_ - 1 - ZipfianRank(random)) % count_;
  }
  std::abort();
}

}  // namespace kill9
