// Texts in shared memory, which have room for so many bytes.
#ifndef KILL9_HARNESS_BASE_TEXT_COPY_TEXT_H_
#define KILL9_HARNESS_BASE_TEXT_COPY_TEXT_H_

#include <span>
#include <string_view>

namespace kill9 {

// As much of it as there is room for, and a 0 behind it. REQUIRES: there is room for that.
inline void CopyText(std::string_view text, std::span<char> to) {
  to[text.copy(to.data(), to.size() - 1)] = '\0';
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_COPY_TEXT_H_
