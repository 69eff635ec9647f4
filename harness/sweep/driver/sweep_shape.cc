#include "harness/sweep/driver/sweep_shape.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "harness/torture/shape/draw_segment.h"
#include "harness/torture/shape/shape_text.h"

namespace kill9::sweep {
namespace {

// A field as a number: what it can be, and its classes.
struct ShapeField {
  std::string_view name;
  uint64_t least, most;  // besides 0
  std::vector<UpTo> classes;
  uint64_t (*get)(const SweepShape& shape);
  void (*set)(SweepShape* shape, uint64_t number);
};

template <auto kField>
ShapeField FieldOf(std::string_view name, uint64_t least, uint64_t most,
                   std::vector<UpTo> classes) {
  return {name,
          least,
          most,
          std::move(classes),
          [](const SweepShape& shape) { return uint64_t{shape.*kField}; },
          [](SweepShape* shape, uint64_t number) {
            using Number = std::remove_reference_t<decltype(shape->*kField)>;
            shape->*kField = static_cast<Number>(number);
          }};
}

// What is stored is at least so long: shorter bytes cannot tell who wrote them.
constexpr uint64_t kLeastBytes = 24;
constexpr uint64_t kMostSmall = 1100, kMostMiddle = 2100, kMostLarge = 9000;
constexpr uint64_t kMostRoom = 120;
constexpr uint64_t kMostDied = 999;
constexpr std::string_view kOfTheState = "the state's";

const std::vector<ShapeField>& AllFields() {
  static const auto* fields = new std::vector<ShapeField>{
      FieldOf<&SweepShape::spare>("spare", 1, 4u << 20,
                                  {{0, "none"}, {4096, "to a page"}, {kNoLimit, "more"}}),
      FieldOf<&SweepShape::room>("room", 1, kMostRoom,
                                 {{0, "none"}, {59, "a few"}, {kNoLimit, "a word of them"}}),
      FieldOf<&SweepShape::dead>("dead", 1, kMostRoom,
                                 {{0, "none"}, {59, "a few"}, {kNoLimit, "a word of them"}}),
      FieldOf<&SweepShape::small>(
          "small", kLeastBytes, kMostSmall,
          {{0, kOfTheState}, {64, "to a line"}, {256, "to 256 B"}, {kNoLimit, "more"}}),
      FieldOf<&SweepShape::middle>("middle", kLeastBytes, kMostMiddle,
                                   {{0, kOfTheState}, {1024, "to 1 KiB"}, {kNoLimit, "more"}}),
      FieldOf<&SweepShape::large>("large", kLeastBytes, kMostLarge,
                                  {{0, kOfTheState}, {2048, "to 2 KiB"}, {kNoLimit, "more"}}),
      FieldOf<&SweepShape::stripes>("stripes", 1, 256,
                                    {{0, kOfTheState}, {1, "1"}, {16, "to 16"}, {256, "to 256"}}),
      FieldOf<&SweepShape::entries>("entries", 1, 4096,
                                    {{0, kOfTheState}, {2, "too few"}, {kNoLimit, "too many"}}),
      FieldOf<&SweepShape::before>("before", 1, 200, {{0, "none"}, {kNoLimit, "some"}}),
      FieldOf<&SweepShape::behind>("behind", 1, 200, {{0, "none"}, {kNoLimit, "some"}}),
      FieldOf<&SweepShape::died>("died", 1, kMostDied,
                                 {{0, "in the middle"}, {499, "early"}, {kNoLimit, "late"}}),
  };
  return *fields;
}

std::vector<const ShapeField*> FieldsOf(uint32_t bits) {
  std::vector<const ShapeField*> fields;
  for (size_t i = 0; i < AllFields().size(); ++i) {
    if ((bits >> i & 1) != 0) fields.push_back(&AllFields()[i]);
  }
  return fields;
}

// One to five times a power of two, and some bytes more or less: where granules, chunks and pages
// end. Or any.
uint32_t DrawBytes(Random& random, uint64_t least, uint64_t most) {
  constexpr uint64_t kAround = 9;
  if (random.Chance(700)) {
    const uint64_t edge = Between(random, 1, 5) << Between(random, 3, 12);
    const uint64_t bytes = edge + Between(random, 0, 2 * kAround) - std::min(kAround, edge);
    if (bytes >= least && bytes <= most) return static_cast<uint32_t>(bytes);
  }
  return static_cast<uint32_t>(Between(random, least, most));
}

}  // namespace

std::string SweepShapeText(const SweepShape& shape) {
  std::vector<std::string> parts;
  for (const ShapeField& field : AllFields()) {
    if (const uint64_t number = field.get(shape); number != 0) {
      parts.push_back(absl::StrCat(std::string(field.name), "=", number));
    }
  }
  return parts.empty() ? std::string(shape_text::kUsual) : absl::StrJoin(parts, ",");
}

absl::StatusOr<SweepShape> ParseSweepShape(std::string_view text, uint32_t fields) {
  SweepShape shape;
  if (text == shape_text::kUsual) return shape;
  const std::vector<const ShapeField*> known = FieldsOf(fields);
  std::vector<std::string_view> names;
  for (const ShapeField* field : known) names.push_back(field->name);
  const absl::Status status = shape_text::ParseFields(
      text, names, [&](const std::string& name, const std::string& number_text) {
        const auto found = std::find_if(known.begin(), known.end(), [&](const ShapeField* field) {
          return field->name == name;
        });
        uint64_t number = 0;
        absl::Status parsed =
            shape_text::ParseNumber(name, number_text, (*found)->least, (*found)->most, &number);
        if (parsed.ok()) (*found)->set(&shape, number);
        return parsed;
      });
  if (!status.ok()) return status;
  if (shape.dead > shape.room) return shape_text::Wrong("dead", "more than there is room for");
  return shape;
}

SweepShape DrawSweepShape(Random& random, uint32_t fields, bool has_dead) {
  SweepShape shape;
  // Most of the segment is compared at each instruction: little to spare.
  constexpr uint64_t kMostSpare = 70'000;
  if (random.Chance(500)) shape.spare = Between(random, 1, kMostSpare);
  if (random.Chance(500)) {
    shape.room = Draw(random, std::array<uint32_t, 4>{1, 20, 58, kMostRoom});
  }
  if (has_dead && shape.room != 0 && random.Chance(500)) {
    // To recover one costs each judge its time.
    shape.dead = std::min<uint32_t>(shape.room, Draw(random, std::array<uint32_t, 3>{1, 3, 62}));
  }
  // What a judge fills an object with is long enough that some hundred are all. A store's values
  // are copied by its puts, and each byte of a copy is a state.
  const bool is_store = (fields & ~kObjectShapeFields) != 0;
  constexpr uint64_t kLeastFill = 400, kMostOfAStore = 300;
  shape.small = DrawBytes(random, kLeastBytes, is_store ? kMostOfAStore : kMostSmall);
  shape.middle = is_store ? DrawBytes(random, shape.small, kMostSmall)
                          : DrawBytes(random, kLeastFill, kMostMiddle);
  shape.large = is_store ? DrawBytes(random, shape.middle, kMostMiddle)
                         : DrawBytes(random, kMostSmall, kMostLarge);
  if (is_store) {
    shape.stripes = Draw(random, std::array<uint32_t, 6>{0, 1, 2, 16, 64, 256});
    shape.entries = Draw(random, std::array<uint32_t, 5>{0, 1, 2, 100, 1000});
    shape.before = Draw(random, std::array<uint32_t, 4>{0, 8, 53, 200});
    shape.behind = Draw(random, std::array<uint32_t, 4>{0, 8, 16, 33});
  }
  if (random.Chance(700)) shape.died = DrawDeath(random);
  return shape;
}

uint32_t DrawDeath(Random& random) { return static_cast<uint32_t>(Between(random, 1, kMostDied)); }

std::vector<ShapeDimension> ClassesOf(const SweepShape& shape, uint32_t fields) {
  std::vector<ShapeDimension> dimensions;
  for (const ShapeField* field : FieldsOf(fields)) {
    dimensions.push_back({field->name, {NameOf(field->classes, field->get(shape))}});
  }
  return dimensions;
}

std::vector<ShapeDimension> AllSweepShapeClasses(uint32_t fields) {
  std::vector<ShapeDimension> dimensions;
  for (const ShapeField* field : FieldsOf(fields)) {
    dimensions.push_back({field->name, NamesOf(field->classes)});
    // A drawn shape always says these.
    const bool is_length =
        field->name == "small" || field->name == "middle" || field->name == "large";
    if (is_length) dimensions.back().classes.erase(dimensions.back().classes.begin());
  }
  return dimensions;
}

}  // namespace kill9::sweep
