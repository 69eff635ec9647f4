// The rules of CONTRIBUTING.md that a machine can check, over this checkout. tidy_rules_test.cc has
// what each of them must find.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/tidy/atomics.h"
#include "property/tidy/folders.h"
#include "property/tidy/links.h"
#include "property/tidy/names.h"
#include "property/tidy/scopes.h"
#include "property/tidy/sizes.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {
namespace {

const Tree& ThisCheckout() {
  static const Tree tree = Checkout(KILL9_SOURCE_DIR);
  return tree;
}

struct Rule {
  const char* name;
  Findings (*check)(const Tree&);
  friend void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.name; }
};
const Rule kRules[] = {{"LongLines", LongLines},
                       {"LongFiles", LongFiles},
                       {"LongFunctions", LongFunctions},
                       {"FullFolders", FullFolders},
                       {"LargeResults", LargeResults},
                       {"WrongGuards", WrongGuards},
                       {"IncludesAgainstTheGrain", IncludesAgainstTheGrain},
                       {"CirclesAndEmptyParts", CirclesAndEmptyParts},
                       {"UnknownPartners", UnknownPartners},
                       {"UnknownInvariants", UnknownInvariants},
                       {"UnknownPaths", UnknownPaths},
                       {"UnlistedDocuments", UnlistedDocuments},
                       {"BrokenLinks", BrokenLinks},
                       {"OrdersLeftOut", OrdersLeftOut},
                       {"OrdersWithoutReason", OrdersWithoutReason}};

// What does not keep a rule yet: the list shrinks.
struct Known {
  const char* rule;
  const char* path;  // of a file, or the beginning of several
};
const Known kNotYet[] = {{"LongFunctions", "property/conformance/"}};

class Tidy : public testing::TestWithParam<Rule> {};

TEST_P(Tidy, ThisCheckoutKeepsTheRule) {
  ASSERT_TRUE(ThisCheckout().contains("variants/store.h")) << "no checkout at " KILL9_SOURCE_DIR;
  for (const Finding& finding : GetParam().check(ThisCheckout())) {
    const bool known = std::any_of(std::begin(kNotYet), std::end(kNotYet), [&](const Known& one) {
      return std::string_view(one.rule) == GetParam().name && finding.path.starts_with(one.path);
    });
    if (!known) ADD_FAILURE() << finding;
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, Tidy, testing::ValuesIn(kRules),
                         [](const auto& rule) { return rule.param.name; });

}  // namespace
}  // namespace kill9::tidy
