#include "stress/command/arguments/pages.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "harness/base/text/shell_word.h"

namespace kill9 {
namespace {

// ---- Manual pages ----

// Text of man(7): no word of it is a request, and a hyphen is one that can be copied.
std::string Roff(absl::string_view text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"},
                                                   {"-", "\\-"},
                                                   {"'", "\\(aq"},
                                                   {"\"", "\\(dq"},
                                                   {"^", "\\(ha"},
                                                   {"~", "\\(ti"},
                                                   {"`", "\\(ga"}});
  if (escaped.starts_with('.')) escaped.insert(0, "\\&");
  return escaped;
}

// The day of the build, as reproducible builds give it (SOURCE_DATE_EPOCH), or today.
std::string Day() {
  const char* given = std::getenv("SOURCE_DATE_EPOCH");
  const time_t seconds = given != nullptr ? std::strtoll(given, nullptr, 10) : std::time(nullptr);
  struct tm parts;
  gmtime_r(&seconds, &parts);
  char text[16];
  strftime(text, sizeof(text), "%Y-%m-%d", &parts);
  return text;
}

std::string Heading(const std::string& name, const ProgramPage& program, const std::string& what) {
  const std::string version = program.version.substr(0, program.version.find(" ("));
  return absl::StrCat(".TH ", absl::AsciiStrToUpper(Roff(name)), " 1 ", Day(), " \"", Roff(version),
                      "\" \"User Commands\"\n.SH NAME\n", Roff(name), " \\- ", Roff(what), "\n");
}

std::string Tagged(const std::string& tag, const std::string& text) {
  return absl::StrCat(".TP\n.B ", tag, "\n", Roff(text), "\n");
}

// What holds of an option besides what its help says, as a sentence: "from 1 to 60; default: 4".
std::string Bounds(const OptionPage& option) {
  std::vector<std::string> parts;
  if (option.is_required) parts.push_back("must be given");
  if (!option.range.empty()) parts.push_back(option.range);
  if (!option.words.empty()) parts.push_back(absl::StrJoin(option.words, ", "));
  if (!option.default_value.empty()) parts.push_back("default: " + option.default_value);
  if (!option.excludes.empty()) {
    parts.push_back("not with " + absl::StrJoin(option.excludes, ", "));
  }
  return absl::StrJoin(parts, "; ");
}

std::string OptionText(const OptionPage& option) {
  std::string tag = Roff(option.name);
  const bool is_named = option.name.starts_with("-");
  if (!option.value.empty() && is_named) absl::StrAppend(&tag, "=\\fI", option.value, "\\fR");
  std::string text = Tagged(tag, option.what);
  if (const std::string bounds = Bounds(option); !bounds.empty()) {
    absl::StrAppend(&text, ".br\n(", Roff(bounds), ")\n");
  }
  return text;
}

// Options by their titles, in the order in which these come first.
std::string OptionsText(const CommandPage& command) {
  std::vector<std::string> groups;
  for (const OptionPage& option : command.options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) {
      groups.push_back(option.group);
    }
  }
  std::string text = ".SH OPTIONS\n";
  for (const std::string& group : groups) {
    if (groups.size() > 1) absl::StrAppend(&text, ".SS \"", Roff(group), "\"\n");
    for (const OptionPage& option : command.options) {
      if (option.group == group) absl::StrAppend(&text, OptionText(option));
    }
  }
  return text;
}

std::string ExitStatus() {
  std::string text = ".SH \"EXIT STATUS\"\n";
  for (const auto& [code, what] : kExitCodes)
    absl::StrAppend(&text, Tagged(absl::StrCat(code), what));
  return text;
}

// ---- Completions ----

// In fish a backslash is one inside of quotes, too.
std::string FishQuoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

bool IsNamed(const OptionPage& option) { return option.name.starts_with("--"); }

// `--variant=` of those that take a value.
std::string BashWords(const CommandPage& command) {
  std::vector<std::string> words;
  for (const OptionPage& option : command.options) {
    if (IsNamed(option)) words.push_back(option.name + (option.value.empty() ? "" : "="));
  }
  return absl::StrJoin(words, " ");
}

