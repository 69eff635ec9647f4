// The models that programs can be asked for, and what is drawn of each. A model joins by a row of
// kDrawnModels (drawn_models.cc).
#ifndef KILL9_HARNESS_PROGRAMS_MODELS_DRAWN_MODELS_H_
#define KILL9_HARNESS_PROGRAMS_MODELS_DRAWN_MODELS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/history/history.h"

namespace kill9::programs {

struct DrawnFunction {
  Function function;
  uint32_t weight;
  bool expected = true;  // of every program of the model
};

struct DrawnModel {
  std::string_view name;
  uint32_t keys;
  Function closing;
  std::vector<DrawnFunction> functions;
};

std::vector<std::string> ModelsOfPrograms();
// REQUIRES: it is one of these.
const DrawnModel& DrawnModelOf(std::string_view name);

}  // namespace kill9::programs

#endif  // KILL9_HARNESS_PROGRAMS_MODELS_DRAWN_MODELS_H_
