// A conformance fixture whose segments keep terms.
#ifndef KILL9_PROPERTY_TERMS_TERMS_FIXTURE_H_
#define KILL9_PROPERTY_TERMS_TERMS_FIXTURE_H_

#include <chrono>
#include <memory>
#include <vector>

#include "property/conformance/conformance.h"
#include "property/scaffold/eventually.h"

namespace kill9 {

class TermsFixture : public Conformance {
 protected:
  void SetUp() override { MakeWithTerms(); }
  void MakeWithTerms(uint64_t size_bytes = 8 * kMiB) {
    SegmentOptions options;
    options.size_bytes = size_bytes;
    options.max_participants = 16;
    options.hash_seed = TestSeed();
    options.keeps_terms = true;
    segment_ = Create(options);
    store_ = Attach();
    ASSERT_TRUE(store_->keeps_terms());
  }
  static Expiry Past() { return Expiry::AtNs(Expiry::Now().unix_ns() - 1'000'000); }
};

inline std::vector<const Variant*> VariantsWithTerms() {
  std::vector<const Variant*> variants;
  for (const Variant* variant : AllVariants()) {
    if (variant->traits().can_keep_terms) variants.push_back(variant);
  }
  return variants;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_TERMS_TERMS_FIXTURE_H_