std::vector<std::string> CommandNames(const ProgramPage& program) {
  std::vector<std::string> names;
  for (const CommandPage& command : program.commands) names.push_back(command.name);
  return names;
}

// Of _arguments: '--model=[what the programs share]:TEXT:(map cache)'.
std::string ZshSpecification(const OptionPage& option) {
  const std::string what =
      absl::StrReplaceAll(option.what, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
  const std::string action =
      option.words.empty() ? "_files" : "_sequence compadd - " + absl::StrJoin(option.words, " ");
  if (!IsNamed(option)) return ShellQuoted("*:" + option.name + ":_files");
  if (option.value.empty()) return ShellQuoted(absl::StrCat(option.name, "[", what, "]"));
  return ShellQuoted(absl::StrCat("*", option.name, "=[", what, "]:", option.value, ":", action));
}

std::string ZshArguments(const CommandPage& command) {
  std::string text;
  for (const OptionPage& option : command.options) {
    absl::StrAppend(&text, " \\\n        ", ZshSpecification(option));
  }
  return text;
}

std::string FishOption(const OptionPage& option, const std::string& condition) {
  if (!IsNamed(option)) return "";
  std::string line = absl::StrCat("complete -c kill9 -n ", FishQuoted(condition), " -l ",
                                  option.name.substr(2), " -d ", FishQuoted(option.what));
  if (!option.value.empty()) absl::StrAppend(&line, option.words.empty() ? " -r -F" : " -x");
  if (!option.words.empty()) {
    absl::StrAppend(
        &line, " -a ",
        FishQuoted(absl::StrCat("(__kill9_listed ", absl::StrJoin(option.words, " "), ")")));
  }
  return line + "\n";
}

}  // namespace

std::string ManPage(const ProgramPage& program) {
  std::string text = Heading("kill9", program, program.what.substr(program.what.find(": ") + 2));
  absl::StrAppend(
      &text, ".SH SYNOPSIS\n.B kill9\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n");
  absl::StrAppend(&text, ".SH COMMANDS\n");
  for (const CommandPage& command : program.commands) {
    absl::StrAppend(&text,
                    Tagged(absl::StrCat("kill9\\-", Roff(command.name), "(1)"), command.what));
  }
  absl::StrAppend(&text, OptionsText(program.itself), ExitStatus());
  return text;
}

std::string ManPage(const ProgramPage& program, const CommandPage& command) {
  std::string text = Heading("kill9-" + command.name, program, command.what);
  absl::StrAppend(&text, ".SH SYNOPSIS\n.B kill9 ", Roff(command.name), "\n[\\fIOPTIONS\\fR]");
  for (const OptionPage& option : command.options) {
    if (!option.name.starts_with("-")) absl::StrAppend(&text, " \\fI", Roff(option.name), "\\fR");
  }
  absl::StrAppend(&text, "\n", OptionsText(command));
  if (!command.examples.empty()) absl::StrAppend(&text, ".SH EXAMPLES\n");
  for (const auto& [line, what] : command.examples) {
    absl::StrAppend(&text, Tagged(Roff(line), what));
  }
  absl::StrAppend(&text, ExitStatus(), ".SH \"SEE ALSO\"\n.BR kill9 (1)\n");
  return text;
}

