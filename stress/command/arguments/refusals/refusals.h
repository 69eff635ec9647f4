// What is refused of every command line, whatever its options mean, and what is said then.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_REFUSALS_REFUSALS_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_REFUSALS_REFUSALS_H_

#include <charconv>
#include <string>
#include <system_error>
#include <vector>

namespace CLI {
class App;
}

namespace kill9 {

// The whole of the text as a number, written without superfluous zeros.
template <typename Number>
bool IsNumber(const std::string& text, Number* number) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
  const auto [at, error] = std::from_chars(begin + plus, end, *number);
  return error == std::errc() && at == end;
}

// Looks at the values of all its options, so that none has to think of it: numbers that are none,
// or do not fit; result files that cannot be written.
void CheckOptions(CLI::App& command);

// What `who` says of words that are none of its options, a line each. `name`: as people call it.
std::string UnknownWords(const CLI::App& command, const std::string& who, const std::string& name,
                         const std::vector<std::string>& words);

// What is said where nothing, or another option, stands where a value should: an option would take
// the next word else, whatever that is. Empty: all have theirs.
std::string MissingValue(const CLI::App& command, const std::vector<std::string>& words);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_REFUSALS_REFUSALS_H_
