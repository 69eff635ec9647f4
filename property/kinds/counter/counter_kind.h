// The line by which a program adds the counter to the testbed.
#ifndef KILL9_PROPERTY_KINDS_COUNTER_COUNTER_KIND_H_
#define KILL9_PROPERTY_KINDS_COUNTER_COUNTER_KIND_H_

#include "harness/checker/models/objects/counter.h"
#include "harness/checker/window.h"
#include "harness/kinds/kinds.h"
#include "property/kinds/counter/counter_designs.h"
#include "property/kinds/counter/counter_driver.h"
#include "property/kinds/counter/counter_sweep.h"

namespace kill9 {

inline const Own& CounterKind() {
  static const CounterDriver driver;
  static const sweep::CounterSweep sweep_driver;
  static const Design* const designs[] = {&AtomicCounterDesign(), &ForgetfulCounterDesign(),
                                          &RedoingCounterDesign()};
  // The words are its own.
  static const EngineChecker<CounterModel> model(
      {.name = "tally", .summary = CounterModel::kSummary, .accepts = CounterModel::Accepts});
  static const ModelChecker* const models[] = {&model};
  static const TortureDriver* const drivers[] = {&driver};
  static const sweep::SweepDriver* const sweep_drivers[] = {&sweep_driver};
  static const Own own = {.designs = designs,
                          .models = models,
                          .torture_drivers = drivers,
                          .sweep_drivers = sweep_drivers};
  return own;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_KINDS_COUNTER_COUNTER_KIND_H_
