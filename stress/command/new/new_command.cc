// kill9 new: a skeleton of an object of one's own, which passes, and with a fault that is found.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "harness/base/text/shell_word.h"
#include "harness/base/text/write_text.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/choices.h"
#include "stress/command/commands.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

// By "LANGUAGE/FILE", of a plugin's source "LANGUAGE/KIND/FILE"; or the name of a page that
// languages share.
constexpr std::pair<std::string_view, std::string_view> kTemplates[] = {
#include "new_templates.inc"
};

// What CMake calls targets of its own, and words that a file of the skeleton declares already.
constexpr std::string_view kTakenInC =
    "all clean depend edit_cache help install install_local install_strip list_install_components "
    "package package_source preinstall rebuild_cache test";
constexpr std::string_view kTakenInCpp =
    "all cell clean counter_sum depend edit_cache entry help install install_local install_strip "
    "items lent list_install_components members order package package_source preinstall "
    "rebuild_cache test";
// Of a class; java itself is where its packages are.
constexpr std::string_view kTakenInJava =
    "abstract assert boolean break byte case catch char class const continue default do double "
    "else "
    "enum extends false final finally float for goto if implements import instanceof int interface "
    "java long native new null package permits private protected public record return sealed short "
    "static strictfp super switch synchronized this throw throws transient true try var void "
    "volatile while yield";
// A module of this name would be the file itself, for what it imports, too.
constexpr std::string_view kTakenInPython =
    "abc array ast bisect builtins codecs collections contextlib copy copyreg encodings enum "
    "errno fcntl functools genericpath importlib inspect io itertools json keyword linecache "
    "marshal math operator os posix posixpath re reprlib select selectors signal site socket stat "
    "string struct sys time token tokenize types typing warm warnings weakref zipimport";

struct Language {
  std::string_view name, title;
  std::vector<std::string_view> build;  // lines of the shell
  std::string_view run;                 // a worker's command line; empty: it is a plugin
  std::string_view taken = "";          // names that an object cannot have, with blanks between
  bool forks = false;                   // a worker that is a fork server
};

const std::vector<Language>& Languages() {
  static const auto* const languages = new std::vector<Language>{
      {"c++",
       "C++",
       {"g++ -std=c++20 -g -O1 -shared -fPIC -pthread@INCLUDE@ -o lib@NAME@.so @NAME@.cc",
        "g++ -std=c++20 -g -O1 -shared -fPIC -pthread@INCLUDE@ -DFAULTY -o lib@NAME@_faulty.so "
        "@NAME@.cc"},
       "",
       kTakenInCpp},
      {"c",
       "C",
       {"gcc -std=c11 -g -O1 -shared -fPIC -pthread@INCLUDE@ -o lib@NAME@.so @NAME@.c",
        "gcc -std=c11 -g -O1 -shared -fPIC -pthread@INCLUDE@ -DFAULTY -o lib@NAME@_faulty.so "
        "@NAME@.c"},
       "",
       kTakenInC},
      {"rust", "Rust", {"rustc -O @NAME@.rs"}, "./@NAME@"},
      {"java",
       "Java",
       {"javac @NAME@.java"},
       "java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp . @NAME@",
       kTakenInJava},
      {"python", "Python", {}, "python3 warm.py @NAME@.py", kTakenInPython, true},
      {"ruby", "Ruby", {}, "ruby @NAME@.rb"},
      {"php", "PHP", {}, "php @NAME@.php"},
      {"node", "JavaScript (Node)", {}, "node @NAME@.js"},
      {"perl", "Perl", {}, "perl @NAME@.pl"},
  };
  return *languages;
}

std::vector<std::string> LanguageNames() {
  std::vector<std::string> names;
  for (const Language& language : Languages()) names.emplace_back(language.name);
  return names;
}

// What an object can be, and how it is called in its page; workers are maps.
constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
    {"map", "A map"},
    {"counter", "A counter"},
    {"set", "A set"},
    {"queue", "A queue"},
    {"list", "A list"},
    {"mutex", "A robust mutex"},
    {"semaphore", "A semaphore of two permits"},
    {"condition", "A condition"},
    {"lease", "A lock that is lent for a term"},
};

std::vector<std::string> KindNames() {
  std::vector<std::string> names;
  for (const auto& [name, title] : kKinds) names.emplace_back(name);
  return names;
}

struct Flags {
  std::string language = "c++";
  std::string kind = "map";
  std::string path;
};

// Where the headers for objects are, unless the compiler finds them anyway: installed beside this
// program, or in the tree that it was built in.
std::string IncludeOption() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const char* beside : {"../include", "../../include"}) {
    const fs::path folder = (program / beside).lexically_normal();
    if (!fs::exists(folder / "kill9" / "kill9.h", ignored)) continue;
    const bool is_found = folder == "/usr/include" || folder == "/usr/local/include";
    return is_found ? "" : " -I " + ShellWord(folder.string());
  }
  return "";
}

// An object's name, which is that of its files, too: small letters, digits and _.
void RequireName(const std::string& name, const Language& language) {
  const auto is_fit = [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
  };
  const bool is_name = !name.empty() && name.size() <= 31 && std::islower(name[0]) != 0 &&
                       std::all_of(name.begin(), name.end(), is_fit);
  if (!is_name) {
    throw UsageError(absl::StrCat("'", name,
                                  "' is no name: it takes at most 31 small letters, digits and _, "
                                  "a letter first"));
  }
  if (FindDesign(name) != nullptr) {
    throw UsageError(absl::StrCat("'", name, "' is a design of kill9's own: take another name"));
  }
  const std::vector<std::string> taken = absl::StrSplit(std::string(language.taken), ' ');
  if (std::find(taken.begin(), taken.end(), name) != taken.end()) {
    throw UsageError(absl::StrCat("'", name, "' means something else to ",
                                  std::string(language.title), ": take another name"));
  }
}

