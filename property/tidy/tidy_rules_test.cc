// Each rule of property/tidy/ over a small tree with planted violations, which it must find, beside
// what looks like one and is none.
#include <string>
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

using testing::ElementsAre;
using testing::IsEmpty;

Tree TreeOf(const std::vector<std::pair<std::string, std::string>>& files) {
  Tree tree;
  for (const auto& [path, text] : files) Add(tree, path, text);
  return tree;
}

// Where a rule finds something: "path:line".
std::vector<std::string> Found(const Findings& findings) {
  std::vector<std::string> found;
  for (const Finding& finding : findings) found.push_back(Cat(finding.path, ":", finding.line));
  return found;
}

std::string Lines(size_t count) {
  std::string lines;
  for (size_t i = 0; i < count; ++i) lines += "\n";
  return lines;
}

TEST(TidySources, CodeCommentsAndStringsAreToldApart) {
  const File file = ParsedSource(
      "int a = 1'000;  // it's \"not\" a string\n"
      "const char* b = \"// no comment\";  /* a { */ char c = '\"';\n"
      "auto d = R\"x(} // \" )x\"; int e;\n");
  EXPECT_THAT(file.code, testing::HasSubstr("int a = 1'000;"));
  EXPECT_THAT(file.code, testing::HasSubstr("; int e;"));
  EXPECT_THAT(file.code,
              testing::Not(testing::AnyOf(testing::HasSubstr("{"), testing::HasSubstr("}"),
                                          testing::HasSubstr("no"))));
  EXPECT_THAT(file.comments, testing::HasSubstr("// it's \"not\" a string\n"));
  EXPECT_THAT(file.comments, testing::Not(testing::HasSubstr("no comment")));
  EXPECT_THAT(file.literals, testing::HasSubstr("// no comment"));
  EXPECT_EQ(file.code.size(), file.text.size());
}

TEST(TidySizes, LongLineIsFoundAndATableIsNot) {
  const std::string long_line(101, 'x');
  const std::string arrows = [] {  // 100 characters, and more bytes
    std::string text;
    for (int i = 0; i < 100; ++i) text += "→";
    return text;
  }();
  EXPECT_THAT(Found(LongLines(TreeOf({{"variants/a.h", "\n// " + long_line + "\n"},
                                      {"variants/b.h", arrows + "\n"},
                                      {"docs/c.md", "| " + long_line + " |\n\nword " + long_line},
                                      {"docs/d.md", long_line + "\n"},
                                      {"dev", "# " + long_line}}))),
              ElementsAre("dev:1", "docs/c.md:3", "variants/a.h:2"));
}

TEST(TidySizes, LongFileAndFullFolderAreFound) {
  std::vector<std::pair<std::string, std::string>> files = {{"harness/a.cc", Lines(501)},
                                                            {"harness/b.cc", Lines(500)}};
  for (int i = 0; i < 20; ++i) files.emplace_back(Cat("stress/", i, "_test.cc"), "");
  for (int i = 0; i < 17; ++i) files.emplace_back(Cat("variants/", i, ".cc"), "");
  const Tree tree = TreeOf(files);
  EXPECT_THAT(Found(LongFiles(tree)), ElementsAre("harness/a.cc:501"));
  EXPECT_THAT(Found(FullFolders(tree)), ElementsAre("variants:0"));
}

