// Classes of the shapes of runs on a store.
#ifndef KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_CLASSES_H_
#define KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_CLASSES_H_

#include <vector>

#include "harness/store_driver/shape/shape.h"
#include "harness/torture/shape/shape_ranges.h"

namespace kill9 {

// All that there are.
std::vector<ShapeDimension> AllShapeClasses();
// Those of one shape, in the same order of dimensions. `participants`: that take part at a time.
std::vector<ShapeDimension> ClassesOf(const StoreShape& shape, uint32_t participants);

}  // namespace kill9

#endif  // KILL9_HARNESS_STORE_DRIVER_SHAPE_SHAPE_CLASSES_H_
