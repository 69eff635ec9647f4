#include "stress/command/arguments/options.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <iostream>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/nearest.h"

namespace kill9 {
namespace {

constexpr double kSecondsMost = 1e9;
constexpr char kExitCodesHelp[] =
    "Exit codes:\n"
    "  0  pass: what was asked for was run, and nothing was found\n"
    "  1  something was found\n"
    "  2  usage: the command line, a file, or this machine does not allow it\n"
    "  3  undecided: nothing was found, and not enough was run for a pass";

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
  CLI::Option* option = application_->add_option(name, value, help);
  if (!group_.empty() && !option->get_positional()) option->group(group_);
  return Option(option);
}
template Option Command::Add(const std::string&, std::string&, const std::string&);
template Option Command::Add(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::Add(const std::string&, int&, const std::string&);
template Option Command::Add(const std::string&, uint32_t&, const std::string&);
template Option Command::Add(const std::string&, std::vector<uint32_t>&, const std::string&);
template Option Command::Add(const std::string&, uint64_t&, const std::string&);
template Option Command::Add(const std::string&, double&, const std::string&);

Option Command::AddFlag(const std::string& name, bool& value, const std::string& help) {
  CLI::Option* option = application_->add_flag(name, value, help);
  if (!group_.empty()) option->group(group_);
  return Option(option);
}

void Command::Example(const std::string& arguments, const std::string& what) {
  const std::string before = application_->get_footer();
  application_->footer(absl::StrCat(before.empty() ? "Examples:" : before, "\n  kill9 ",
                                    application_->get_name(), arguments.empty() ? "" : " ",
                                    arguments, "\n      ", what));
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
  application_->set_config("--config", "", "a file of options: [torture], below it seconds=3");
  application_->allow_config_extras(CLI::config_extras_mode::error);
  application_->require_subcommand(1);
}
CommandLine::~CommandLine() = default;

Command CommandLine::Add(const std::string& name, const std::string& what) {
  return Command(application_->add_subcommand(name, what), &exit_code_);
}

int CommandLine::Complain(const std::string& message) const {
  std::cerr << "kill9: " << message << "\n";
  return kExitUsage;
}

// Words that are no option of the command that was called.
int CommandLine::Unexpected(const std::vector<std::string>& words) const {
  const CLI::App* command = application_.get();
  for (const CLI::App* called : application_->get_subcommands()) command = called;
  std::vector<std::string> options;
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  const std::string name = command == application_.get() ? "kill9" : "kill9 " + command->get_name();
  std::string text;
  for (const std::string& word : words) {
    const bool is_option = word.starts_with("-");
    const std::string option = word.substr(0, word.find('='));
    absl::StrAppend(&text, text.empty() ? "" : "\nkill9: ", name,
                    is_option ? " has no option '" : " takes no argument '",
                    is_option ? option : word, "'", is_option ? DidYouMean(option, options) : "");
  }
  return Complain(absl::StrCat(text, "\n", name, " --help lists what there is"));
}

int CommandLine::Run(int argc, char** argv) {
  std::vector<std::string> names;
  for (CLI::App* command : application_->get_subcommands({})) {
    names.push_back(command->get_name());
    for (CLI::Option* option : command->get_options()) CheckOption(*option);
    const std::string before = command->get_footer();
    command->footer(absl::StrCat(before, before.empty() ? "" : "\n\n", kExitCodesHelp));
  }
  application_->footer("kill9 help COMMAND tells a command's options, with examples.");
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    if (words.size() > 1) return Complain("help takes one command");
    words.emplace_back("--help");
  }
  const bool is_command = words.empty() || words[0].starts_with("-") ||
                          std::find(names.begin(), names.end(), words[0]) != names.end();
  if (!is_command) {
    return Complain(absl::StrCat("there is no command '", words[0], "'",
                                 DidYouMean(words[0], names), "; kill9 --help lists them"));
  }
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    application_->parse(words);
  } catch (const CLI::ExtrasError&) {
    return Unexpected(application_->remaining(/*recurse=*/true));
  } catch (const CLI::ParseError& error) {
    return application_->exit(error) == 0 ? kExitPass : kExitUsage;
  } catch (const std::exception& error) {
    return Complain(error.what());
  }
  return exit_code_;
}

}  // namespace kill9
