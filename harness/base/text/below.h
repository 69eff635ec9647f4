// Where a path lies, by its text: without links, "." and "..".
#ifndef KILL9_HARNESS_BASE_TEXT_BELOW_H_
#define KILL9_HARNESS_BASE_TEXT_BELOW_H_

#include <string_view>

namespace kill9 {

inline bool IsBelow(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && path.size() > directory.size() &&
         path[directory.size()] == '/';
}
inline bool IsAtOrBelow(std::string_view path, std::string_view directory) {
  return path == directory || IsBelow(path, directory);
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_BELOW_H_
