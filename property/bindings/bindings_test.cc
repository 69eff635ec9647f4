// The extensions of Python and Ruby: their own tests, and both as fork servers whose children are
// killed. What is not built here, for want of its packages, is left out.
#include <filesystem>
#include <string>

#include "property/programs/programs_fixture.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

constexpr char kBindings[] = KILL9_SOURCE_DIR "/bindings/";

struct Language {
  std::string name;    // of the folder
  std::string run;     // a program, with the extension built here
  std::string module;  // its file
  std::string test, server;
};

Language Python3() {
  const std::string built = KILL9_BINDINGS_BUILT "/python";
  return {"python", "env PYTHONPATH=" + built + " /usr/bin/python3 ", built + "/kill9.so",
          "shared_dict_test.py", "map_server.py"};
}
Language Ruby() {
  const std::string built = KILL9_BINDINGS_BUILT "/ruby";
  return {"ruby", "ruby -I" + built + " ", built + "/kill9.so", "shared_hash_test.rb",
          "map_server.rb"};
}

class BindingsTest : public ProgramsTest, public ::testing::WithParamInterface<Language> {
 protected:
  void SetUp() override {
    ProgramsTest::SetUp();
    if (!std::filesystem::exists(GetParam().module)) {
      GTEST_SKIP() << "the extension of " << GetParam().name << " is not built";
    }
  }
  std::string Run(const std::string& program) const {
    return GetParam().run + kBindings + GetParam().name + "/" + program;
  }
};

TEST_P(BindingsTest, DoesWhatItPromises) {
  const Ended ended = RunLine(Run(GetParam().test) + " 2>&1");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
}

// Killed in calls; every history is checked, and whole at the end.
TEST_P(BindingsTest, IsTorturedInEachDesign) {
  for (const std::string design : {"global_mutex", "striped_locks", "cas_slots", "seqlock_ring"}) {
    const std::string model = design == "seqlock_ring" ? "cache" : "map";
    const Ended ended = Torture(
        absl::StrCat("--fork-server='", Run(GetParam().server), " ", design, "' --model=", model),
        100);
    EXPECT_EQ(ended.exit_code, 0) << design << ended.output;
    EXPECT_GT(run_["kills"]["in_call"].get<uint64_t>(), 10u) << design;
  }
}

TEST_P(BindingsTest, WebWorkersCountEveryHit) {
  if (GetParam().name != "ruby") GTEST_SKIP() << "the web server is Ruby's";
  if (!Has("unicorn")) GTEST_SKIP() << "no unicorn";
  const Ended ended =
      RunLine("RUBYLIB=" KILL9_BINDINGS_BUILT "/ruby ruby " + std::string(kBindings) +
              "ruby/web_workers_test.rb unicorn cas_slots 2>&1");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("20 workers killed"));
}

INSTANTIATE_TEST_SUITE_P(Languages, BindingsTest, ::testing::Values(Python3(), Ruby()),
                         [](const auto& language) { return language.param.name; });

}  // namespace
}  // namespace kill9
