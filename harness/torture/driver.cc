#include "harness/torture/driver.h"

#include "harness/result/result.h"

namespace kill9 {

Json PreparedRun::Counts() const { return Json::object(); }

Json PreparedRun::shape_classes() const { return Json::object(); }

Json TortureDriver::shape_classes() const { return Json::object(); }

}  // namespace kill9
