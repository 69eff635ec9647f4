#include "stress/command/arguments/refusals/refusals.h"

#include <cstdint>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "harness/result/result.h"
#include "harness/base/text/nearest.h"

namespace kill9 {
namespace {

constexpr double kSecondsMost = 1e9;

template <typename Number>
bool IsInteger(const std::string& text) {
  Number number;
  const size_t digits = text.find_first_not_of("+-");
  const bool octal = digits + 1 < text.size() && text[digits] == '0';
  return !octal && IsNumber(text, &number);
}

std::string CheckSeconds(const std::string& text) {
  double number = 0;
  if (IsNumber(text, &number) && number >= 0 && number <= kSecondsMost) return "";
  return absl::StrCat("'", text, "' is no number from 0 to 1000000000");
}

std::string CheckUnsigned(const std::string& text) {
  if (IsInteger<uint64_t>(text)) return "";
  const bool is_large = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return is_large && text[0] != '0'
             ? absl::StrCat("'", text, "' is too large: it is at most ", UINT64_MAX)
             : absl::StrCat("'", text, "' is no whole number from 0 on");
}

std::string CheckSigned(const std::string& text) {
  return IsInteger<int64_t>(text) ? "" : absl::StrCat("'", text, "' is no whole number that fits");
}

std::string CheckResultFile(const std::string& path) {
  return std::string(CanWriteResult(path).message());
}

void CheckOption(CLI::Option& option) {
  const bool takes_value = option.get_items_expected_min() > 0;
  const std::string type = option.get_type_name();
  if (type.starts_with("FLOAT")) option.check(CheckSeconds);
  if (type.starts_with("UINT")) option.check(CheckUnsigned);
  if (type.starts_with("INT")) option.check(CheckSigned);
  const bool is_result = option.check_lname("json") || option.check_lname("junit");
  if (is_result && takes_value) option.check(CheckResultFile);
}

}  // namespace

void CheckOptions(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) CheckOption(*option);
}

std::string UnknownWords(const CLI::App& command, const std::string& who, const std::string& name,
                         const std::vector<std::string>& words) {
  std::vector<std::string> options;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& long_name : option->get_lnames()) options.push_back("--" + long_name);
  }
  std::string text;
  for (const std::string& word : words) {
    const bool is_option = word.starts_with("-");
    const std::string option = word.substr(0, word.find('='));
    absl::StrAppend(&text, text.empty() ? "" : "\n", who, ": ", name,
                    is_option ? " has no option '" : " takes no argument '",
                    is_option ? option : word, "'", is_option ? DidYouMean(option, options) : "");
  }
  return text;
}

std::string MissingValue(const CLI::App& command, const std::vector<std::string>& words) {
  for (size_t n = 0; n < words.size() && words[n] != "--"; ++n) {
    const size_t equals = words[n].find('=');
    const std::string name = words[n].substr(0, equals);
    const CLI::Option* const option =
        name.starts_with("--") ? command.get_option_no_throw(name) : nullptr;
    if (option == nullptr || option->get_items_expected_min() == 0) continue;
    const bool is_last = equals == std::string::npos && n + 1 == words.size();
    if (equals + 1 == words[n].size() || is_last) return absl::StrCat(words[n], " has no value");
    if (equals == std::string::npos && n + 1 < words.size() && words[n + 1].starts_with("--")) {
      return absl::StrCat(name, " has no value: '", words[n + 1], "' follows");
    }
  }
  return "";
}

}  // namespace kill9
