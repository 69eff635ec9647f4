// What the sum of copied words tells of damage.
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "property/scaffold/children.h"
#include "variants/stores/seqlock_ring/words.h"

namespace kill9::ring {
namespace {

TEST(SeqlockRingWords, SumTellsAnyChangeOfOneWordAndAnyExchangeOfTwo) {
  std::mt19937_64 random(TestSeed());
  std::vector<uint64_t> words(64);
  const auto sum = [&words] {
    return SumOfValue({reinterpret_cast<const char*>(words.data()), words.size() * kWord});
  };
  for (uint64_t& word : words) word = random();
  const uint64_t before = sum();
  for (uint64_t& word : words) {
    const uint64_t was = word;
    // Few bits and many, high ones and low ones.
    for (const uint64_t change :
         {uint64_t{1} << 63, uint64_t{1} << 32 | 1, random(), ~uint64_t{0}}) {
      word = was ^ change;
      EXPECT_NE(sum(), before);
      word = was + change;
      EXPECT_NE(sum(), before);
    }
    word = was;
  }
  for (size_t i = 0; i < words.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      std::swap(words[i], words[j]);
      EXPECT_NE(sum(), before) << i << " and " << j;
      std::swap(words[i], words[j]);
    }
  }
}

// What is read together with its trailer is what was written, with the sum of all of it.
TEST(SeqlockRingWords, TrailerIsTakenApartWhereverItBegins) {
  std::mt19937_64 random(TestSeed());
  struct Trailer {
    uint64_t words[3];
  };
  for (size_t size = 0; size <= 200; ++size) {
    std::string written(size + sizeof(Trailer), '\0');
    for (char& byte : written) byte = static_cast<char>(random());
    alignas(kPairBytes) char stored[256] = {};
    ASSERT_LE(PaddedBytes(written.size()), sizeof stored);
    const uint64_t sum = CopyIn(stored, written);
    std::string value(size, 'x');
    Trailer trailer;
    EXPECT_EQ(CopyOutApart(value.data(), stored, size, &trailer), sum) << size;
    EXPECT_EQ(value, written.substr(0, size));
    EXPECT_EQ(std::memcmp(&trailer, written.data() + size, sizeof trailer), 0) << size;
    EXPECT_EQ(value.c_str()[size], '\0') << size;
  }
}

// As words.h and docs/threat_model.md say.
TEST(SeqlockRingWords, SumDoesNotTellFlipsOfTheHighestBitOfTwoWordsOfALane) {
  std::mt19937_64 random(TestSeed());
  std::vector<uint64_t> words(64);
  const auto sum = [&words] {
    return SumOfValue({reinterpret_cast<const char*>(words.data()), words.size() * kWord});
  };
  for (uint64_t& word : words) word = random();
  const uint64_t before = sum();
  const auto after_flips = [&](int bit, size_t one, size_t other) {
    for (const size_t at : {one, other}) words[at] ^= uint64_t{1} << bit;
    const uint64_t after = sum();
    for (const size_t at : {one, other}) words[at] ^= uint64_t{1} << bit;
    return after;
  };
  EXPECT_EQ(after_flips(63, 4, 30), before);
  EXPECT_NE(after_flips(63, 4, 31), before);
  EXPECT_NE(after_flips(40, 4, 30), before);
}

}  // namespace
}  // namespace kill9::ring
