// What somebody who wrote a name wrongly may have meant.
#ifndef KILL9_HARNESS_BASE_TEXT_NEAREST_H_
#define KILL9_HARNESS_BASE_TEXT_NEAREST_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kill9 {

// The known name that takes the fewest edits (a character inserted, deleted, replaced, or two
// neighbours exchanged: the optimal string alignment distance), if that is at most a third of its
// length; or the only one that begins with `given`. Empty if there is none.
std::string Nearest(std::string_view given, std::span<const std::string> known);

// "; did you mean 'X'?", or nothing.
std::string DidYouMean(std::string_view given, std::span<const std::string> known);

// What is said of a name that is none of the known ones: the nearest first, for they may be many.
std::string ThereIsNo(std::string_view given, const std::vector<std::string>& known);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_NEAREST_H_
