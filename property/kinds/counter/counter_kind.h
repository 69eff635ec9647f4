// The line by which a program adds the counter to the testbed.
#ifndef KILL9_PROPERTY_KINDS_COUNTER_COUNTER_KIND_H_
#define KILL9_PROPERTY_KINDS_COUNTER_COUNTER_KIND_H_

#include "harness/kinds/kinds.h"
#include "property/kinds/counter/counter_designs.h"
#include "property/kinds/counter/counter_driver.h"
#include "property/kinds/counter/counter_model.h"

namespace kill9 {

inline const Own& CounterKind() {
  static const CounterDriver driver;
  static const Design* const designs[] = {&AtomicCounterDesign(), &ForgetfulCounterDesign()};
  static const ModelChecker* const models[] = {&CounterChecker()};
  static const TortureDriver* const drivers[] = {&driver};
  static const Own own = {.designs = designs, .models = models, .torture_drivers = drivers};
  return own;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_KINDS_COUNTER_COUNTER_KIND_H_
