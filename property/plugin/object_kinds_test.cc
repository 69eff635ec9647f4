// Objects of every kind behind the C interface: what is right passes, and the planted fault is
// found, in C++ and in C.
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/result/result.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

struct ObjectKind {
  const char* name;
  const char* swept;     // what the right one is swept in
  const char* wrong_in;  // what finds the fault
  const char* verdict;
};

// A dead holder's permit is one of two: it takes torture to lose both. Who sleeps is torture's,
// too.
constexpr ObjectKind kObjectKinds[] = {
    {"counter", "--operation=add,read --state=half_done", "sweep --operation=add --state=new",
     "violation"},
    {"set", "--operation=add --state=used", "sweep --operation=remove --state=used", "violation"},
    {"queue", "--operation=enqueue,dequeue --state=used", "sweep --operation=enqueue --state=new",
     "violation"},
    {"list", "--operation=append --state=new", "sweep --operation=remove --state=used",
     "violation"},
    {"mutex", "--operation=acquire,release --state=used",
     "sweep --operation=acquire --state=new --watchdog=0.3", "stuck"},
    {"semaphore", "--operation=acquire,release --state=used", "torture --kills=3000", "violation"},
    {"condition", "--operation=wait,signal --state=half_done", "torture --watchdog=1 --kills=3000",
     "stuck"},
    {"lease", "--operation=acquire,renew --state=used,half_done --recovery",
     "sweep --operation=acquire --state=new", "violation"},
};

class ObjectOfKind : public testing::TestWithParam<ObjectKind> {
 protected:
  std::string Build(const std::string& compiler, const std::string& example,
                    const std::string& flag) const {
    const std::string library = absl::StrCat(folder_, "/lib", flag.size(), ".so");
    const Ended built = RunLine(absl::StrCat(
        compiler, " -g -O1 -shared -fPIC -pthread -I", KILL9_SOURCE_DIR, "/include ", flag, " -o ",
        library, " ", KILL9_SOURCE_DIR, "/apps/examples/plugin/", example, " 2>&1"));
    EXPECT_EQ(built.exit_code, 0) << built.output;
    return library;
  }
  // The verdict of the first run is in `verdict_`.
  Ended Run(const std::string& library, const std::string& arguments) {
    const std::string json = folder_ + "/result.json";
    std::filesystem::remove(json);
    const Ended ended =
        RunLine(absl::StrCat("cd ", folder_, " && ", KILL9_COMMAND, " --plugin=", library, " ",
                             arguments, " --seed=3 --json=", json, " 2>&1 </dev/null"));
    const absl::StatusOr<Json> result = ReadJsonFile(json);
    result_ = result.ok() ? *result : Json::object();
    const bool ran = result_.contains("runs") && !result_["runs"].empty();
    verdict_ = ran ? TextField(result_["runs"][0], "verdict") : "";
    return ended;
  }
  void ExpectSweepPasses(const std::string& right) {
    const Ended swept = Run(right, absl::StrCat("sweep ", GetParam().swept));
    EXPECT_EQ(swept.exit_code, 0) << swept.output;
    for (const Json& run : result_["runs"]) EXPECT_EQ(run["kill_coverage"], 1.0) << run.dump(1);
  }
  void ExpectRightAndWrongAreTold(const std::string& compiler, const std::string& example,
                                  bool sweeps_the_right_one) {
    const std::string right = Build(compiler, example, "");
    Ended tortured = Run(right, "torture --seconds=600 --kills=20");
    // Of so few, chance may have met nobody in a call.
    if (verdict_ == "vacuous") tortured = Run(right, "torture --seconds=600 --kills=200");
    EXPECT_EQ(tortured.exit_code, 0) << tortured.output;
    ASSERT_EQ(result_["runs"].size(), 1u) << tortured.output;
    EXPECT_GE(result_["runs"][0]["kills"]["total"], 20u);
    if (sweeps_the_right_one) ExpectSweepPasses(right);
    const std::string wrong = Build(compiler, example, "-DFAULTY");
    const Ended found = Run(wrong, GetParam().wrong_in);
    EXPECT_EQ(found.exit_code, 1) << found.output;
    EXPECT_EQ(verdict_, GetParam().verdict) << found.output;
  }

  Json result_;
  std::string verdict_;
  const OwnFolder own_;
  const std::string& folder_ = own_.path();
};

TEST_P(ObjectOfKind, PassesAndItsFaultIsFoundInCpp) {
  ExpectRightAndWrongAreTold("c++ -std=c++20", absl::StrCat("safe_", GetParam().name, ".cc"), true);
}

// The same object in the other language: swept where every instruction is asked for.
TEST_P(ObjectOfKind, PassesAndItsFaultIsFoundInC) {
  ExpectRightAndWrongAreTold("cc -std=c11", absl::StrCat("c/safe_", GetParam().name, ".c"),
                             std::getenv("KILL9_EVERY_INSTRUCTION") != nullptr);
}

INSTANTIATE_TEST_SUITE_P(Each, ObjectOfKind, testing::ValuesIn(kObjectKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace kill9
