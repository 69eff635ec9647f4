// What is installed is enough for a project of somebody's own: find_package, a plugin, a test.
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/command/command_for_tests.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

// The example as a program that is the command.
constexpr char kProgram[] =
    "#include <kill9/object.h>\n"
    "#undef KILL9_PLUGIN\n"
    "#define KILL9_PLUGIN KILL9_MAIN\n"
    "#include \"cells_map.cc\"\n";
constexpr char kProject[] =
    "cmake_minimum_required(VERSION 3.22)\n"
    "project(mine C CXX)\n"
    "enable_testing()\n"
    "find_package(kill9 0.1 REQUIRED)\n"
    "add_library(mine SHARED cells_map.cc)\n"
    "target_link_libraries(mine PRIVATE kill9::kill9)\n"
    "target_compile_features(mine PRIVATE cxx_std_20)\n"
    "add_library(mine_c SHARED cells_map.c)\n"
    "target_link_libraries(mine_c PRIVATE kill9::kill9)\n"
    "add_executable(mine_program program.cc)\n"
    "target_link_libraries(mine_program PRIVATE kill9::main)\n"
    "target_compile_features(mine_program PRIVATE cxx_std_20)\n"
    "kill9_add_test(NAME program_torture PROGRAM mine_program\n"
    "  ARGUMENTS --scenario=steady --kills=20 --seconds=300)\n"
    "kill9_add_test(NAME program_sweep PROGRAM mine_program COMMAND sweep\n"
    "  ARGUMENTS --operation=put_same --state=one_entry)\n"
    "kill9_add_test(NAME mine_torture PLUGIN mine ARGUMENTS --scenario=steady --kills=20 "
    "--seconds=300)\n"
    "kill9_add_test(NAME mine_sweep PLUGIN mine COMMAND sweep\n"
    "  ARGUMENTS --operation=put_same --state=one_entry)\n"
    "kill9_add_test(NAME mine_c_torture PLUGIN mine_c ARGUMENTS --scenario=steady --kills=20 "
    "--seconds=300)\n";

// The tutorial's line that begins so, with the folders of this test.
std::string LineOfTheTutorial(const std::string& beginning, const std::string& root) {
  std::ifstream file(KILL9_SOURCE_DIR "/docs/tutorials/gate_your_repository.md");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("    " + beginning)) continue;
    using Replacement = std::pair<std::string, std::string>;
    for (const auto& [from, to] :
         {Replacement{"build/release", KILL9_BUILD_DIR}, Replacement{"~/kill9", root}}) {
      const size_t at = line.find(from);
      EXPECT_NE(at, std::string::npos) << line;
      if (at != std::string::npos) line.replace(at, from.size(), to);
    }
    return line;
  }
  ADD_FAILURE() << "the tutorial has no " << beginning;
  return "false";
}

TEST(Installed, AProjectOutsideOfTheTreeTestsItsObject) {
  const OwnFolder own;
  const std::string& folder = own.path();
  const auto expect_runs = [](const std::string& line) {
    const Ended ended = RunLine(line + " 2>&1 </dev/null");
    EXPECT_EQ(ended.exit_code, 0) << line << "\n" << ended.output;
    return ended.output;
  };
  expect_runs(LineOfTheTutorial("cmake --install", folder + "/root"));
  ASSERT_TRUE(std::filesystem::exists(folder + "/root/bin/kill9"));
  std::filesystem::create_directory(folder + "/project");
  std::ofstream(folder + "/project/CMakeLists.txt") << kProject;
  std::ofstream(folder + "/project/program.cc") << kProgram;
  for (const std::string name : {"cells_map.cc", "cells_map.c"}) {
    std::filesystem::copy_file(KILL9_SOURCE_DIR "/apps/examples/plugin/" + name,
                               folder + "/project/" + name);
  }
  expect_runs("cmake -G Ninja -S " + folder + "/project -B " + folder +
              "/build -DCMAKE_PREFIX_PATH=" + folder + "/root");
  expect_runs("cmake --build " + folder + "/build");
  const std::string tested = expect_runs("ctest --test-dir " + folder + "/build -V");
  EXPECT_THAT(tested, HasSubstr("100% tests passed, 0 tests failed out of 5"));
  EXPECT_THAT(tested, HasSubstr("cells_map put_same one_entry: pass"));
  // What is written as a beginning is such a project.
  expect_runs(folder + "/root/bin/kill9 new " + folder + "/my_map");
  expect_runs("cmake -G Ninja -S " + folder + "/my_map -B " + folder +
              "/my_build -DCMAKE_PREFIX_PATH=" + folder + "/root");
  expect_runs("cmake --build " + folder + "/my_build");
  EXPECT_THAT(expect_runs("ctest --test-dir " + folder + "/my_build -V"),
              HasSubstr("my_map: pass"));
  // The same by pkg-config, which tells where the command is, too.
  const std::string pkg_config = "PKG_CONFIG_PATH=" + folder + "/root/share/pkgconfig pkg-config";
  expect_runs("cd " + folder + " && g++ -std=c++20 -shared -fPIC $(" + pkg_config +
              " --cflags kill9) -o libmine.so project/cells_map.cc");
  EXPECT_THAT(
      expect_runs("cd " + folder + " && $(" + pkg_config + " --variable=kill9 kill9) " +
                  "--plugin=./libmine.so torture --scenario=steady --kills=20 --seconds=300"),
      HasSubstr("pass"));
  expect_runs("cd " + folder + " && g++ -std=c++20 -o mine project/program.cc $(" + pkg_config +
              " --cflags --libs kill9-main)");
  EXPECT_THAT(
      expect_runs("cd " + folder + " && ./mine torture --scenario=steady --kills=20 --seconds=300"),
      HasSubstr("pass"));
}

}  // namespace
}  // namespace kill9
