// unsynchronised_hash: a hash map in a mapping that forked web workers inherit, and nothing else.
//
// Its author's case for it: the workers mostly read, a word is written in one step, and a request
// that sees a half-written value is simply repeated.
#include "variants/baselines/baseline.h"

namespace kill9 {
namespace {

struct NoWay {
  void Format() {}
  bool Enter() { return false; }
  void Leave() {}
};

}  // namespace

const Variant& UnsynchronisedHash();
const Variant& UnsynchronisedHash() {
  static const baselines::BaselineVariant<NoWay> variant({
      .name = "unsynchronised_hash",
      .summary = "a first shared hash map for forked workers: a table in a mapping, no lock",
      // Which comes first is chance: a wrong answer, or an entry half written that leads astray.
      .expected_verdict = "violation|survivor_crashed",
      .traits = baselines::CopyingTraits("nobody: there is nothing that a death could leave locked",
                                         "nothing"),
  });
  return variant;
}

}  // namespace kill9
