// Rules that follow the braces of sources: types defined twice, functions that are too long.
#ifndef KILL9_PROPERTY_TIDY_SCOPES_H_
#define KILL9_PROPERTY_TIDY_SCOPES_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_join.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {

inline constexpr size_t kFunctionLinesMost = 80;

// What a brace of a source opens. Clang-format's layout is relied on for nothing.
struct Scope {
  enum class Kind { kNamespace, kType, kFunction, kOther };
  Kind kind;
  std::string name;  // of a namespace "" if it has none; of a function nothing
  size_t begin;
  size_t end;
  std::vector<std::string> outer;  // the names of the namespaces around it
  Kind outer_kind;                 // of the scope just around it
};

namespace internal {

// What the text between the last ';', '{' or '}' and a '{' says about what the brace opens.
inline Scope Opened(std::string_view head, Scope::Kind outer) {
  Scope scope{Scope::Kind::kOther, "", 0, 0, {}, outer};
  if (outer != Scope::Kind::kNamespace && outer != Scope::Kind::kType) return scope;
  std::vector<Word> words = WordsOf(head);
  const auto is_type_word = [](const Word& word) {
    return word.text == "struct" || word.text == "class" || word.text == "union" ||
           word.text == "enum";
  };
  if (!words.empty() && words.front().text == "inline") words.erase(words.begin());
  if (!words.empty() && words.front().text == "namespace") {
    scope.kind = Scope::Kind::kNamespace;
    if (words.size() > 1)
      scope.name =
          head.substr(words[1].at, words.back().at + words.back().text.size() - words[1].at);
    return scope;
  }
  int parentheses = 0;
  int angles = 0;
  for (size_t w = 0, i = 0; i < head.size(); ++i) {
    parentheses += head[i] == '(';
    parentheses -= head[i] == ')';
    angles += head[i] == '<';
    angles -= head[i] == '>';
    while (w < words.size() && words[w].at < i) ++w;
    if (w == words.size() || words[w].at != i || !is_type_word(words[w])) continue;
    if (parentheses > 0 || angles > 0) continue;
    // Past attributes, alignas(...) and the second word of "enum class".
    size_t name = w + 1;
    while (name < words.size() && (is_type_word(words[name]) || words[name].text == "alignas")) {
      const size_t close = words[name].text == "alignas" ? head.find(')', words[name].at) : 0;
      do ++name;
      while (name < words.size() && words[name].at < close);
    }
    if (name == words.size()) return scope;
    const size_t after = head.find_first_not_of(" \n", words[name].at + words[name].text.size());
    const std::string_view rest = after == head.npos ? "" : head.substr(after);
    if (rest.empty() || rest.starts_with("final") || (rest[0] == ':' && !rest.starts_with("::"))) {
      scope.kind = Scope::Kind::kType;
      scope.name = words[name].text;
      return scope;
    }
    if (rest.starts_with("::") || rest[0] == '<') {  // a member, a specialisation
      scope.kind = Scope::Kind::kType;
      return scope;
    }
    break;
  }
  if (Contains(head, '(')) scope.kind = Scope::Kind::kFunction;
  return scope;
}

}  // namespace internal

// All scopes of a source in the order of their ends.
inline std::vector<Scope> ScopesOf(const File& file) {
  std::vector<Scope> closed;
  std::vector<Scope> open;
  std::string code = file.code;
  bool directive = false;
  for (size_t i = 0; i < code.size(); ++i) {  // the preprocessor's lines are no code here
    if (code[i] == '#') directive = true;
    if (code[i] == '\n' && (i == 0 || code[i - 1] != '\\')) directive = false;
    if (directive && code[i] != '\n') code[i] = ' ';
  }
  size_t head = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i] == ';') head = i + 1;
    if (code[i] == '{') {
      const auto outer = open.empty() ? Scope::Kind::kNamespace : open.back().kind;
      Scope scope = internal::Opened(std::string_view(code).substr(head, i - head), outer);
      scope.begin = i;
      for (const Scope& around : open) {
        if (around.kind == Scope::Kind::kNamespace) scope.outer.push_back(around.name);
      }
      open.push_back(std::move(scope));
      head = i + 1;
    }
    if (code[i] == '}' && !open.empty()) {
      open.back().end = i;
      closed.push_back(std::move(open.back()));
      open.pop_back();
      head = i + 1;
    }
  }
  return closed;
}

// Two definitions of one type of kill9:: are undefined behaviour if one program has both. Types of
// unnamed namespaces count for their own file.
inline Findings TypesDefinedTwice(const Tree& tree) {
  Findings findings;
  std::map<std::string, std::string> first;  // the file of each type
  for (const auto& [path, file] : tree) {
    if (!IsSource(path)) continue;
    for (const Scope& scope : ScopesOf(file)) {
      if (scope.kind != Scope::Kind::kType || scope.outer_kind != Scope::Kind::kNamespace) continue;
      const bool unnamed =
          std::find(scope.outer.begin(), scope.outer.end(), "") != scope.outer.end();
      if (scope.name.empty() || unnamed) continue;
      const std::string type = Cat(absl::StrJoin(scope.outer, "::"), "::", scope.name);
      const auto [it, added] = first.emplace(type, path);
      if (!added) {
        findings.push_back({path, LineOf(file.code, scope.begin),
                            Cat("defines ", type, ", and so does ", it->second)});
      }
    }
  }
  return findings;
}

inline Findings LongFunctions(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsSource(path)) continue;
    for (const Scope& scope : ScopesOf(file)) {
      if (scope.kind != Scope::Kind::kFunction) continue;
      const size_t begin = LineOf(file.code, scope.begin);
      const size_t lines = LineOf(file.code, scope.end) - begin;
      if (lines > kFunctionLinesMost) {
        findings.push_back({path, begin, Cat("a function of ", lines, " lines")});
      }
    }
  }
  return findings;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_SCOPES_H_
