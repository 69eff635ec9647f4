// The page of a counterexample tells what it is of, how to repeat it and what holds; its labels do
// not collide. What only a browser sees ./dev report-test checks.
#include <array>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn.h"
#include "property/scaffold/places.h"

namespace kill9 {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A value that is read after it was overwritten. `at`: when each call begins, and ends.
std::string Stale(const std::array<int, 6>& at) {
  return absl::StrFormat(R"edn(
{:process 0, :type :invoke, :f :write, :value 1, :time %d}
{:process 0, :type :ok, :f :write, :value 1, :time %d}
{:process 0, :type :invoke, :f :write, :value 2, :time %d}
{:process 0, :type :ok, :f :write, :value 2, :time %d}
{:process 1, :type :invoke, :f :read, :value nil, :time %d}
{:process 1, :type :ok, :f :read, :value 1, :time %d}
)edn",
                         at[0], at[1], at[2], at[3], at[4], at[5]);
}

// Two calls come late and 30 ns after each other: their moments' labels are wide and close.
const std::array<int, 6> kLate = {1000, 91234560, 91234590, 91234620, 91234650, 91234680};

struct Checked {
  EdnHistory history;
  CheckOutcome outcome;
  Naming naming() const { return history.naming(); }
};

Checked Check(const std::string& text) {
  const ModelChecker& model = *FindModel("register");
  const absl::StatusOr<EdnHistory> history =
      ReadEdn(text, "test", [&](Function function) { return model.Accepts(function); });
  EXPECT_TRUE(history.ok()) << history.status();
  const absl::StatusOr<CheckOutcome> outcome = CheckHistory(model, history->operations, {});
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return {*history, *outcome};
}

TEST(CounterexamplePage, TellsHowToRepeatItAndWhatHolds) {
  const Checked checked = Check(Stale(kLate));
  ASSERT_TRUE(checked.outcome.counterexample.has_value());
  const std::string page = RenderHtml(*checked.outcome.counterexample, checked.naming(),
                                      {Condition::kPending, "kill9 check 'a & b.edn'"});
  EXPECT_THAT(page, HasSubstr("name=\"viewport\""));
  EXPECT_THAT(page, HasSubstr("kill9 check 'a &amp; b.edn'</pre>"));
  EXPECT_THAT(page, AllOf(HasSubstr("strict <strong>does not hold"),
                          HasSubstr("recoverable <strong>does not hold"),
                          HasSubstr("pending <strong>holds")));
  EXPECT_THAT(page, HasSubstr("aria-label=\"3: P1 get -&gt; 1, from 91233.650 to 91233.680 us; no "
                              "place is left for it\""));
  const std::string none = RenderHtml(*checked.outcome.counterexample, checked.naming(), {});
  EXPECT_THAT(none, AllOf(HasSubstr("pending <strong>was not shown to hold"),
                          Not(HasSubstr("To repeat it"))));
}

// By the width that a wide letter has: the browser's own test measures them.
TEST(CounterexamplePage, KeepsTheLabelsOfItsAxisApart) {
  const Checked checked = Check(Stale(kLate));
  ASSERT_TRUE(checked.outcome.counterexample.has_value());
  const std::string page = RenderHtml(*checked.outcome.counterexample, checked.naming(), {});
  const std::regex label(
      "<text class=\"dim axis\" x=\"([0-9.]+)\" y=\"18\" text-anchor=\"middle\">"
      "([0-9.]+)</text>");
  double taken = 0;
  size_t labels = 0;
  for (std::sregex_iterator at(page.begin(), page.end(), label), end; at != end; ++at) {
    const double half = 6.9 * static_cast<double>((*at)[2].length()) / 2;
    const double middle = std::atof((*at)[1].str().c_str());
    EXPECT_GT(middle - half, taken) << (*at)[2];
    taken = middle + half;
    ++labels;
  }
  EXPECT_GE(labels, 4u);
  EXPECT_THAT(page, HasSubstr(">91233.560<"));  // the premise: labels as wide as nine letters
}

// What explore finds lasts some nanoseconds: it counts steps.
TEST(CounterexamplePage, TellsMomentsApartThatAreANanosecondApart) {
  const Checked checked = Check(Stale({0, 1, 2, 3, 4, 5}));
  ASSERT_TRUE(checked.outcome.counterexample.has_value());
  const std::string page = RenderHtml(*checked.outcome.counterexample, checked.naming(), {});
  for (const char* const moment : {">0.000<", ">0.001<", ">0.004<", ">0.005<"}) {
    EXPECT_THAT(page, HasSubstr(moment));
  }
}

TEST(CounterexamplePage, RepeatsByTheWindowWhereNobodyKnowsBetter) {
  const OwnFolder folder;
  const Checked checked = Check(Stale(kLate));
  const auto files = WriteCounterexample(*checked.outcome.counterexample, checked.naming(),
                                         folder.path() + "/found it", {});
  ASSERT_TRUE(files.ok()) << files.status();
  std::ifstream file((*files)[0]);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(page, HasSubstr(absl::StrCat("kill9 check '", folder.path(),
                                           "/found it.window.edn' --model=register "
                                           "--condition=strict")));
}

}  // namespace
}  // namespace kill9
