#include "stress/command/arguments/options.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <set>
#include <type_traits>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "harness/base/text/wrap.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/base/text/nearest.h"
#include "stress/command/arguments/refusals/refusals.h"

namespace kill9 {
namespace {

// Checks a value, and tells it in the help.
template <typename IsFine>
CLI::Validator Validated(IsFine is_fine, const std::string& what, const std::string& in_help) {
  return CLI::Validator(
      [is_fine, what](std::string& text) {
        return is_fine(text) ? "" : absl::StrCat("'", text, "' is no ", what);
      },
      in_help);
}

template <typename Number>
CLI::Validator InRange(Number least, Number most) {
  const std::string range = std::is_integral_v<Number>
                                ? absl::StrCat("from ", least, " to ", most)
                                : absl::StrFormat("from %.10g to %.10g", static_cast<double>(least),
                                                  static_cast<double>(most));
  return Validated(
      [least, most](const std::string& text) {
        Number number;
        return IsNumber(text, &number) && number >= least && number <= most;
      },
      absl::StrCat(std::is_integral_v<Number> ? "whole number " : "number ", range), range);
}

// The end of a command's help.
std::string Footer(const std::vector<ExamplePage>& examples) {
  std::string text = examples.empty() ? "" : "Examples:\n";
  for (const auto& [line, what] : examples)
    absl::StrAppend(&text, "  ", line, "\n      ", what, "\n");
  absl::StrAppend(&text, text.empty() ? "" : "\n", "Exit codes:");
  for (const auto& [code, what] : kExitCodes) absl::StrAppend(&text, "\n  ", code, "  ", what);
  return text;
}

// Of two options that exclude each other the one that excludes several tells it.
class HelpFormatter : public CLI::Formatter {
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string text = CLI::Formatter::make_option_opts(option);
    const std::set<CLI::Option*> others = option->get_excludes();
    if (others.size() != 1 || (*others.begin())->get_excludes().size() == 1) return text;
    return text.substr(0, text.find(" Excludes: "));
  }
};

// What a shell has closed (2>&-) would else be the next file that is opened. A write of results
// fails as before; of errors nobody wants to hear.
void OccupyStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);  // the lowest that is free: fd
  }
}

// TEXT:one of map, cache is what is told of the values of an option that takes one of two words.
constexpr char kOneOf[] = "one of ";

std::string AllowedOf(const std::string& type) {
  const size_t colon = type.find(':');
  return colon == std::string::npos ? "" : type.substr(colon + 1);
}

}  // namespace

