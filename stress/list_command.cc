// kill9 list: what there is to run.
#include <iostream>

#include "harness/result.h"
#include "harness/verdict.h"
#include "stress/commands.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

Json ListVariants() {
  Json variants = Json::array();
  for (const Variant* variant : AllVariants()) {
    variants.push_back({{"name", variant->name()},
                        {"summary", variant->summary()},
                        {"lossless", variant->traits().lossless},
                        {"expected_verdict", variant->expected_verdict()}});
  }
  return variants;
}

}  // namespace

void AddListCommand(CLI::App& application, int& exit_code) {
  CLI::App* command = application.add_subcommand("list", "variants, scenarios, models");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "as JSON");
  command->callback([as_json, &exit_code] {
    Json list = {{"variants", ListVariants()}};
    if (*as_json) {
      std::cout << list.dump(2) << "\n";
    } else {
      for (const Json& variant : list["variants"]) {
        std::cout << variant["name"].get<std::string>() << ": "
                  << variant["summary"].get<std::string>() << "\n";
      }
    }
    exit_code = kExitPass;
  });
}

}  // namespace kill9
