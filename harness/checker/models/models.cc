// The list of models. Adding one: a file in harness/checker/models/ and a line here.
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
const ModelChecker* const kModels[] = {&kRegister, &kCasRegister, &kMap, &kCache, &kQueue};

}  // namespace

std::span<const ModelChecker* const> AllModels() { return kModels; }

const ModelChecker* FindModel(std::string_view name) {
  for (const ModelChecker* model : kModels) {
    if (model->name() == name) return model;
  }
  return nullptr;
}

}  // namespace kill9
