#include "harness/result/build_info.h"

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

const char* build_commit = "unknown";

}  // namespace

std::string_view BuildCommit() { return build_commit; }
void SetBuildCommit(const char* commit) { build_commit = commit; }

std::string BuildCompiler() {
#if defined(__clang__)
  return absl::StrCat("clang ", __clang_version__);
#else
  return absl::StrCat("gcc ", __VERSION__);
#endif
}

std::string_view BuildMode() {
#ifdef NDEBUG
  return "release";
#else
  return "debug";
#endif
}

std::string VersionLine(std::string_view program) {
  return absl::StrCat(std::string(program), " " KILL9_VERSION " (commit ",
                      std::string(BuildCommit()), ", ", BuildCompiler(), ", ",
                      std::string(BuildMode()), ")");
}

}  // namespace kill9
