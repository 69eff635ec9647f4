// Classes of shapes, by which results tell what was covered, and what no run has seen.
#ifndef KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_CLASSES_H_
#define KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_CLASSES_H_

#include <string>
#include <string_view>
#include <vector>

#include "harness/store_driver/shape/shape.h"

namespace kill9 {

struct ShapeDimension {
  std::string_view name;
  std::vector<std::string> classes;
};

// All that there are.
std::vector<ShapeDimension> AllShapeClasses();
// Those of one shape, in the same order of dimensions. `participants`: that take part at a time.
std::vector<ShapeDimension> ClassesOf(const StoreShape& shape, uint32_t participants);

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_CLASSES_H_
