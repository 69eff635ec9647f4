// kill9 list: what there is to run.
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "harness/checker/model_checker.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/torture/scenario.h"
#include "harness/base/text/wrap.h"
#include "stress/command/commands.h"
#include "stress/command/terminal/terminal.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

Json ListVariants() {
  Json variants = Json::array();
  for (const Design* design : AllDesigns()) {
    variants.push_back({{"name", design->name()},
                        {"summary", design->summary()},
                        {"kind", RoleName(design->role())},
                        {"object", design->kind()},
                        {"lossless", design->object_traits().lossless},
                        {"expected_verdict", design->expected_verdict()}});
  }
  return variants;
}

Json ListScenarios() {
  Json scenarios = Json::array();
  for (const Scenario& scenario : AllScenarios()) {
    scenarios.push_back({{"name", scenario.name}, {"summary", scenario.summary}});
  }
  return scenarios;
}

Json ListModels() {
  Json models = Json::array();
  for (const ModelChecker* model : AllModels()) {
    models.push_back({{"name", model->name()}, {"summary", model->summary()}});
  }
  return models;
}

Json ListMissingPeers() {
  Json missing = Json::array();
  for (const auto& [peer, package] : PeerPackages()) {
    if (FindDesign(peer) != nullptr) continue;
    missing.push_back({{"name", peer}, {"summary", "needs the package " + std::string(package)}});
  }
  return missing;
}

}  // namespace

void AddListCommand(CommandLine& line) {
  Command command = line.Add("list", "variants, scenarios, models");
  auto as_json = std::make_shared<bool>(false);
  command.AddFlag("--json", *as_json, "as JSON");
  command.Example("", "the names that other commands take");
  command.OnCall([as_json] {
    Json list = {
        {"variants", ListVariants()}, {"scenarios", ListScenarios()}, {"models", ListModels()}};
    if (Json missing = ListMissingPeers(); !missing.empty()) {
      list["peers that were not built"] = std::move(missing);
    }
    if (*as_json) {
      std::cout << Dump(list, 2) << "\n";
      return kExitPass;
    }
    const size_t columns = Terminal(1).columns();
    for (const auto& [group, entries] : list.items()) {
      std::cout << group << "\n";
      for (const Json& entry : entries) {
        const std::string text = absl::StrCat("  ", entry["name"].get<std::string>(), ": ",
                                              entry["summary"].get<std::string>());
        std::cout << Wrap(text, columns) << "\n";
      }
    }
    return kExitPass;
  });
}

}  // namespace kill9
