#include "harness/store_driver/shape/key_family.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kill9 {
namespace {

constexpr size_t kLongKeyBytes = 250;
constexpr size_t kMostZeros = 64;

std::string PlainKey(uint64_t key) {
  if (key % 16 == 3 && key < 1600) return std::string(1, static_cast<char>(128 + key / 16));
  std::string text = absl::StrCat("key-", key);
  if (key % 16 == 7) text.append(kLongKeyBytes - text.size(), '.');
  return text;
}

std::string BigEndian(uint64_t number) {
  std::string bytes(8, '\0');
  for (size_t i = 8; i-- > 0; number >>= 8) bytes[i] = static_cast<char>(number & 0xff);
  return bytes;
}

std::string KeyOf(KeyFamily family, uint64_t key, size_t max_key_bytes) {
  switch (family) {
    case KeyFamily::kPlain:
      return PlainKey(key);
    case KeyFamily::kEnds: {
      const std::string end((kLongKeyBytes - 8) / 2, 'e');
      return end + BigEndian(key) + end;
    }
    case KeyFamily::kZeros:
      return key < kMostZeros ? std::string(key + 1, '\0') : BigEndian(key) + '\0';
    case KeyFamily::kLongest:
      return std::string(max_key_bytes - 8, 'l') + BigEndian(key);
    case KeyFamily::kSorted:
      return absl::StrFormat("%016d", key);
    case KeyFamily::kTwins:
      break;
  }
  std::abort();
}

// Among so many some 32 pairs agree in 32 bits of a hash, and half of them with another in 18.
constexpr uint32_t kCandidates = 1 << 19;

struct Candidate {
  uint64_t hash;
  uint32_t number;
};

// Equal at both ends: who compares too little of two keys takes them for one.
std::string TextOf(const Candidate& candidate) {
  return "twins of" + BigEndian(candidate.number) + "one hash";
}

// Takes whoever agrees with its neighbour in `order`, in the order of that.
template <typename Order>
void TakeTwins(std::vector<Candidate>& candidates, Order order, size_t most,
               std::vector<Candidate>* taken) {
  std::sort(candidates.begin(), candidates.end(),
            [&](const Candidate& a, const Candidate& b) { return order(a.hash) < order(b.hash); });
  const size_t end = taken->size() + most;
  for (size_t i = 1; i < candidates.size() && taken->size() + 1 < end; ++i) {
    if (order(candidates[i - 1].hash) != order(candidates[i].hash)) continue;
    taken->push_back(candidates[i - 1]);
    taken->push_back(candidates[i]);
    ++i;
  }
}

std::vector<std::string> Twins(uint64_t count, absl::FunctionRef<uint64_t(std::string_view)> hash) {
  std::vector<Candidate> candidates;
  candidates.reserve(kCandidates);
  for (uint32_t number = 0; number < kCandidates; ++number) {
    candidates.push_back({hash(TextOf({0, number})), number});
  }
  std::vector<Candidate> taken;
  TakeTwins(
      candidates, [](uint64_t bits) { return bits & 0xffffffff; }, count / 3, &taken);
  TakeTwins(
      candidates, [](uint64_t bits) { return bits >> 32; }, count / 3, &taken);
  // Of one bucket by the upper bits, and of one tag by the lower ones.
  TakeTwins(
      candidates, [](uint64_t bits) { return bits >> 58 << 12 | (bits & 0xfff); }, count / 6,
      &taken);
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.hash < b.hash; });
  std::vector<bool> used(kCandidates);
  std::vector<std::string> texts;
  const auto add = [&](const Candidate& candidate) {
    if (texts.size() == count || used[candidate.number]) return;
    used[candidate.number] = true;
    texts.push_back(TextOf(candidate));
  };
  for (const Candidate& candidate : taken) add(candidate);
  // The rest are neighbours by the upper bits: of one bucket, however many there are.
  for (const Candidate& candidate : candidates) add(candidate);
  return texts;
}

}  // namespace

std::string_view KeyFamilyName(KeyFamily family) {
  switch (family) {
    case KeyFamily::kPlain:
      return "plain";
    case KeyFamily::kEnds:
      return "ends";
    case KeyFamily::kZeros:
      return "zeros";
    case KeyFamily::kLongest:
      return "longest";
    case KeyFamily::kSorted:
      return "sorted";
    case KeyFamily::kTwins:
      return "twins";
  }
  std::abort();
}

std::vector<std::string> KeysOf(KeyFamily family, uint64_t count, size_t max_key_bytes,
                                absl::FunctionRef<uint64_t(std::string_view)> hash) {
  if (family == KeyFamily::kTwins) return Twins(count, hash);
  std::vector<std::string> texts;
  texts.reserve(count);
  for (uint64_t key = 0; key < count; ++key) texts.push_back(KeyOf(family, key, max_key_bytes));
  return texts;
}

std::vector<std::string> PlainKeys(uint64_t count) {
  return KeysOf(KeyFamily::kPlain, count, kLongKeyBytes, [](std::string_view) { return 0; });
}

}  // namespace kill9
