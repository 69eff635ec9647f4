// The designs that sweeps of tests know: those of the tests, and all others.
#ifndef KILL9_PROPERTY_SWEEP_SWEEP_DESIGNS_H_
#define KILL9_PROPERTY_SWEEP_SWEEP_DESIGNS_H_

#include <string_view>

#include "variants/object.h"

namespace kill9::sweep {

const Design* FindDesignOfTests(std::string_view name);

}  // namespace kill9::sweep

#endif  // KILL9_PROPERTY_SWEEP_SWEEP_DESIGNS_H_
