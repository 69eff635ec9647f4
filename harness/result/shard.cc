#include "harness/result/shard.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/base/stable_hash.h"
#include "harness/base/text/count_of.h"

namespace kill9 {
namespace {

std::optional<uint32_t> ParseCount(std::string_view text) {
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, number);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

}  // namespace

absl::StatusOr<Shard> ParseShard(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::optional<uint32_t> index = ParseCount(text.substr(0, slash));
    const std::optional<uint32_t> of = ParseCount(text.substr(slash + 1));
    if (index && of && *index >= 1 && *index <= *of && *of <= kMostShards) {
      return Shard{*index, *of};
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", std::string(text),
                   "' is no shard; give I/N with 1 <= I <= N <= ", kMostShards, ", as in 3/16"));
}

absl::StatusOr<std::vector<size_t>> ShareOf(const Shard& shard,
                                            std::span<const std::string> units) {
  if (shard.of > units.size()) {
    return absl::InvalidArgumentError(absl::StrCat("shard ", shard.index, "/", shard.of,
                                                   ": the work has only ",
                                                   CountOf(units.size(), "unit"), " to divide"));
  }
  std::vector<size_t> dealt(units.size());
  std::iota(dealt.begin(), dealt.end(), size_t{0});
  std::sort(dealt.begin(), dealt.end(), [&](size_t a, size_t b) {
    return std::pair(StableHash(units[a]), units[a]) < std::pair(StableHash(units[b]), units[b]);
  });
  std::vector<size_t> share;
  for (size_t n = shard.index - 1; n < dealt.size(); n += shard.of) share.push_back(dealt[n]);
  std::sort(share.begin(), share.end());
  return share;
}

Json DescribeShard(const Shard& shard, std::span<const std::string> units) {
  return {{"index", shard.index}, {"of", shard.of}, {"units", units}};
}

}  // namespace kill9