Option& Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}
Option& Option::Between(int least, int most) {
  option_->check(InRange(int64_t{least}, int64_t{most}));
  return *this;
}
Option& Option::Between(uint64_t least, uint64_t most) {
  option_->check(InRange(least, most));
  return *this;
}
Option& Option::Between(double least, double most) {
  option_->check(InRange(least, most));
  return *this;
}
Option& Option::Positive() {
  option_->check(Validated(
      [](const std::string& text) {
        double number;
        return IsNumber(text, &number) && number > 0;
      },
      "number above 0", "above 0"));
  return *this;
}
Option& Option::OneOf(const std::vector<std::string>& words) {
  option_->check(CLI::Validator(
      [words](std::string& text) {
        if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
        return ThereIsNo(text, words);
      },
      absl::StrCat(kOneOf, absl::StrJoin(words, ", "))));
  return *this;
}
Option& Option::ExistingFile() {
  option_->check(
      Validated([](const std::string& path) { return std::filesystem::is_regular_file(path); },
                "file that there is", ""));
  return *this;
}
Option& Option::ExistingFolder() {
  option_->check(
      Validated([](const std::string& path) { return std::filesystem::is_directory(path); },
                "folder that there is", ""));
  return *this;
}
bool Option::IsGiven() const { return option_->count() > 0; }
std::string Option::name() const { return option_->get_name(); }

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
Option& Option::Each() {
  option_->allow_extra_args(false);
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
Option& Option::TakenBefore(const std::string& how_to_write_it) {
  option_->check([how_to_write_it](const std::string&) { return how_to_write_it; }, "");
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
template Option Command::Add(const std::string&, std::vector<uint64_t>&, const std::string&);
template Option Command::Add(const std::string&, double&, const std::string&);

Option Command::AddFlag(const std::string& name, bool& value, const std::string& help) {
  CLI::Option* option = application_->add_flag(name, value, help);
  if (!group_.empty()) option->group(group_);
  return Option(option);
}

void Command::Example(const std::string& arguments, const std::string& what) {
  examples_->push_back(
      {absl::StrCat("kill9 ", application_->get_name(), arguments.empty() ? "" : " ", arguments),
       what});
}

void Command::OnCall(std::function<int()> action) {
  application_->callback([action = std::move(action), exit_code = exit_code_] {
    try {
      struct stat folder {};
      const int error = stat(".", &folder) == 0 ? 0 : errno;
      if (error == ENOENT || (error == 0 && folder.st_nlink == 0)) {
        throw UsageError("the current folder was removed: go to one that there is");
      }
      if (error != 0) {
        throw UsageError(absl::StrCat("the current folder cannot be used: ", std::strerror(error)));
      }
      *exit_code = action();
    } catch (const UsageError& error) {
      throw CLI::ValidationError(error.what());
    }
  });
}

CommandLine::CommandLine(const std::string& what, const std::string& version, size_t columns)
    : what_(what),
      version_(version),
      columns_(columns),
      application_(std::make_unique<CLI::App>(what)),
      exit_code_(kExitPass) {
  application_->name("kill9");
  application_->formatter(std::make_shared<HelpFormatter>());
  application_->set_version_flag("--version", version);
  application_->set_config("--config", "", "a file of options: [torture], below it seconds=3");
  application_->allow_config_extras(CLI::config_extras_mode::error);
  application_->require_subcommand(1);
}
CommandLine::~CommandLine() = default;

Command CommandLine::Add(const std::string& name, const std::string& what) {
  return Command(application_->add_subcommand(name, what), &exit_code_, &examples_[name]);
}

Command CommandLine::Itself() { return Command(application_.get(), &exit_code_, &examples_[""]); }

void CommandLine::Offer(const std::string& option, std::vector<std::string> words) {
  offered_[option] = std::move(words);
}

bool CommandLine::Has(const std::string& command, const std::string& option) const {
  for (const CLI::App* known : application_->get_subcommands({})) {
    if (known->get_name() == command) return known->get_option_no_throw(option) != nullptr;
  }
  return false;
}

int CommandLine::Complain(const std::string& message) const {
  std::cerr << Wrap("kill9: " + message, columns_) << "\n";
  return kExitUsage;
}

// What CLI11 found wrong, as all else is said: by whom, and where there is more.
int CommandLine::Refuse(const std::string& name, const std::string& message) const {
  const std::string who = name == "kill9" ? name : "kill9 " + name;
  std::cerr << Wrap(absl::StrCat(who, ": ", message), columns_) << "\n"
            << who << " --help lists what there is\n";
  return kExitUsage;
}

// A file of options has one, or a command, that there is not. CLI11 names it last, as
// torture.secnds; a command that begins there is torture.++.
std::string CommandLine::WrongInConfig(const std::string& message) const {
  const std::string item = message.substr(message.rfind(' ') + 1);
  const std::vector<std::string> parts = absl::StrSplit(item, absl::MaxSplits('.', 1));
  std::vector<std::string> commands, options;
  for (const CLI::App* command : application_->get_subcommands({})) {
    commands.push_back(command->get_name());
    if (command->get_name() != parts[0]) continue;
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) options.push_back(name);
    }
  }
  if (parts.size() < 2) return absl::StrCat("--config: '", item, "' stands below no command");
  if (options.empty()) {
    return absl::StrCat("--config: there is no command '", parts[0], "'",
                        DidYouMean(parts[0], commands));
  }
  return absl::StrCat("--config: ", parts[0], " has no option '", parts[1], "'",
                      DidYouMean(parts[1], options));
}

