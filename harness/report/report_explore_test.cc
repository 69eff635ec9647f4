// The report tells what was explored, and what was found, from the result files alone.
#include <string>

#include "harness/report/report_for_tests.h"

namespace kill9::report {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json Scene(const std::string& variant, const std::string& scenario, bool exhaustive,
           uint64_t schedules) {
  return {{"variant", variant},     {"scenario", scenario},
          {"memory_model", "sc"},   {"strategy", exhaustive ? "exhaustive" : "random"},
          {"verdict", "pass"},      {"seconds", 0.5},
          {"schedules", schedules}, {"deaths", 7},
          {"deaths_most", 1},       {"exhaustive", exhaustive}};
}

Json Finding(const std::string& variant, const std::string& message) {
  Json run = Scene(variant, "put+erase", false, 44);
  run["memory_model"] = "c11";
  run["verdict"] = "violation";
  run["message"] = message;
  run["token"] = variant + ":put+erase:c11:1:a5.!b";
  run["confirmed"] = nullptr;
  run["repeat"] = "kill9 explore --token='" + variant + ":put+erase:c11:1:a5.!b'";
  return run;
}

// The cells of the row that begins with the text.
std::string RowOf(const std::string& markdown, const std::string& begin) {
  const size_t at = markdown.find("\n" + begin);
  if (at == std::string::npos) return "";
  return markdown.substr(at + 1, markdown.find('\n', at + 1) - at - 1);
}

TEST(ReportOfExplore, AddsUpTheScenesOfADesignWithinTheSameBounds) {
  Folder folder;
  folder.Write(
      "explore.json", "explore",
      {Scene("cas_slots", "get+put", true, 1200), Scene("cas_slots", "put+put", true, 300),
       Scene("cas_slots", "put+put+get", false, 2500), Scene("global_mutex", "get+put", true, 600),
       Finding("cas_slots", "saw <what> nobody wrote")});
  const Document document = MakeAll(folder);
  const std::string text = ToMarkdown(document, "");
  // 4,000 schedules in one second and a half.
  EXPECT_THAT(RowOf(text, "| cas\\_slots | sc"),
              HasSubstr("| 1 | any number | pass | 3 | 2 of 3 | 4000 | 2667 | 21 |"));
  EXPECT_THAT(RowOf(text, "| global\\_mutex | sc"), HasSubstr("| pass | 1 | 1 of 1 |"));
  EXPECT_THAT(RowOf(text, "| cas\\_slots | c11"), HasSubstr("violation"));
  const std::string html = ToHtml(document);
  EXPECT_THAT(Complaints(html), IsEmpty());
  EXPECT_THAT(html, HasSubstr("href=\"#explored-0-4\""));
  EXPECT_THAT(html, HasSubstr("saw &lt;what&gt; nobody wrote"));
  EXPECT_THAT(html, HasSubstr("cas_slots:put+erase:c11:1:a5.!b"));
  EXPECT_THAT(html, HasSubstr("possible, not confirmed"));
  EXPECT_THAT(html, Not(HasSubstr("id=\"others\"")));
  // Which one to choose, too.
  const std::string choose = html.substr(0, html.find("id=\"explored\""));
  EXPECT_THAT(choose, HasSubstr("href=\"#explored-0-4\""));
}

TEST(ReportOfExplore, SaysWhatWasSkippedAndWhy) {
  Folder folder;
  folder.Write("explore.json", "explore",
               {{{"variant", "cas_slots"},
                 {"scenario", "pairs"},
                 {"verdict", "skipped"},
                 {"reason", "kill9-explore is not there"}}});
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  EXPECT_THAT(html, HasSubstr("kill9-explore is not there"));
}

TEST(ReportOfExplore, CountsTheMemoryOrdersThatWereFoundToMatter) {
  Folder folder;
  const auto ordering = [](bool found, bool exhaustive, const char* spare = "") -> Json {
    return {{"place", "a.cc:1"}, {"found", found}, {"exhaustive", exhaustive}, {"spare", spare}};
  };
  folder.Write("orderings.json", "explore",
               {{{"variant", "seqlock_ring"},
                 {"scenario", "pairs"},
                 {"memory_model", "c11"},
                 {"verdict", "pass"},
                 {"orderings",
                  {ordering(true, false), ordering(false, true), ordering(false, true),
                   ordering(false, false, "it is loaded again"), ordering(false, false),
                   ordering(false, false)}}}});
  EXPECT_THAT(RowOf(ToMarkdown(MakeAll(folder), ""), "| seqlock\\_ring | c11"),
              HasSubstr("| pairs | 6 | 1 | 2 | 1 | 2 |"));
}

TEST(ReportOfExplore, HasNoSectionWhereNothingWasExplored) {
  Folder folder;
  folder.Write("torture.json", "torture", {Torture("global_mutex", "steady", "pass")});
  EXPECT_THAT(ToHtml(MakeAll(folder)), Not(HasSubstr("id=\"explored\"")));
}

}  // namespace
}  // namespace kill9::report
