// What was measured of the programs in apps/ stands in the report where a result of it is given.
#include <string>

#include "harness/report/report_for_tests.h"

namespace kill9::report {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json LoadRun(const std::string& load) {
  return {{"measure", "load"},
          {"load", load},
          {"in_time", Spread(1.1, 1.25, 1.5)},
          {"for_its_work", Spread(1.4, 1.6, 1.75)},
          {"missed_share", 0.02}};
}

TEST(ReportOfApplications, ComparesLoadsAndTellsWhatKillsDid) {
  Folder folder;
  Json killed = LoadRun("get_4096");
  killed["under_kills"] = Spread(0.8, 0.91, 1.0);
  folder.Write("memcached.json", "memcached_benchmark",
               {LoadRun("get_100"),
                killed,
                {{"measure", "torture"},
                 {"variant", "seqlock_ring"},
                 {"seed", 29},
                 {"kills", 2500},
                 {"kills_of_master", 250},
                 {"operations", 85203},
                 {"cut_off", 3670},
                 {"verdict", "pass"}}});
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  EXPECT_THAT(html, HasSubstr("id=\"applications\""));
  EXPECT_THAT(html, HasSubstr(">get_100</th><td>1.25 (1.10 to 1.50)</td>"
                              "<td>1.60 (1.40 to 1.75)</td><td>2 %</td>"));
  EXPECT_THAT(html, HasSubstr("0.91 (0.80 to 1.00)"));
  EXPECT_THAT(html, HasSubstr(">seqlock_ring</th><td>29</td>"));
  EXPECT_THAT(html, Not(HasSubstr("id=\"others\"")));
}

TEST(ReportOfApplications, HasNoSectionWithoutAResult) {
  Folder folder;
  folder.Write("torture.json", "torture", {Torture("global_mutex", "steady", "pass")});
  EXPECT_THAT(ToHtml(MakeAll(folder)), Not(HasSubstr("id=\"applications\"")));
}

}  // namespace
}  // namespace kill9::report