// Words that are no option of the command that was called.
int CommandLine::Unexpected(const std::vector<std::string>& words) const {
  const CLI::App* command = application_.get();
  for (const CLI::App* called : application_->get_subcommands()) command = called;
  const std::string name = command == application_.get() ? "kill9" : "kill9 " + command->get_name();
  for (const std::string& word : words) {
    const std::string option = word.substr(0, word.find('='));
    if (command == application_.get() || !option.starts_with("--") ||
        application_->get_option_no_throw(option) == nullptr) {
      continue;
    }
    return Refuse(command->get_name(), option +
                                           " is an option of kill9 itself: it stands before "
                                           "the command, with a = before its value");
  }
  std::cerr << Wrap(UnknownWords(*command, name, "it", words), columns_) << "\n"
            << name << " --help lists what there is\n";
  return kExitUsage;
}

// What must be given, and was not: by its name, and what it is.
std::string CommandLine::Missing(const std::string& command, const std::string& message) const {
  const std::string option = message.substr(0, message.find(' '));
  for (const CLI::App* one : application_->get_subcommands({})) {
    if (one->get_name() != command) continue;
    for (const CLI::Option* known : one->get_options()) {
      if (known->get_name() == option) return message + ": " + known->get_description();
    }
  }
  return message;
}

// Of the words before a command's name, and of those behind it.
std::string CommandLine::WithoutValue(const std::vector<std::string>& words) const {
  for (size_t n = 0; n < words.size(); ++n) {
    const std::vector<CLI::App*> commands = application_->get_subcommands(
        [&](const CLI::App* command) { return command->get_name() == words[n]; });
    if (commands.empty()) continue;
    const auto name = words.begin() + static_cast<std::ptrdiff_t>(n);
    const std::string before = MissingValue(*application_, {words.begin(), name});
    return before.empty() ? MissingValue(*commands[0], {name + 1, words.end()}) : before;
  }
  return MissingValue(*application_, words);
}

CommandPage CommandLine::PageOf(const CLI::App& command) const {
  CommandPage page;
  page.name = command.get_name();
  page.what = command.get_description();
  if (const auto found = examples_.find(page.name); found != examples_.end()) {
    page.examples = found->second;
  }
  for (const CLI::Option* option : command.get_options()) {
    OptionPage described;
    described.name = option->get_name();
    described.group = option->get_group();
    described.what = option->get_description();
    if (!option->get_lnames().empty()) described.name = "--" + option->get_lnames()[0];
    described.default_value = option->get_default_str();
    described.is_required = option->get_required();
    if (option->get_items_expected_max() > 0) {
      const std::string type = option->get_type_name();
      described.value = type.empty() ? "TEXT" : type.substr(0, type.find(':'));
      const std::string allowed = AllowedOf(type);
      if (allowed.starts_with(kOneOf)) {
        described.words = absl::StrSplit(allowed.substr(std::strlen(kOneOf)), ", ");
      } else {
        described.range = allowed;
      }
      const std::string plain = described.name.substr(described.name.find_first_not_of('-'));
      for (const std::string& known : {absl::StrCat(page.name, " ", plain), plain}) {
        const auto offered = offered_.find(known);
        if (described.words.empty() && offered != offered_.end()) described.words = offered->second;
      }
    }
    for (const CLI::Option* other : option->get_excludes()) {
      described.excludes.push_back(other->get_name());
    }
    page.options.push_back(std::move(described));
  }
  return page;
}

ProgramPage CommandLine::Page() const {
  ProgramPage page;
  page.what = what_;
  page.version = version_;
  page.itself = PageOf(*application_);
  for (const CLI::App* command : application_->get_subcommands({})) {
    page.commands.push_back(PageOf(*command));
  }
  return page;
}

// help --as=FORM [COMMAND]. REQUIRES: `words` are what follows help.
int CommandLine::Help(std::vector<std::string> words) {
  const std::string form = words[0].substr(words[0].find('=') + 1);
  const ProgramPage page = Page();
  const std::vector<std::string> shells = {"bash", "zsh", "fish"};
  const bool is_shell = std::find(shells.begin(), shells.end(), form) != shells.end();
  if (!is_shell && form != "man") {
    return Complain("help --as takes man, bash, zsh or fish");
  }
  if (words.size() > (is_shell ? 1 : 2)) {
    return Complain(is_shell ? "the completions are of all commands" : "help takes one command");
  }
  if (is_shell) {
    std::cout << (form == "bash"  ? BashCompletion(page)
                  : form == "zsh" ? ZshCompletion(page)
                                  : FishCompletion(page));
    return kExitPass;
  }
  if (words.size() == 1) {
    std::cout << ManPage(page);
    return kExitPass;
  }
  for (const CommandPage& command : page.commands) {
    if (command.name != words[1]) continue;
    std::cout << ManPage(page, command);
    return kExitPass;
  }
  return Complain(absl::StrCat("there is no command '", words[1], "'"));
}

