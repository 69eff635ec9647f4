// What is planted, as data: every bug class has its bug or a reason, every variant its share, and
// the patches say all that a tier needs to know. (That they apply is checked by the build, that
// they compile and are caught by `kill9 planted` and `kill9 gate`.)
#include "harness/gate/plan/planted.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "harness/result/verdict.h"
#include "variants/buffers/buffer_pool_design.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

// Those of all kinds, or of stores; of channels; of shapes. What is between is the testbed's own,
// or of kinds to come.
constexpr uint32_t kClasses = 46, kFirstOfShapes = 79, kLastOfShapes = 84;
constexpr uint32_t kFirstOfHeaps = 63, kLastOfHeaps = 66;
constexpr uint32_t kFirstOfChannels = 51, kLastOfChannels = 62;
constexpr uint32_t kFirstOfCaches = 67, kLastOfCaches = 72;
constexpr size_t kBugs = 250, kBugsOfEachStore = 23, kBugsOfEachChannel = 20, kBugsOfThePool = 8,
                 kControls = 10;
constexpr const char* kFolder = KILL9_SOURCE_DIR "/property/planted";

std::vector<PlantedBug> Bugs(bool controls) {
  absl::StatusOr<std::vector<PlantedBug>> all = ReadPlantedBugs(KILL9_PLANTED_MANIFEST);
  EXPECT_TRUE(all.ok()) << all.status();
  if (!all.ok()) return {};
  std::erase_if(*all, [controls](const PlantedBug& bug) { return bug.control != controls; });
  return *std::move(all);
}

// "class: reason", with lines that begin with # for people.
std::map<uint32_t, std::string> NotPlanted() {
  std::map<uint32_t, std::string> reasons;
  std::ifstream in(absl::StrCat(kFolder, "/not_planted.txt"));
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with('#') || colon == std::string::npos) continue;
    reasons[static_cast<uint32_t>(std::stoul(line))] = line.substr(colon + 2);
  }
  return reasons;
}

TEST(Planted, EveryClassIsPlantedOrHasAReasonWhyNotAndNeverBoth) {
  std::set<uint32_t> planted;
  for (const PlantedBug& bug : Bugs(false)) planted.insert(bug.classes.begin(), bug.classes.end());
  const std::map<uint32_t, std::string> reasons = NotPlanted();
  const auto is_of_objects = [](uint32_t number) {
    return number <= kClasses || (number >= kFirstOfChannels && number <= kLastOfChannels) ||
           (number >= kFirstOfHeaps && number <= kLastOfHeaps) ||
           (number >= kFirstOfCaches && number <= kLastOfCaches) ||
           (number >= kFirstOfShapes && number <= kLastOfShapes);
  };
  for (uint32_t number = 1; number <= kLastOfShapes; ++number) {
    if (!is_of_objects(number)) continue;
    const auto reason = reasons.find(number);
    const bool explained = reason != reasons.end() && reason->second.size() > 20;
    EXPECT_NE(planted.contains(number), explained) << "class " << number;
  }
  for (uint32_t number : planted) EXPECT_TRUE(is_of_objects(number)) << "class " << number;
}

// docs/bug_classes.md: "17. A zombie counts as alive ...". A number is one class for ever.
std::multiset<uint32_t> ClassesOfTheDocs() {
  std::multiset<uint32_t> classes;
  std::ifstream in(KILL9_SOURCE_DIR "/docs/bug_classes.md");
  for (std::string line; std::getline(in, line);) {
    const size_t digits = line.find_first_not_of("0123456789");
    if (digits == 0 || digits >= line.size() || line.substr(digits, 2) != ". ") continue;
    classes.insert(static_cast<uint32_t>(std::stoul(line)));
  }
  return classes;
}

TEST(Planted, EveryClassThatAPatchCitesCanBeLookedUp) {
  const std::multiset<uint32_t> known = ClassesOfTheDocs();
  ASSERT_GE(known.size(), kClasses);
  for (uint32_t number : known) EXPECT_EQ(known.count(number), 1u) << "class " << number;
  for (const bool controls : {false, true}) {
    for (const PlantedBug& bug : Bugs(controls)) {
      for (uint32_t number : bug.classes) EXPECT_TRUE(known.contains(number)) << bug.name;
    }
  }
}

