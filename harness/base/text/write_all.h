// All of a text to a pipe or a socket, which may take it in parts.
#ifndef KILL9_HARNESS_BASE_TEXT_WRITE_ALL_H_
#define KILL9_HARNESS_BASE_TEXT_WRITE_ALL_H_

#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace kill9 {

// False with errno: the other end takes no more.
inline bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_WRITE_ALL_H_
