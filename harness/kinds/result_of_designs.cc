#include "harness/kinds/result_of_designs.h"

#include "harness/kinds/sweep_kinds.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

std::string_view ProgressName(Progress progress) {
  switch (progress) {
    case Progress::kBlocking:
      return "blocking";
    case Progress::kLockFree:
      return "lock-free";
    case Progress::kWaitFree:
      return "wait-free";
  }
  return "";
}

Json DescribeKind(const sweep::SweepDriver& driver) {
  Json without_place = Json::array();
  for (uint32_t operation = 0; operation < driver.operations().size(); ++operation) {
    if (!driver.HasPlace(operation)) without_place.push_back(driver.operations()[operation]);
  }
  return {{"operations", driver.operations()}, {"without_place", std::move(without_place)}};
}

Json DescribeDesign(const Design& design) {
  Json json = {{"kind", RoleName(design.role())},
               {"object", design.kind()},
               {"lossless", design.object_traits().lossless}};
  const sweep::SweepDriver* driver = FindSweepDriver(design.kind());
  if (driver == nullptr) return json;
  const sweep::Claims claims = driver->ClaimsOf(design);
  json["claims"] = Json::array();
  for (const sweep::ProgressClaim& claim : claims.progress) {
    json["claims"].push_back(
        {{"of", claim.of}, {"progress", ProgressName(claim.progress)}, {"probes", claim.probes}});
  }
  json["blocks"] = claims.blocks;
  return json;
}

}  // namespace

std::string_view RoleName(Design::Role role) {
  return role == Design::Role::kDesign     ? "design"
         : role == Design::Role::kBaseline ? "baseline"
                                           : "peer";
}

Json NewResultOfDesigns(std::string_view kind, uint64_t seed) {
  Json kinds = Json::object();
  for (const sweep::SweepDriver* driver : AllSweepDrivers()) {
    kinds[std::string(driver->kind())] = DescribeKind(*driver);
  }
  Json designs = Json::object();
  for (const Design* design : AllDesigns()) {
    designs[std::string(design->name())] = DescribeDesign(*design);
  }
  Json result = NewResult(kind, seed);
  Json runs = std::move(result["runs"]);
  result.erase("runs");
  result["kinds"] = std::move(kinds);
  result["designs"] = std::move(designs);
  result["runs"] = std::move(runs);
  return result;
}

}  // namespace kill9