TEST(Planted, ThereAreEnoughOfThemInEachDesignAndEnoughControls) {
  const std::vector<PlantedBug> bugs = Bugs(false);
  EXPECT_GE(bugs.size(), kBugs);
  for (const Design* variant : AllDesigns()) {
    if (variant->role() != Design::Role::kDesign) continue;
    const auto of_variant = std::count_if(bugs.begin(), bugs.end(), [variant](const PlantedBug& b) {
      return b.variant == variant->name();
    });
    const size_t least = variant->kind() == Variant::kKind ? kBugsOfEachStore
                         : variant->kind() == kPoolKind    ? kBugsOfThePool
                                                           : kBugsOfEachChannel;
    EXPECT_GE(static_cast<size_t>(of_variant), least) << variant->name();
  }
  EXPECT_GE(Bugs(true).size(), kControls);
}

TEST(Planted, EachDeclaresItsTiersWithTheirArgumentsItsVerdictsAndItsBudget) {
  static const std::set<std::string> kVerdicts = {
      std::string(VerdictName(Verdict::kViolation)),
      std::string(VerdictName(Verdict::kLeak)),
      std::string(VerdictName(Verdict::kAuditFailed)),
      std::string(VerdictName(Verdict::kStuck)),
      std::string(VerdictName(Verdict::kSurvivorCrashed)),
      "data_race"};
  std::set<std::string> names;
  for (const bool control : {false, true}) {
    for (const PlantedBug& bug : Bugs(control)) {
      SCOPED_TRACE(bug.name);
      EXPECT_TRUE(names.insert(bug.name).second) << "two patches have this name";
      EXPECT_GT(bug.what.size(), 20u);
      EXPECT_NE(FindDesign(bug.variant), nullptr) << bug.variant;
      EXPECT_GT(bug.budget_seconds, 0);
      EXPECT_LE(bug.budget_seconds, 60);
      EXPECT_EQ(bug.classes.empty(), control);
      EXPECT_FALSE(bug.tiers.empty());
      for (const std::string& tier : bug.tiers) {
        const std::map<std::string, const std::string*> arguments = {
            {"sweep", &bug.sweep},
            {"torture", &bug.torture},
            {"explore", &bug.explore},
            {"conformance", &bug.conformance_command},
            {"tsan", &bug.tsan_command}};
        ASSERT_TRUE(arguments.contains(tier)) << tier;
        EXPECT_FALSE(arguments.at(tier)->empty()) << tier << " has no arguments";
      }
      for (const std::string& verdict : bug.verdicts) {
        EXPECT_TRUE(control ? verdict == "pass" : kVerdicts.contains(verdict)) << verdict;
      }
    }
  }
}

// The manifest is made when the build is configured: it must not be of an earlier day.
TEST(Planted, TheManifestListsThePatchesThatAreThere) {
  std::set<std::string> there, listed;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.path().extension() == ".patch") there.insert(entry.path().stem());
  }
  for (const bool control : {false, true}) {
    for (const PlantedBug& bug : Bugs(control)) listed.insert(bug.name);
  }
  EXPECT_EQ(listed, there);
}

// A patch is the smallest change that makes one bug: a dozen or two of lines, of one or two files.
TEST(Planted, APatchIsSmall) {
  for (const PlantedBug& bug : Bugs(false)) {
    std::ifstream in(absl::StrCat(KILL9_SOURCE_DIR, "/", bug.patch));
    size_t changed = 0;
    for (std::string line; std::getline(in, line);) {
      changed += (line.starts_with('+') || line.starts_with('-')) && !line.starts_with("+++ ") &&
                 !line.starts_with("--- ");
    }
    EXPECT_GT(changed, 0u) << bug.name;
    EXPECT_LE(changed, 40u) << bug.name;
  }
}

TEST(PlantedManifest, ThatIsNoneIsRefusedWithWords) {
  EXPECT_EQ(ReadPlantedBugs("/nonexistent/manifest.json").status().code(),
            absl::StatusCode::kFailedPrecondition);
  const std::string path = testing::TempDir() + "/no_manifest.json";
  for (const char* text : {"", "{}", "[1]", R"([{"name": "a"}])",
                           R"([{"name": "a", "variant": "v", "patch": "p", "tiers": 3}])"}) {
    std::ofstream(path) << text;
    const absl::Status status = ReadPlantedBugs(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(std::string(status.message()).find("is no manifest of planted bugs"),
              std::string::npos)
        << status;
  }
}

}  // namespace
}  // namespace kill9
