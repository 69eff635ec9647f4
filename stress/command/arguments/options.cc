#include "stress/command/arguments/options.h"

#include <charconv>
#include <exception>
#include <iostream>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"

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

// What holds for the options of every command, so that none has to think of it.
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

Option& Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}
Option& Option::Between(int least, int most) {
  option_->check(CLI::Range(least, most));
  return *this;
}
Option& Option::Between(uint64_t least, uint64_t most) {
  option_->check(CLI::Range(least, most));
  return *this;
}
Option& Option::Between(double least, double most) {
  option_->check(CLI::Range(least, most));
  return *this;
}
Option& Option::Positive() {
  option_->check(CLI::PositiveNumber);
  return *this;
}
Option& Option::OneOf(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}
Option& Option::ExistingFile() {
  option_->check(CLI::ExistingFile);
  return *this;
}
Option& Option::ExistingFolder() {
  option_->check(CLI::ExistingDirectory);
  return *this;
}
Option& Option::Required() {
  option_->required();
  return *this;
}
Option& Option::SeparatedBy(char delimiter) {
  option_->delimiter(delimiter);
  return *this;
}
Option& Option::Values(int count) {
  option_->expected(count);
  return *this;
}
Option& Option::Needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}
Option& Option::Excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

template <typename Value>
Option Command::Add(const std::string& name, Value& value, const std::string& help) {
  return Option(application_->add_option(name, value, help));
}
template Option Command::Add(const std::string&, std::string&, const std::string&);
template Option Command::Add(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::Add(const std::string&, int&, const std::string&);
template Option Command::Add(const std::string&, uint32_t&, const std::string&);
template Option Command::Add(const std::string&, std::vector<uint32_t>&, const std::string&);
template Option Command::Add(const std::string&, uint64_t&, const std::string&);
template Option Command::Add(const std::string&, double&, const std::string&);

Option Command::AddFlag(const std::string& name, bool& value, const std::string& help) {
  return Option(application_->add_flag(name, value, help));
}

void Command::OnCall(std::function<int()> action) {
  application_->callback([action = std::move(action), exit_code = exit_code_] {
    try {
      *exit_code = action();
    } catch (const UsageError& error) {
      throw CLI::ValidationError(error.what());
    }
  });
}

CommandLine::CommandLine(const std::string& what, const std::string& version)
    : application_(std::make_unique<CLI::App>(what)), exit_code_(kExitPass) {
  application_->set_version_flag("--version", version);
  application_->require_subcommand(1);
}
CommandLine::~CommandLine() = default;

Command CommandLine::Add(const std::string& name, const std::string& what) {
  return Command(application_->add_subcommand(name, what), &exit_code_);
}

int CommandLine::Run(int argc, char** argv) {
  const CLI::App& application = *application_;
  bool is_there = argc < 2 || argv[1][0] == '-';
  for (const CLI::App* command : application.get_subcommands({})) {
    is_there = is_there || command->get_name() == argv[1];
  }
  if (!is_there) {
    std::cerr << "kill9: there is no command '" << argv[1] << "'; kill9 --help lists them\n";
    return kExitUsage;
  }
  for (CLI::App* command : application_->get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) CheckOption(*option);
  }
  try {
    application_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return application_->exit(error) == 0 ? kExitPass : kExitUsage;
  } catch (const std::exception& error) {
    std::cerr << "kill9: " << error.what() << "\n";
    return kExitUsage;
  }
  return exit_code_;
}

}  // namespace kill9
