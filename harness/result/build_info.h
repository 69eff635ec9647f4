// Which build of kill9 this is: results say it, and kill9 --version.
#ifndef KILL9_HARNESS_RESULT_BUILD_INFO_H_
#define KILL9_HARNESS_RESULT_BUILD_INFO_H_

#include <string>
#include <string_view>

namespace kill9 {

// The commit of git that was built, as main said it; else "unknown". Only programs know it, by
// the header that build_info.cmake makes: a commit shall not build all tests anew.
std::string_view BuildCommit();
void SetBuildCommit(const char* commit);

// The compiler and its version.
std::string BuildCompiler();

// "release", or "debug" where assertions are on.
std::string_view BuildMode();

// For --version: "PROGRAM 0.1 (commit C, COMPILER, release)".
std::string VersionLine(std::string_view program);

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_BUILD_INFO_H_
