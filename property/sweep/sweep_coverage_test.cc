// The pages of kill coverage: what a kill was not survived at is charged to the line that called
// the library in which it happened.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "harness/stepper/stepper.h"
#include "harness/stepper/trace/kill_coverage.h"
#include "harness/sweep/coverage_pages.h"
#include "harness/sweep/sweep.h"
#include "property/scaffold/places.h"
#include "variants/registry.h"

namespace kill9::sweep {

uint64_t SumOfAll(const std::vector<uint64_t>& values);  // library_code.cc

namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The lines of a page that have the sign of what was not survived, without their markup.
std::vector<std::string> NotSurvivedIn(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream text(page.substr(page.find("<pre")));
  for (std::string line; std::getline(text, line);) {
    if (line.find("✗ ") == std::string::npos) continue;
    std::string shown;
    bool is_markup = false;
    for (const char c : line) {
      is_markup |= c == '<';
      if (!is_markup) shown += c;
      is_markup &= c != '>';
    }
    lines.push_back(shown);
  }
  return lines;
}

class SweepCoverage : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = stepper::WhyPtraceIsForbidden(); why != nullptr) GTEST_SKIP() << why;
  }

  // Runs one cell of a baseline or design, and returns its run.
  Json Swept(std::string_view design) {
    SweepOptions options;
    options.variants = {FindDesign(design)};
    options.operations = {"put_same"};
    options.states = {"one_entry"};
    options.coverage_directory = folder_;
    options.most_failures = 1 << 20;
    const absl::StatusOr<Json> result = RunSweep(options, nullptr, [](const auto&) {});
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return Json::object();
    figures_ = (*result)["coverage"][0];
    return (*result)["runs"][0];
  }

  std::string PageOfTable() const {
    return Read(folder_ + "/robust_unrepaired-variants-baselines-table.cc.html");
  }

  const OwnFolder own_;
  const std::string& folder_ = own_.path();
  Json figures_;
};

// robust_unrepaired copies a value over the one that is there: a death in memmove tears it.
TEST_F(SweepCoverage, ChargesWhatALibraryDidToTheLineThatCalledIt) {
  const Json run = Swept("robust_unrepaired");
  ASSERT_EQ(run["verdict"], "violation") << run;
  const uint64_t lost = run["not_survived"]["instructions"];
  ASSERT_GT(lost, 0u);
  EXPECT_EQ(figures_["instructions_not_survived"], lost);
  const std::vector<std::string> lines = NotSurvivedIn(PageOfTable());
  EXPECT_THAT(lines, Contains(HasSubstr("std::copy(")));
  const std::string index = Read(folder_ + "/robust_unrepaired.html");
  EXPECT_THAT(index, HasSubstr("<td class=\"red\">2</td>"));
  EXPECT_THAT(index, HasSubstr("class=\"bar\""));
}

TEST_F(SweepCoverage, HasNothingRedOfADesignThatSurvives) {
  const Json run = Swept("global_mutex");
  ASSERT_EQ(run["verdict"], "pass") << run;
  EXPECT_EQ(figures_["instructions_not_survived"], 0u);
  for (const auto& page : std::filesystem::directory_iterator(folder_)) {
    if (page.path().extension() != ".html") continue;
    const std::string html = Read(page.path());
    EXPECT_THAT(html, HasSubstr("name=\"viewport\"")) << page.path();
    EXPECT_THAT(html, Not(HasSubstr("class=\"red\""))) << page.path();
  }
}

bool IsLibraryCode(std::string_view file) { return file.ends_with("library_code.cc"); }

TEST(LinesNeverReached, ALineIsReachedByTheLibraryCodeThatWasMadePartOfIt) {
  ASSERT_EQ(SumOfAll({1, 2, 3}), 6u);
  const stepper::Symbols symbols(getpid());
  const auto begin = reinterpret_cast<uint64_t>(&SumOfAll);
  const std::string function = symbols.Function(begin);
  std::vector<stepper::AddressCount> counts;
  std::set<int> lines;
  for (uint64_t at = begin; symbols.Function(at) == function; ++at) {
    const stepper::SourceLine ours = symbols.LineOfOurs(at);
    if (IsLibraryCode(symbols.Line(at).file) || !IsLibraryCode(ours.file)) continue;
    stepper::AddressCount& count = counts.emplace_back();
    count.address = at;
    count.executed = count.killed = 1;
    lines.insert(ours.line);
  }
  stepper::KillCoverage coverage(IsLibraryCode);
  coverage.Add("group", "label", counts, getpid());
  const char* const file = "property/sweep/library_code.cc";
  const auto with_code = coverage.lines_with_code().find(file);
  ASSERT_NE(with_code, coverage.lines_with_code().end());
  std::erase_if(lines, [&](int line) { return !with_code->second.contains(line); });
  ASSERT_FALSE(lines.empty()) << "nothing was inlined into " << function;
  Json figures = CoverageFigures(coverage);
  EXPECT_EQ(figures[0]["lines_reached"], lines.size());
  EXPECT_EQ(figures[0]["lines_killed_at"], lines.size());
  EXPECT_EQ(figures[0]["lines_covered"], lines.size());
  for (const Json& never : figures[0]["lines_never_reached"][file]) {
    EXPECT_FALSE(lines.contains(never.get<int>())) << never;
  }
  AddLineSets(coverage, &figures);
  EXPECT_EQ(figures[0]["line_sets"][file]["reached"], Json(lines));
}

}  // namespace
}  // namespace kill9::sweep
