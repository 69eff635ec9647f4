// The list of models. Adding one: a file in harness/checker/models/, its checker in another, and a
// line here.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "harness/checker/model_checker.h"
#include "harness/checker/models/checkers.h"

namespace kill9 {
namespace {

std::vector<const ModelChecker*>& Models() {
  static auto* models = new std::vector<const ModelChecker*>{
      &TheRegisterChecker(),  &TheCasRegisterChecker(), &TheMapChecker(),
      &TheCacheChecker(),     &TheQueueChecker(),       &TheCounterChecker(),
      &TheSetChecker(),       &TheMutexChecker(),       &TheRobustMutexChecker(),
      &TheSemaphoreChecker(), &TheConditionChecker(),   &TheLeaseChecker(),
      &TheListChecker(),      &TheChannelChecker(),     &TheSenderOrderChecker(),
      &TheBroadcastChecker(), &TheHeapChecker()};
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
