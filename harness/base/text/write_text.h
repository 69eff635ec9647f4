// Files that appear whole or not at all: a temporary beside it, renamed. "-" is standard output.
#ifndef KILL9_HARNESS_BASE_TEXT_WRITE_TEXT_H_
#define KILL9_HARNESS_BASE_TEXT_WRITE_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace kill9 {

// `what`: as messages name it, "the page".
absl::Status WriteText(std::string_view text, const std::string& path, std::string_view what);

// The same, below a folder that is made if it is not there. The error is the first one.
absl::Status WriteTextInFolder(std::string_view text, const std::string& path,
                               std::string_view what);

// Whether WriteText will be able to, as far as can be known before.
absl::Status CanWriteText(const std::string& path, std::string_view what);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_WRITE_TEXT_H_
