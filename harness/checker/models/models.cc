// The list of models. Adding one: a file in harness/checker/models/ and a line here.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/models/cache.h"
#include "harness/checker/models/cas_register.h"
#include "harness/checker/models/map.h"
#include "harness/checker/models/queue_checker.h"
#include "harness/checker/models/register.h"
#include "harness/checker/window.h"

namespace kill9 {
namespace {

const EngineChecker<RegisterModel> kRegister;
const EngineChecker<CasRegisterModel> kCasRegister;
const EngineChecker<MapModel> kMap;
const EngineChecker<CacheModel> kCache;
const QueueChecker kQueue;

std::vector<const ModelChecker*>& Models() {
  static auto* models =
      new std::vector<const ModelChecker*>{&kRegister, &kCasRegister, &kMap, &kCache, &kQueue};
  return *models;
}

}  // namespace

std::span<const ModelChecker* const> AllModels() { return Models(); }

const ModelChecker* FindModel(std::string_view name) {
  for (const ModelChecker* model : AllModels()) {
    if (model->name() == name) return model;
  }
  return nullptr;
}

absl::Status AddModels(std::span<const ModelChecker* const> models) {
  for (const ModelChecker* model : models) {
    if (FindModel(model->name()) != nullptr) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a model '", std::string(model->name()), "' already"));
    }
    Models().push_back(model);
  }
  return absl::OkStatus();
}

}  // namespace kill9
