// Damage of a segment's bytes: what disks, copies and stray stores do to a file, drawn from a seed.
#ifndef KILL9_PROPERTY_SEGMENT_SEGMENT_DAMAGE_H_
#define KILL9_PROPERTY_SEGMENT_SEGMENT_DAMAGE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "absl/functional/function_ref.h"
#include "variants/segment.h"
#include "variants/segment/hash.h"

namespace kill9 {

class SegmentDamage {
 public:
  // `other`: bytes of another segment of the same size, for pages that land in the wrong file.
  SegmentDamage(std::string& bytes, const std::string& other, uint64_t seed)
      : bytes_(bytes), other_(other), random_(seed * 0x9e3779b97f4a7c15 + 12345) {}

  void Do() {
    switch (Draw(12)) {
      case 0:
        for (uint64_t flips = 1 + Draw(3); flips > 0; --flips) {
          bytes_[Place(1)] ^= static_cast<char>(1 << Draw(8));
        }
        break;
      case 1: {
        const size_t first = Place(1);
        std::memset(&bytes_[first], 0, std::min<size_t>(1 + Draw(300), bytes_.size() - first));
        break;
      }
      case 2: {
        const size_t first = Place(kPage);
        for (size_t at = first; at < first + kPage; at += 8) Store(at, random_());
        break;
      }
      case 3: {
        const size_t first = Place(kPage);
        other_.copy(&bytes_[first], kPage, first);
        break;
      }
      case 4: {
        const size_t a = Place(8);
        const size_t b = Place(8);
        const uint64_t word = Load(a);
        Store(a, Load(b));
        Store(b, word);
        break;
      }
      case 5: {
        const size_t a = Place(kPage);
        const size_t b = Place(kPage);
        std::swap_ranges(&bytes_[a], &bytes_[a] + kPage, &bytes_[b]);
        break;
      }
      case 6:
        for (uint64_t words = 10 + Draw(40); words > 0; --words) OverwriteWord();
        break;
      case 7:
        ResealHeader();
        break;
      default:
        OverwriteWord();
    }
  }

  // A header that is wrong and has a right checksum.
  void ChangeParameter(size_t index, absl::FunctionRef<uint64_t(uint64_t)> change) {
    SegmentHeader header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.parameters[index] = change(header.parameters[index]);
    header.checksum = XXH3_64bits(&header, offsetof(SegmentHeader, checksum));
    std::memcpy(bytes_.data(), &header, sizeof header);
  }

 private:
  static constexpr size_t kPage = 4096;

  uint64_t Draw(uint64_t below) { return random_() % below; }
  // Mostly behind the header, whose checksum tells; and where something is.
  size_t Place(size_t unit) {
    size_t at = 0;
    for (int tries = 0; tries < 20; ++tries) {
      const size_t lowest = Draw(100) < 95 ? Segment::kHeaderBytes : 0;
      at = (lowest + Draw(bytes_.size() - lowest)) / unit * unit;
      if (unit == kPage || Load(at / 8 * 8) != 0 || Draw(4) == 0) break;
    }
    return at;
  }
  uint64_t Load(size_t at) const {
    uint64_t word;
    std::memcpy(&word, &bytes_[at], sizeof word);
    return word;
  }
  void Store(size_t at, uint64_t word) { std::memcpy(&bytes_[at], &word, sizeof word); }

  // With what looks like something that a design would follow.
  void OverwriteWord() {
    const size_t at = Place(8);
    const uint64_t offset = Draw(bytes_.size()) / 16 * 16;
    uint64_t word = Load(at);
    switch (Draw(12)) {
      case 0:
        word = random_();
        break;
      case 1:
        word = 0;
        break;
      case 2:
        word = ~uint64_t{0} - Draw(3);
        break;
      case 3:
        word = Draw(70);
        break;
      case 4:
        word = offset;
        break;
      case 5:
        word = offset / 16;
        break;
      case 6:
        word = offset / 16 << 32 | (word & UINT32_MAX);
        break;
      case 7:
        word = (word & ~uint64_t{UINT32_MAX}) | offset / 16;
        break;
      case 8:
        word += uint64_t{1} << Draw(64);
        break;
      case 9:
        word -= uint64_t{1} << Draw(64);
        break;
      case 10:
        word = Load(Place(8));
        break;
      default:  // itself
        word = Draw(2) == 0 ? at : at / 16;
    }
    Store(at, word);
  }

  void ResealHeader() {
    ChangeParameter(Draw(5), [this](uint64_t parameter) {
      const uint64_t values[] = {0,
                                 1,
                                 parameter + 1,
                                 parameter - 1,
                                 parameter * 2,
                                 parameter / 2,
                                 parameter << Draw(40),
                                 parameter + (uint64_t{1} << Draw(64)),
                                 ~uint64_t{0},
                                 random_()};
      return values[Draw(std::size(values))];
    });
  }

  std::string& bytes_;
  const std::string& other_;
  std::mt19937_64 random_;
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_SEGMENT_SEGMENT_DAMAGE_H_