std::string BashCompletion(const ProgramPage& program) {
  std::string text =
      "# Completions of kill9 for bash, made by `kill9 help --as=bash`.\n"
      "_kill9() {\n"
      "  local line=${COMP_LINE:0:COMP_POINT} command= words= word n\n"
      "  word=${line##*[[:space:]]}\n"
      "  for ((n = 1; n < COMP_CWORD; ++n)); do\n"
      "    case ${COMP_WORDS[n]} in\n      ";
  absl::StrAppend(&text, absl::StrJoin(CommandNames(program), " | "),
                  ") command=${COMP_WORDS[n]}; break ;;\n    esac\n  done\n"
                  "  COMPREPLY=()\n"
                  "  if [[ $word == --*=* ]]; then\n"
                  "    case $command${word%%=*} in\n");
  std::string options;
  const auto add = [&](const CommandPage& command, const std::string& name, bool has_commands) {
    for (const OptionPage& option : command.options) {
      if (!IsNamed(option) || option.words.empty()) continue;
      absl::StrAppend(&text, "      ", name, option.name,
                      ") words=", ShellQuoted(absl::StrJoin(option.words, " ")), " ;;\n");
    }
    absl::StrAppend(&options, "    ", name.empty() ? "''" : name, ") words=",
                    ShellQuoted(absl::StrCat(
                        has_commands ? absl::StrJoin(CommandNames(program), " ") + " " : "",
                        BashWords(command))),
                    " ;;\n");
  };
  add(program.itself, "", true);
  for (const CommandPage& command : program.commands) add(command, command.name, false);
  absl::StrAppend(
      &text,
      "    esac\n"
      "    # Where = ends a word (COMP_WORDBREAKS), what stands before it is not repeated.\n"
      "    local value=${word#*=} before=\n"
      "    [[ $COMP_WORDBREAKS == *=* ]] || before=${word%%=*}=\n"
      "    before+=${value%\"${value##*,}\"}\n"
      "    if [[ $words ]]; then\n"
      "      mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- \"${value##*,}\")\n"
      "    else\n"
      "      compopt -o default 2>/dev/null\n"
      "    fi\n"
      "    return 0\n"
      "  fi\n"
      "  case $command in\n",
      options,
      "  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
      "  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then\n"
      "    compopt -o nospace 2>/dev/null\n"
      "  elif [[ ${#COMPREPLY[@]} == 0 ]]; then\n"
      "    compopt -o default 2>/dev/null\n"
      "  fi\n"
      "  return 0\n"
      "}\n"
      "complete -F _kill9 kill9\n");
  return text;
}

std::string ZshCompletion(const ProgramPage& program) {
  std::string text =
      "#compdef kill9\n"
      "# Completions of kill9 for zsh, made by `kill9 help --as=zsh`.\n"
      "_kill9() {\n"
      "  local curcontext=$curcontext state line\n"
      "  local -a commands\n"
      "  typeset -A opt_args\n"
      "  commands=(";
  for (const CommandPage& command : program.commands) {
    const std::string what = absl::StrReplaceAll(command.what, {{":", "\\:"}});
    absl::StrAppend(&text, "\n    ", ShellQuoted(absl::StrCat(command.name, ":", what)));
  }
  absl::StrAppend(&text, ")\n  _arguments -C", ZshArguments(program.itself),
                  " \\\n        '1:command:->command' '*::argument:->argument' && return\n"
                  "  case $state in\n"
                  "    command) _describe command commands ;;\n"
                  "    argument)\n"
                  "      case $words[1] in\n");
  for (const CommandPage& command : program.commands) {
    absl::StrAppend(&text, "      ", command.name, ")\n        _arguments", ZshArguments(command),
                    " ;;\n");
  }
  absl::StrAppend(
      &text,
      "      esac ;;\n"
      "  esac\n"
      "}\n"
      "if [[ $funcstack[1] == _kill9 ]]; then _kill9 \"$@\"; else compdef _kill9 kill9; fi\n");
  return text;
}

std::string FishCompletion(const ProgramPage& program) {
  std::string text =
      "# Completions of kill9 for fish, made by `kill9 help --as=fish`.\n"
      "# Words that are written one after the other, with commas between.\n"
      "function __kill9_listed\n"
      "  set -l before (commandline -ct | string replace -rf '^(--[^=]*=)?(.*,)?[^,]*$' '$2')\n"
      "  printf \"$before%s\\n\" $argv\n"
      "end\n"
      "complete -c kill9 -f\n";
  const std::string none =
      "not __fish_seen_subcommand_from " + absl::StrJoin(CommandNames(program), " ");
  for (const CommandPage& command : program.commands) {
    absl::StrAppend(&text, "complete -c kill9 -n ", FishQuoted(none), " -a ", command.name, " -d ",
                    FishQuoted(command.what), "\n");
  }
  for (const OptionPage& option : program.itself.options) {
    absl::StrAppend(&text, FishOption(option, none));
  }
  for (const CommandPage& command : program.commands) {
    for (const OptionPage& option : command.options) {
      absl::StrAppend(&text, FishOption(option, "__fish_seen_subcommand_from " + command.name));
    }
  }
  return text;
}

}  // namespace kill9
