#include "stress/command/options.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "harness/result/result.h"

namespace kill9 {
namespace {

constexpr double kSecondsMost = 1e9;

// The whole of the text as a number, written without superfluous zeros.
template <typename Number>
bool IsNumber(const std::string& text, Number* number) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
  const auto [at, error] = std::from_chars(begin + plus, end, *number);
  return error == std::errc() && at == end;
}

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
  return absl::StrCat("'", text, "' is no number from 0 to 1e9");
}

std::string CheckUnsigned(const std::string& text) {
  return IsInteger<uint64_t>(text)
             ? ""
             : absl::StrCat("'", text, "' is no whole number from 0 to ", UINT64_MAX);
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

void CheckOptionsOfAll(CLI::App& application) {
  for (CLI::App* command : application.get_subcommands([](CLI::App*) { return true; })) {
    for (CLI::Option* option : command->get_options()) CheckOption(*option);
  }
}

}  // namespace kill9
