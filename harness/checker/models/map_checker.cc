// The models of one key that forgets nothing: they differ in the operations that they have.
#include "harness/checker/models/cas_register.h"
#include "harness/checker/models/checkers.h"
#include "harness/checker/models/map.h"
#include "harness/checker/models/register.h"
#include "harness/checker/window.h"

namespace kill9 {
namespace {

using LosslessChecker = EngineChecker<VersionedSteps</*lossy=*/false>>;

}  // namespace

const ModelChecker& TheRegisterChecker() {
  static const LosslessChecker checker(WordsOf<RegisterModel>());
  return checker;
}

const ModelChecker& TheCasRegisterChecker() {
  static const LosslessChecker checker(WordsOf<CasRegisterModel>());
  return checker;
}

const ModelChecker& TheMapChecker() {
  static const LosslessChecker checker(WordsOf<MapModel>());
  return checker;
}

}  // namespace kill9
