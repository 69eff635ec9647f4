#include "stress/benchmarks/channels/transport.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "harness/base/random.h"

namespace kill9::transports {

void Die(std::string_view what) {
  std::fprintf(stderr, "channel_benchmark: %.*s\n", static_cast<int>(what.size()), what.data());
  std::_Exit(2);
}

Load::Load(size_t largest_bytes, std::vector<uint32_t> sizes)
    : largest_bytes_(largest_bytes), sizes_(std::move(sizes)) {
  for (const uint32_t size : sizes_) total_bytes_ += size;
  bytes_.resize(kShifts + largest_bytes);
  for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<char>(i * 131);
}

Load Load::OfSizesUpTo(size_t most_bytes, size_t messages) {
  Random random(1);
  std::vector<uint32_t> sizes(messages);
  for (uint32_t& size : sizes) size = 1 + static_cast<uint32_t>(random.Below(most_bytes));
  return Load(most_bytes, std::move(sizes));
}

Load Load::OfSize(size_t bytes, size_t messages) {
  return Load(bytes, std::vector<uint32_t>(messages, static_cast<uint32_t>(bytes)));
}

std::vector<TransportKind> AllTransports() {
  std::vector<TransportKind> all = Designs();
  for (auto* list : {&BareRings, &KernelTransports, &LibqbRings, &Iceoryx}) {
    for (TransportKind& kind : (*list)()) all.push_back(std::move(kind));
  }
  return all;
}

std::vector<std::string> MissingTransports() {
  std::vector<std::string> missing;
  if (LibqbRings().empty()) missing.push_back("libqb: needs the package libqb-dev");
  if (Iceoryx().empty()) {
    missing.push_back("iceoryx: needs the packages libiceoryx-posh-dev and iceoryx");
  }
  return missing;
}

}  // namespace kill9::transports
