// A file system that keeps its locks on another description than mappings do (participants.h).
#ifndef KILL9_PROPERTY_SCAFFOLD_OVERLAY_H_
#define KILL9_PROPERTY_SCAFFOLD_OVERLAY_H_

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9 {

inline constexpr int kNoOverlay = 79;

// Runs `body` in a child that sees an overlayfs in this folder; its exit status. kNoOverlay: the
// machine lets us mount none.
inline int OnOverlay(absl::FunctionRef<int(const std::string& folder)> body) {
  const std::filesystem::path root = absl::StrCat(::testing::TempDir(), "kill9_overlay.", getpid());
  Child child([&](Line&) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kNoOverlay;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kNoOverlay;
    for (const char* part : {"lower", "upper", "work", "merged"}) {
      std::filesystem::create_directories(root / part);
    }
    const std::string options = absl::StrCat("lowerdir=", (root / "lower").string(),
                                             ",upperdir=", (root / "upper").string(),
                                             ",workdir=", (root / "work").string());
    const std::string merged = root / "merged";
    if (mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) != 0) return kNoOverlay;
    return body(merged);
  });
  const int status = child.ExitStatus();
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);
  return status;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_SCAFFOLD_OVERLAY_H_
