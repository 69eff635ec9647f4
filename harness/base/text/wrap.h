// Text for people, broken into lines of a terminal.
#ifndef KILL9_HARNESS_BASE_TEXT_WRAP_H_
#define KILL9_HARNESS_BASE_TEXT_WRAP_H_

#include <cstddef>
#include <string>

namespace kill9 {

// The text with each line of more than `columns` broken at blanks. What goes on is indented as far
// as what an option's line says of it, or as the line itself is. A word is never broken.
std::string Wrap(const std::string& text, size_t columns);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_WRAP_H_