int CommandLine::Run(int argc, char** argv) {
  OccupyStandardStreams();
  const int exit_code = Call(argc, argv);
  const absl::Status written = FinishStandardOutput();
  if (written.ok()) return exit_code;
  return WorseExitCode(exit_code, Complain(std::string(written.message())));
}

int CommandLine::Call(int argc, char** argv) {
  std::vector<std::string> names;
  for (CLI::App* command : application_->get_subcommands({})) {
    names.push_back(command->get_name());
    CheckOptions(*command);
    command->footer(Footer(examples_[command->get_name()]));
  }
  application_->footer(
      "kill9 help COMMAND tells a command's options, with examples; kill9 help --as=man [COMMAND] "
      "is\n"
      "a manual page, and --as=bash, --as=zsh, --as=fish are completions for a shell.");
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    const auto form = std::ranges::find_if(
        words, [](const std::string& word) { return word.starts_with("--as="); });
    if (form != words.end()) {
      std::rotate(words.begin(), form, form + 1);
      return Help(std::move(words));
    }
    if (words.size() > 1) return Complain("help takes one command");
    words.emplace_back("--help");
  }
  const bool is_command = words.empty() || words[0].starts_with("-") ||
                          std::find(names.begin(), names.end(), words[0]) != names.end();
  if (!is_command) {
    const std::string nearest = DidYouMean(words[0], names);
    return Complain(absl::StrCat("there is no command '", words[0], "'", nearest,
                                 nearest.empty() ? ";" : "", " kill9 --help lists them"));
  }
  const auto named = std::ranges::find_first_of(words, names);
  const std::string name = named == words.end() ? "kill9" : *named;
  if (const std::string what = WithoutValue(words); !what.empty()) return Refuse(name, what);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    application_->parse(words);
  } catch (const CLI::ExtrasError&) {
    return Unexpected(application_->remaining(/*recurse=*/true));
  } catch (const CLI::ConversionError& error) {
    // Of a flag: an option's value is looked at by itself.
    return Refuse(name,
                  absl::StrCat(std::string(absl::StripPrefix(error.what(), "Could not convert: ")),
                               ": a flag has no value but true or false"));
  } catch (const CLI::CallForHelp&) {
    std::cout << Wrap(application_->help(), columns_);
    return kExitPass;
  } catch (const CLI::ConfigError& error) {
    return Refuse("kill9", WrongInConfig(error.what()));
  } catch (const CLI::FileError& error) {
    const std::string what = error.what();  // "PATH was not readable (missing?)"
    return Refuse("kill9", absl::StrCat("--config: cannot read '",
                                        what.substr(0, what.rfind(" was not")), "'"));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    const bool is_again = absl::StrContains(what, "At Most 1 required");
    const std::string option = what.substr(0, what.find(':'));
    if (is_again) return Refuse(name, option + " is given more than once, and takes one value");
    const std::vector<std::string> parts = absl::StrSplit(what, ' ');
    const bool is_short = absl::StrContains(what, ": At least ") && parts.size() > 3;
    return Refuse(name, is_short ? absl::StrCat(option, " takes ", parts[3], " values") : what);
  } catch (const CLI::RequiredError& error) {
    std::vector<std::string> unknown = application_->remaining(/*recurse=*/true);
    std::erase(unknown, "--");
    if (!unknown.empty()) return Unexpected(unknown);
    return Refuse(name, name == "kill9" ? "it takes a command" : Missing(name, error.what()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return application_->exit(error);
    return Refuse(name, error.what());
  } catch (const std::exception& error) {
    return Complain(error.what());
  }
  return exit_code_;
}

}  // namespace kill9