TEST(TidySizes, LargeResultsAreFoundAloneAndTogether) {
  std::vector<std::pair<std::string, std::string>> files = {{"results/a.json", Lines(200'001)}};
  EXPECT_THAT(Found(LargeResults(TreeOf(files))), ElementsAre("results/a.json:0"));
  files.clear();
  for (int i = 0; i < 6; ++i) files.emplace_back(Cat("results/", i, ".json"), Lines(170'000));
  EXPECT_THAT(Found(LargeResults(TreeOf(files))), ElementsAre("results:0"));
  files.pop_back();
  EXPECT_THAT(LargeResults(TreeOf(files)), IsEmpty());
}

TEST(TidySizes, GuardOfAnotherPathIsFound) {
  const std::string good =
      "// A.\n#ifndef KILL9_HARNESS_A_B_H_\n#define KILL9_HARNESS_A_B_H_\n"
      "#endif  // KILL9_HARNESS_A_B_H_\n";
  EXPECT_THAT(Found(WrongGuards(TreeOf({{"harness/a/b.h", good}, {"harness/b.h", good}}))),
              ElementsAre("harness/b.h:1"));
}

constexpr const char* kTable =
    "## What may include what\n\n| part | may include |\n|---|---|\n"
    "| `variants` | |\n| `harness/base` | |\n| `harness/sweep` | `harness/base` |\n"
    "| `harness/sweep/top` | `harness/sweep` |\n| `stress` | `harness/` |\n\n## Next\n";

TEST(TidyFolders, IncludeAgainstTheGrainIsFound) {
  const auto include = [](const char* path) { return Cat("#include \"", path, "\"\n"); };
  const Tree tree =
      TreeOf({{"docs/design.md", kTable},
              {"variants/a.h", "\n"},
              {"harness/base/b.h", "\n" + include("harness/sweep/c.h")},
              {"harness/sweep/c.h", include("harness/base/b.h")},
              {"harness/sweep/below/d.h", include("harness/sweep/c.h")},
              {"harness/sweep/e.cc", include("harness/sweep/top.h")},
              {"harness/sweep/top.h", include("harness/sweep/c.h")},
              {"harness/sweep/f_test.cc", include("variants/a.h")},
              {"harness/new/g.h", "\n"},
              {"stress/h.cc", include("harness/sweep/top.h") + include("harness/gone.h") +
                                  include("variants/a.h")}});
  EXPECT_THAT(Found(IncludesAgainstTheGrain(tree)),
              ElementsAre("harness/base/b.h:2", "harness/new/g.h:0", "harness/sweep/e.cc:1",
                          "stress/h.cc:2", "stress/h.cc:3"));
}

TEST(TidyFolders, CircleAndEmptyPartAreFound) {
  std::vector<std::pair<std::string, std::string>> files = {
      {"docs/design.md", kTable}, {"variants/a.h", ""},         {"harness/base/b.h", ""},
      {"harness/sweep/c.h", ""},  {"harness/sweep/top.cc", ""}, {"stress/d.cc", ""}};
  EXPECT_THAT(CirclesAndEmptyParts(TreeOf(files)), IsEmpty());
  files[0].second =
      Cat("## What may include what\n| `variants` | `stress` |\n| `harness/base` | `variants` |\n"
          "| `stress` | `harness/base` |\n| `property` | |\n");
  std::vector<std::string> said;
  for (const Finding& finding : CirclesAndEmptyParts(TreeOf(files))) said.push_back(finding.what);
  EXPECT_THAT(said, ElementsAre("harness/base is in a circle", "stress is in a circle",
                                "variants is in a circle", "property is empty"));
}

TEST(TidyScopes, TypeThatIsDefinedTwiceIsFound) {
  const Tree tree = TreeOf(
      {{"harness/a.h",
        "namespace kill9 {\nstruct Place { int a; };\nclass Ahead;\nstruct Outer {\n"
        "  struct Inner {};\n};\nenum class Kind : int { kA };\n}\n"},
       {"harness/b.h",
        "namespace kill9 {\ntemplate <class Place> struct Holder {};\nclass Ahead final {};\n"
        "struct Inner {};\nnamespace other { struct Place {}; }\n}\n"},
       {"harness/c.cc",
        "namespace kill9 {\nnamespace {\nstruct Place {};\n}\n"
        "void F(struct Kind* kind) { struct Outer {}; }\n}\n"},
       {"property/d.h", "namespace kill9 {\n\nstruct alignas(64) Place : Holder<int> {};\n}\n"},
       {"property/e.h",
        "namespace kill9 {\nenum class Kind { kB };\nstruct Outer::Inner {};\n}\n"}});
  EXPECT_THAT(Found(TypesDefinedTwice(tree)), ElementsAre("property/d.h:3", "property/e.h:2"));
}

TEST(TidyScopes, LongFunctionIsFoundAndALongTypeIsNot) {
  const Tree tree =
      TreeOf({{"harness/a.cc", "namespace kill9 {\nstruct A {" + Lines(90) + "  void F() {" +
                                   Lines(81) + "}\n};\nvoid G() {" + Lines(80) + "}\n}\n"}});
  EXPECT_THAT(Found(LongFunctions(tree)), ElementsAre("harness/a.cc:92"));
}

TEST(TidyNames, NameThatIsNotThereIsFound) {
  const Tree tree = TreeOf({{"variants/heap.cc",
                             "// TakeBlock and take_block, not TakeRow; kAvailable; NotFound;\n"
                             "// heap_test, key_name, no_key. Which Guest? See docs/no_such.md.\n"
                             "void TakeBlock(int take_block, /*some_flag=*/int);\n"
                             "absl::AvailableError(NotFoundError(\"key_name\"));\n"},
                            {"variants/heap_test.cc", ""}});
  std::vector<std::string> said;
  for (const Finding& finding : UnknownNames(tree)) said.push_back(finding.what);
  EXPECT_THAT(said,
              ElementsAre("names TakeRow, which is not there", "names no_key, which is not there"));
}

TEST(TidyNames, PartnerThatIsNotThereIsFound) {
  const Tree tree =
      TreeOf({{"variants/stores/one/a.cc",
               "// Release: pairs with Take.\n// Release: pairs with Cleared.\n// See Guest.\n"
               "// Pairs with the acquires of Take and Dropped, and so on.\n"
               "// As in Find. The release of Claim; Release of Take: it pairs with what follows.\n"
               "// Pairs with I1. It pairs with\n// Lost, here.\nvoid Take();\n"},
              {"variants/stores/two/b.cc", "void Cleared();\nvoid Guest();\nvoid Find();\n"},
              {"variants/segment/c.cc", "void Claim();\n"}});
  std::vector<std::string> said;
  for (const Finding& finding : UnknownPartners(tree)) said.push_back(finding.what);
  EXPECT_THAT(
      said,
      ElementsAre("refers to Cleared, which is not there", "refers to Guest, which is not there",
                  "refers to Dropped, which is not there", "refers to Lost, which is not there"));
}

TEST(TidyNames, InvariantThatIsNotDefinedIsFound) {
  const Tree tree = TreeOf(
      {{"variants/stores/one/a.h", "// I1  One.   I2  Two.\n// So I1, I2 and P1; but not I3.\n"},
       {"variants/stores/one/a.cc", "Violate(\"I4: it is not whole\");\n"},
       {"variants/stores/two/b.cc", "// I1 of another folder; I2 (a.h).\n"},
       {"variants/segment/p.h", "// P1  Shared.\n"},
       {"docs/c.md", "I1 and J1, but K9x and A10B\n"}});
  EXPECT_THAT(
      Found(UnknownInvariants(tree)),
      ElementsAre("docs/c.md:1", "variants/stores/one/a.cc:1", "variants/stores/one/a.h:2"));
}

TEST(TidyNames, PathThatIsNotThereIsFound) {
  const Tree tree = TreeOf({{"docs/a.md",
                             "`shard.h`, `locked/shard.h`, variants/locked/, variants/locked/*.h, "
                             "variants/NAME/x.h, variants/FILE.cc.\n"
                             "[b](b.md), [c](../variants/locked/shard.h); property/{a,b}/c.\n"
                             "`gone.h`\nvariants/shard.h\nharness/gone/\nthe results/b and/or\n"},
                            {"docs/b.md", "a.cc-like\n"},
                            {"property/x.cc", "// variants/lock: a prefix\n"},
                            {"variants/locked/shard.h", "// docs/b.md\n// shard.cc\n"}});
  EXPECT_THAT(Found(UnknownPaths(tree)),
              ElementsAre("docs/a.md:3", "docs/a.md:4", "docs/a.md:5", "docs/a.md:6",
                          "property/x.cc:1", "variants/locked/shard.h:2"));
}

TEST(TidyNames, DocumentThatTheIndexDoesNotListIsFound) {
  const Tree tree = TreeOf({{"docs/README.md", "[a](a.md), [notes](notes/), [b](other/b.md)\n"},
                            {"docs/a.md", ""},
                            {"docs/forgotten.md", ""},
                            {"docs/notes/any.md", ""},
                            {"docs/other/b.md", ""},
                            {"docs/other/c.md", ""},
                            {"stress/README.md", ""}});
  EXPECT_THAT(Found(UnlistedDocuments(tree)),
              ElementsAre("docs/forgotten.md:0", "docs/other/c.md:0"));
}

TEST(TidyLinks, LinkThatLeadsNowhereIsFound) {
  const Tree tree = TreeOf({{"docs/a.md",
                             "# One, `two` and 3\n[a](#one-two-and-3), [b](b.md#id), [c](../docs)\n"
                             "[d](https://x.y/z), [e](../variants/), ![f](f.svg), [g](b.md)\n"
                             "[h](../b.md)\n[i](#two)\n[j](b.md#no)\n[k](../docs#a)\n"},
                            {"docs/b.md", "<a id=\"id\"></a>\n no # heading\n"},
                            {"variants/store.h", ""}});
  EXPECT_THAT(Found(BrokenLinks(tree)),
              ElementsAre("docs/a.md:4", "docs/a.md:5", "docs/a.md:6", "docs/a.md:7"));
}

TEST(TidyNames, WordThatMustNotAppearIsFound) {
  const Tree tree = TreeOf({{"harness/a.cc", "// TODO: later\nint Lapper = 0;\n// TODOS\n"},
                            {"dev", "cd /work/x\n"},
                            {"CHANGELOG.md", "Lapper is Interferer now.\n"}});
  EXPECT_THAT(Found(GoneWords(tree)), ElementsAre("dev:1", "harness/a.cc:1", "harness/a.cc:2"));
}

TEST(TidyAtomics, OrderThatIsLeftOutIsFound) {
  const Tree tree = TreeOf({{"variants/a.cc",
                             "constexpr auto order = std::memory_order_seq_cst;\n"
                             "word.load();\nword->store(f(1, 2));\n"
                             "word.compare_exchange_strong(a, b, std::memory_order_release);\n"
                             "word.load(order); word.fetch_add(g(), std::memory_order_relaxed);\n"
                             "word.compare_exchange_weak(a, b,\n   std::memory_order_release, "
                             "std::memory_order_relaxed);\n"
                             "store(1); file.load_all();\n"},
                            {"harness/b.cc", "word.load();\n"}});
  EXPECT_THAT(Found(OrdersLeftOut(tree)),
              ElementsAre("variants/a.cc:2", "variants/a.cc:3", "variants/a.cc:4"));
}

TEST(TidyAtomics, OrderWithoutAReasonIsFound) {
  const Tree tree = TreeOf({{"variants/a.cc",
                             "// Acquire: pairs with G.\nword.load(std::memory_order_acquire);\n"
                             "word.store(1, std::memory_order_release);\n\n"
                             "word.load(std::memory_order_acquire);\n"
                             "word.load(std::memory_order_relaxed);  // relaxed: a hint\n"
                             "std::atomic_signal_fence(std::memory_order_seq_cst);\n\n"
                             "// Relaxed throughout.\n\nword.load(std::memory_order_relaxed);\n"},
                            {"variants/a_test.cc", "word.load(std::memory_order_acquire);\n"}});
  EXPECT_THAT(Found(OrdersWithoutReason(tree)), ElementsAre("variants/a.cc:3", "variants/a.cc:5"));
}

}  // namespace
}  // namespace kill9::tidy
