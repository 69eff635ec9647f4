// What EDN values mean: which of them are equal, and which cannot be compared.
#include "harness/edn/edn_value.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/checker/checker.h"
#include "harness/edn/edn.h"
#include "harness/edn/edn_for_tests.h"

namespace kill9 {
namespace {

using testing::HasSubstr;

absl::StatusOr<std::string> Canonical(std::string_view text) {
  EdnReader reader(text, "value");
  EdnForm form;
  absl::StatusOr<bool> there = reader.Next(&form);
  if (!there.ok()) return there.status();
  EXPECT_TRUE(*there) << text;
  EXPECT_EQ(form.text, text);
  std::string room;
  absl::StatusOr<std::string_view> canonical = CanonicalText(form, &room);
  if (!canonical.ok()) return canonical.status();
  return std::string(*canonical);
}

// Each line is one value in several spellings; no two lines are equal.
const std::vector<std::vector<std::string>>& Values() {
  static const auto* const kValues = new std::vector<std::vector<std::string>>{
      {"nil"},
      {"true"},
      {"false"},
      {"1", "+1", "1N", "+1N", "3/3", "1/1"},
      {"0", "-0", "+0", "0N", "-0N", "0/7"},
      {"-1", "-1N", "-2/2"},
      {"123456789012345678901234567890", "123456789012345678901234567890N"},
      {"1.0", "1.00", "1e0", "+1.0", "10E-1", "0.1e+1", "1."},
      {"0.0", "-0.0", "0e5"},
      {"1.5", "15e-1", "1.50"},
      {"1M", "1.0M", "+1.00M", "10e-1M", "0.1E1M"},
      {"0M", "0.00M", "-0M", "0e9M"},
      {"-1.5M", "-15e-1M"},
      {"1/2", "2/4", "+2/4"},
      {"-1/2", "-2/4"},
      {"##Inf"},
      {"##-Inf"},
      {R"("A")", R"("\u0041")", R"("\101")"},
      {"\"a\nb\"", R"("a\nb")", R"("a\u000ab")", R"("a\12b")"},
      {R"("\"\\")", R"("\u0022\u005c")"},
      {R"("\u00e4")", "\"\xc3\xa4\""},
      {R"("\ud83d\ude00")", "\"\xf0\x9f\x98\x80\""},
      {R"("")"},
      {R"("1")"},
      {R"(\A)", R"(\u0041)", R"(\o101)"},
      {R"(\newline)", R"(\u000A)", R"(\u000a)", R"(\o12)"},
      {R"(\space)", R"(\u0020)"},
      {R"(\()", R"(\u0028)"},
      {R"(\")", R"(\u0022)"},
      {R"(\u)"},
      {R"(\o)"},
      {":a"},
      {":b/a"},
      {"a"},
      {"[]", "()", "[ ]", "[#_ 1]", "( ;nothing\n)"},
      {"[1 2]", "(1 2)", "[1, +2N]", "[1 #_ 7 2]", "[#_ #_ 8 9 1 2]"},
      {"[2 1]"},
      {"[[1] 2]", "((1) 2)"},
      {"#{1 2}", "#{2 1}", "#{2N, 1}"},
      {"#{}", "#{ }"},
      {"{:a 1, :b 2}", "{:b 2 :a 1}", "{:b +2 #_ :c :a 1}"},
      {"{:a 2, :b 1}"},
      {"{}"},
      {"{:a #{1 2} :b (3)}", "{:b [3], :a #{2 1}}"},
      {"#inst \"2020-01-02T03:04:05.000-00:00\"", "#inst\"2020-01-02T03:04:05Z\"",
       "#inst \"2020-01-02T05:04:05+02:00\"", "#inst \"2020-01-01T22:04:05.000-05:00\"",
       "#inst \"2020-01-02T03:04:05.0009\""},
      {"#inst \"2020\"", "#inst \"2020-01-01\"", "#inst \"2020-01-01T00:00:00.000Z\""},
      {"#inst \"1969-12-31T23:59:59.999Z\""},
      {"\"2020\""},
      {"#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
       "#uuid \"F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6\""},
      {"#jepsen.txn.Op{:f :r :k 1}", "#jepsen.txn.Op {:k 1N, :f :r}"},
      {"{:f :r :k 1}"},
  };
  return *kValues;
}

TEST(EdnValues, AreEqualHoweverTheyAreSpelled) {
  for (const std::vector<std::string>& spellings : Values()) {
    const absl::StatusOr<std::string> first = Canonical(spellings.front());
    ASSERT_TRUE(first.ok()) << spellings.front() << ": " << first.status();
    for (const std::string& spelling : spellings) {
      const absl::StatusOr<std::string> other = Canonical(spelling);
      ASSERT_TRUE(other.ok()) << spelling << ": " << other.status();
      EXPECT_EQ(*other, *first) << spelling;
    }
    // The canonical text is EDN for the same value.
    EXPECT_EQ(Canonical(*first).value_or("no EDN"), *first);
  }
}

TEST(EdnValues, ThatDifferStayApart) {
  for (size_t i = 0; i < Values().size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(*Canonical(Values()[i].front()), *Canonical(Values()[j].front()));
    }
  }
}

TEST(EdnValues, ThatCannotBeComparedAreRefused) {
  for (const char* text : {"##NaN",
                           "[1 ##NaN]",
                           "#{##NaN}",
                           "01",
                           "-007",
                           "1e999",
                           "1e-999",
                           "1/0",
                           "1.0N",
                           "1e",
                           "1-2",
                           "99999999999999999999/3",
                           "1e99999999999M",
                           R"("\q")",
                           R"("\u12")",
                           R"("\ud83d")",
                           R"("\477")",
                           R"(\ab)",
                           R"(\ud83d)",
                           "\\\xf0\x9f\x98\x80",
                           "#{1 1N}",
                           "{:a 1 :a 2}",
                           "#foo 1",
                           "#foo/bar {:a 1}",
                           "#my.ns.Record [1]",
                           "#inst 5",
                           "#inst \"yesterday\"",
                           "#inst \"2020-02-30\"",
                           "#inst \"2020-01-01T24:00\"",
                           "#uuid \"1\"",
                           "[#object [1]]"}) {
    EXPECT_FALSE(Canonical(text).ok()) << text << " is " << *Canonical(text);
  }
}

std::string Call(std::string_view f, std::string_view fields, std::string_view result) {
  return absl::StrCat("{:process 0, :type :invoke, :f :", std::string(f), ", ", std::string(fields),
                      "}\n{:process 0, :type :ok, :f :", std::string(f), ", ", std::string(result),
                      "}\n");
}

TEST(EdnHistories, AValueReadInAnotherSpellingIsTheOneWritten) {
  for (const std::vector<std::string>& spellings : Values()) {
    if (spellings.front() == "nil" || spellings.front() == "[1 2]" ||
        spellings.front() == "[2 1]" || spellings.front() == "[[1] 2]") {
      continue;  // a pair is a key and its value
    }
    for (const std::string& read : spellings) {
      const std::string write = ":key 1, :value " + spellings.front();
      const std::string text =
          Call("write", write, write) + Call("read", ":key 1", ":key 1, :value " + read);
      EXPECT_EQ(VerdictOf(text, "register"), Verdict::kPass) << text;
    }
  }
}

// With two keys instead of one, each would be written once and read as written.
TEST(EdnHistories, AKeyInTwoSpellingsIsOneKey) {
  for (const std::vector<std::string>& spellings : Values()) {
    for (const std::string& other : spellings) {
      const std::string first = ":key " + spellings.front();
      const std::string second = ":key " + other;
      const std::string stale = Call("write", first + ", :value 5", first + ", :value 5") +
                                Call("write", second + ", :value 6", second + ", :value 6") +
                                Call("read", first, first + ", :value 5");
      EXPECT_EQ(VerdictOf(stale, "register"), Verdict::kViolation) << stale;
    }
  }
}

TEST(EdnHistories, ATagIsAPartOfItsValue) {
  const std::string text =
      Call("write", ":value #uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"", ":value nil") +
      Call("read", ":value nil", ":value \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"");
  EXPECT_EQ(VerdictOf(text, "register"), Verdict::kViolation);
}

TEST(EdnHistories, WhatCannotBeComparedIsToldWithItsPlace) {
  const absl::StatusOr<EdnHistory> history = Read(
      "{:process 0, :type :invoke, :f :write, :value 1}\n"
      "{:process 0, :type :ok, :f :write, :value 1}\n"
      "{:process 0, :type :invoke, :f :write, :value [:a ##NaN]}",
      "register");
  ASSERT_FALSE(history.ok());
  EXPECT_THAT(std::string(history.status().message()),
              HasSubstr("h.edn:3:51: is equal to nothing"));
  // Elsewhere it is not looked at.
  EXPECT_EQ(VerdictOf("{:process 0, :type :invoke, :f :read, :error #object[Foo 0x1 \"x\"]}\n"
                      "{:process 0, :type :ok, :f :read, :value nil, :more [#foo ##NaN]}",
                      "register"),
            Verdict::kPass);
}

// Time in proportion to the text, and no call as deep as it is nested.
TEST(EdnHistories, DepthAndLengthOfTheTextHarmNothing) {
  constexpr size_t kDepth = 1'000'000;
  constexpr std::string_view kRead =
      "{:process 0, :type :invoke, :f :read, :value nil} {:process 0, :type :ok, :f :read, :value "
      "nil}";
  const auto repeated = [](std::string_view part) {
    std::string text;
    for (size_t i = 0; i < kDepth; ++i) text += part;
    return text;
  };
  const std::string discards = repeated("#_ ") + repeated("1 ") + std::string(kRead);
  EXPECT_EQ(VerdictOf(discards, "register"), Verdict::kPass);
  for (const char* open : {"[", "(", "{", "#{", "#_[", "#tag ", "#_ #tag ", "{:a ", "#_{1 "}) {
    for (const std::string before : {"", "{:process 0, :type :invoke, :f :read, :value "}) {
      const absl::StatusOr<EdnHistory> history = Read(before + repeated(open), "register");
      EXPECT_FALSE(history.ok()) << open;
    }
  }
  const std::string vector = "[" + repeated("1 ") + "]";
  const std::string text = Call("write", ":key 1 :value " + vector, ":key 1 :value nil") +
                           Call("read", ":key 1", ":key 1 :value " + vector);
  EXPECT_EQ(VerdictOf(text, "register"), Verdict::kPass);
}

}  // namespace
}  // namespace kill9
