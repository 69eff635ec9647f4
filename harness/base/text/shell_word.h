// Command lines for people to copy.
#ifndef KILL9_HARNESS_BASE_TEXT_SHELL_WORD_H_
#define KILL9_HARNESS_BASE_TEXT_SHELL_WORD_H_

#include <string>
#include <string_view>

namespace kill9 {

// The word in quotes, as a shell reads it back.
inline std::string ShellQuoted(std::string_view word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// The same, in quotes only if it needs them.
inline std::string ShellWord(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  return ShellQuoted(word);
}

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_SHELL_WORD_H_
