// The shape of a cell's scene: what a starting state leaves open. How much room the segment has
// beyond what the state needs, how many places the table has, how many of them the dead have, and
// how long what is stored is.
//
// As text, which --shape= takes and a run prints:
//
//     spare=4099,room=70,dead=62,small=65,middle=905,large=8191,died=730
#ifndef KILL9_HARNESS_SWEEP_DRIVER_SWEEP_SHAPE_H_
#define KILL9_HARNESS_SWEEP_DRIVER_SWEEP_SHAPE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "harness/base/random.h"
#include "harness/torture/shape/shape_ranges.h"

namespace kill9::sweep {

// 0, everywhere: as the state has it.
struct SweepShape {
  uint64_t spare = 0;  // bytes of the segment, beyond those of the smallest that the state fits in
  uint32_t room = 0;   // places in the table, beyond those that the cell needs
  uint32_t dead = 0;   // of these: taken by who died before the victim begins
  uint32_t small = 0, middle = 0, large = 0;  // bytes of what is stored
  // Of kinds with keys.
  uint32_t stripes = 0;
  uint32_t entries = 0;  // that are expected
  uint32_t before = 0;   // bytes that every key has in front
  uint32_t behind = 0;   // and at its end: keys then differ in their middle
  // Of all kinds: where in the thousand of its states who left something half done has died; 0: in
  // the middle.
  uint32_t died = 0;

  friend bool operator==(const SweepShape&, const SweepShape&) = default;
};

// Which fields a kind has: a bit each, by their order in SweepShape.
inline constexpr uint32_t kObjectShapeFields = 0x43f;
inline constexpr uint32_t kStoreShapeFields = 0x7ff;

// "usual" if nothing is otherwise than the state has it.
std::string SweepShapeText(const SweepShape& shape);
// kInvalidArgument says what is wrong with the text, for a kind with these fields.
absl::StatusOr<SweepShape> ParseSweepShape(std::string_view text, uint32_t fields);

// How many bytes are stored in a starting state: `shape`'s, unless that is 0. Each state has its
// own of `usual`: of whole lines and words, and of none.
inline uint32_t SizeIn(size_t state, uint32_t shape, std::span<const uint32_t> usual) {
  return shape != 0 ? shape : usual[state % usual.size()];
}
inline constexpr uint32_t kSmallSizes[] = {64, 65, 197, 24, 129, 127, 1021, 257, 1032};
inline constexpr uint32_t kLargeSizes[] = {6000, 4097, 6145, 8191, 2056};

// `has_dead` false: nobody died before.
SweepShape DrawSweepShape(Random& random, uint32_t fields, bool has_dead);
// Of what was left half done.
uint32_t DrawDeath(Random& random);

// By dimension, the classes that the shape is of; and all that there are, of a kind with these
// fields.
std::vector<ShapeDimension> ClassesOf(const SweepShape& shape, uint32_t fields);
std::vector<ShapeDimension> AllSweepShapeClasses(uint32_t fields);

}  // namespace kill9::sweep

#endif  // KILL9_HARNESS_SWEEP_DRIVER_SWEEP_SHAPE_H_
