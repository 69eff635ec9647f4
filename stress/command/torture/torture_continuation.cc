#include "stress/command/torture/torture_continuation.h"

#include "absl/strings/str_cat.h"
#include "harness/result/schema/schema.h"

namespace kill9 {

absl::StatusOr<Json> TortureContinuation::FinishedRuns(const std::string& path) const try {
  const absl::StatusOr<Json> earlier = ReadJsonFile(path);
  if (!earlier.ok()) return earlier.status();
  if (const std::string why = WhyNoResult(*earlier); !why.empty()) {
    return absl::InvalidArgumentError("it " + why);
  }
  if (TextField(*earlier, "kind") != "torture") {
    return absl::InvalidArgumentError("it is no result of torture");
  }
  if (!earlier->contains("to_continue")) {
    return absl::InvalidArgumentError("it was not interrupted: there is nothing to go on with");
  }
  const Json& to_continue = earlier->at("to_continue");
  for (const auto& [what, given] : asked_.items()) {
    const Json before = to_continue.at("asked").value(what, Json());
    if (before == given) continue;
    return absl::InvalidArgumentError(absl::StrCat("it was asked for otherwise (", what, ": ",
                                                   Dump(before), ", now ", Dump(given),
                                                   "): its options have to be given again"));
  }
  const size_t finished = to_continue.at("finished").get<size_t>();
  Json runs = Json::array();
  for (size_t n = 0; n < finished; ++n) runs.push_back(earlier->at("runs").at(n));
  return runs;
} catch (const Json::exception& error) {
  return absl::InvalidArgumentError(
      absl::StrCat("a field is not as torture writes it: ", error.what()));
}

}  // namespace kill9