// my_map: MyMap.
std::string ClassName(const std::string& name) {
  std::string text;
  bool is_first = true;
  for (const char c : name) {
    if (c != '_') text += is_first ? static_cast<char>(std::toupper(c)) : c;
    is_first = c == '_';
  }
  return text;
}

class Skeleton {
 public:
  Skeleton(const Language& language, std::string kind, std::string name)
      : language_(language),
        kind_(std::move(kind)),
        name_(std::move(name)),
        include_(IncludeOption()) {}

  absl::Status WriteInto(const fs::path& folder) const {
    for (const auto& [of_template, text] : kTemplates) {
      const std::string file = FileOf(of_template);
      if (file.empty()) continue;
      const std::string path = folder / file;
      if (absl::Status status = WriteText(Filled(text), path, "the file"); !status.ok()) {
        return status;
      }
      std::cout << path << "\n";
    }
    return absl::OkStatus();
  }
  std::string Filled(std::string_view text) const {
    std::string build;
    for (const std::string_view line : language_.build) {
      absl::StrAppend(&build, "    ", std::string(line), "\n");
    }
    const std::string with_lines =
        absl::StrReplaceAll(std::string(text), {{"@BUILD@", build},
                                                {"@OPTION@", Option()},
                                                {"@RUN@", std::string(language_.run)},
                                                {"@KIND@", Title()},
                                                {"@LANGUAGE@", std::string(language_.title)}});
    return absl::StrReplaceAll(
        with_lines, {{"@NAME@", name_}, {"@CLASS@", ClassName(name_)}, {"@INCLUDE@", include_}});
  }
  std::string_view page() const {
    return language_.run.empty() ? "README_of_a_plugin.md" : "README_of_a_worker.md";
  }
  // The file in the skeleton's folder that a template becomes; empty: none of this language.
  std::string FileOf(std::string_view of_template) const {
    if (of_template == page()) return "README.md";
    const std::string folder = absl::StrCat(std::string(language_.name), "/");
    if (!of_template.starts_with(folder)) return "";
    std::string file(of_template.substr(folder.size()));
    if (const size_t slash = file.find('/'); slash != std::string::npos) {
      if (file.substr(0, slash) != kind_) return "";
      file.erase(0, slash + 1);
    }
    return file.starts_with("name.") ? name_ + file.substr(4) : file;
  }

 private:
  std::string Option() const { return language_.forks ? "--fork-server" : "--worker"; }
  std::string Title() const {
    return std::string(std::find_if(std::begin(kKinds), std::end(kKinds), [this](const auto& kind) {
                         return kind.first == kind_;
                       })->second);
  }

  const Language& language_;
  std::string kind_;
  std::string name_;
  std::string include_;
};

int New(const Flags& flags) {
  fs::path folder = fs::path(flags.path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // with a slash at the end
  const std::string name = folder.filename().string();
  const auto language =
      std::find_if(Languages().begin(), Languages().end(),
                   [&flags](const Language& one) { return one.name == flags.language; });
  RequireName(name, *language);
  if (!language->run.empty() && flags.kind != "map") {
    throw UsageError(absl::StrCat(
        "--kind is of plugins, in c++ or c; a worker begins as a map: what others are asked is in ",
        "docs/bring_your_own.md"));
  }
  const Skeleton skeleton(*language, flags.kind, name);
  std::error_code error;
  // False: it is there, whatever it is.
  if (!fs::create_directory(folder, error)) {
    throw UsageError(absl::StrCat("cannot make the folder ", folder.string(), ": ",
                                  error ? error.message() : "it is there already"));
  }
  const absl::Status written = skeleton.WriteInto(folder);
  if (!written.ok()) {
    fs::remove_all(folder, error);  // half of it would be refused the next time
    throw UsageError(std::string(written.message()));
  }
  std::cout << "\nnext, as its README.md says:\n    cd " << ShellWord(folder.string()) << "\n"
            << skeleton.Filled("@BUILD@")
            << skeleton.Filled(language->run.empty()
                                   ? "    kill9 try ./lib@NAME@.so\n"
                                   : "    kill9 try @OPTION@='@RUN@' --model=map\n");
  return kExitPass;
}

}  // namespace

void AddNewCommand(CommandLine& line) {
  Command command = line.Add(
      "new", "write a skeleton of an object of your own, which passes, and a fault that is found");
  auto flags = std::make_shared<Flags>();
  command.Add("folder", flags->path, "to be made; its name is the object's").Required();
  command
      .Add("--lang", flags->language,
           "C and C++ are plugins, called in the process; the others are workers, which answer "
           "lines of JSON")
      .OneOf(LanguageNames())
      .ShowDefault();
  command.Add("--kind", flags->kind, "what the object is; of c++ and c")
      .OneOf(KindNames())
      .ShowDefault();
  command.Example("my_map", "a map in C++, its README, and what builds and tests it");
  command.Example("--lang=c --kind=queue my_queue", "a queue in C");
  command.Example("--lang=python my_map", "a worker of some twenty lines");
  command.OnCall([flags] { return New(*flags); });
}

}  // namespace kill9
