// The repository as text, for the rules of property/tidy/: every file that is ours, and of sources
// apart what the compiler reads and what people read. A rule is a function from a tree to findings.
#ifndef KILL9_PROPERTY_TIDY_TREE_H_
#define KILL9_PROPERTY_TIDY_TREE_H_

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"

namespace kill9::tidy {

inline bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}
inline bool Contains(std::string_view text, char letter) { return text.find(letter) != text.npos; }
inline bool Consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}
inline std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}
inline std::vector<std::string_view> Split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(by, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}
template <typename... Parts>
std::string Cat(const Parts&... parts) {
  std::ostringstream all;
  (all << ... << parts);
  return all.str();
}

struct Finding {
  std::string path;
  size_t line;
  std::string what;
  friend std::ostream& operator<<(std::ostream& out, const Finding& finding) {
    return out << finding.path << ":" << finding.line << ": " << finding.what;
  }
};
using Findings = std::vector<Finding>;

struct File {
  std::string text;
  // As long as `text`, with blanks for what is not theirs; newlines in all three. Of a file that is
  // no C++ source, `comments` is the whole text (Markdown), or what follows a '#'.
  std::string code;
  std::string literals;
  std::string comments;
};
// By path, from the root of the repository.
using Tree = std::map<std::string, File>;

inline constexpr std::string_view kRootFolders[] = {"variants", "harness",  "apps", "stress",
                                                    "property", "results",  "docs", "include",
                                                    "bindings", "packaging"};

inline std::string FolderOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == path.npos ? "" : path.substr(0, slash));
}
inline std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }
inline bool IsHeader(std::string_view path) { return path.ends_with(".h"); }
inline bool IsSource(std::string_view path) {
  return IsHeader(path) || path.ends_with(".cc") || path.ends_with(".c");
}
inline bool IsTest(std::string_view path) { return path.ends_with("_test.cc"); }
inline bool IsMarkdown(std::string_view path) { return path.ends_with(".md"); }
// Whether the file lies in the folder, or below it.
inline bool IsIn(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}
inline bool IsWordLetter(char letter) {
  return absl::ascii_isalnum(static_cast<unsigned char>(letter)) || letter == '_';
}
inline size_t LineOf(std::string_view text, size_t at) {
  return 1 +
         static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<long>(at), '\n'));
}

// A word of a text, where it begins.
struct Word {
  std::string_view text;
  size_t at;
};
inline std::vector<Word> WordsOf(std::string_view text) {
  std::vector<Word> words;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsWordLetter(text[i])) continue;
    const size_t begin = i;
    while (i < text.size() && IsWordLetter(text[i])) ++i;
    words.push_back({text.substr(begin, i - begin), begin});
  }
  return words;
}

namespace internal {

// The end of the comment, string or character that begins at `at`; `at` itself where none does.
inline size_t EndOfNoCode(std::string_view text, size_t at) {
  const auto after = [&](std::string_view mark, size_t from) {
    const size_t found = text.find(mark, from);
    return found == text.npos ? text.size() : found + mark.size();
  };
  if (text.substr(at).starts_with("//")) return after("\n", at) - 1;
  if (text.substr(at).starts_with("/*")) return after("*/", at + 2);
  const bool follows_word = at > 0 && IsWordLetter(text[at - 1]);
  if (text.substr(at).starts_with("R\"") && !follows_word) {
    const size_t parenthesis = text.find('(', at);
    if (parenthesis == text.npos) return text.size();
    return after(Cat(")", text.substr(at + 2, parenthesis - at - 2), "\""), parenthesis);
  }
  const char quote = text[at];
  if (quote != '"' && (quote != '\'' || follows_word)) return at;
  size_t end = at + 1;
  while (end < text.size() && text[end] != quote && text[end] != '\n') {
    end += text[end] == '\\' ? 2 : 1;
  }
  return std::min(end + 1, text.size());
}

inline std::string Blank(std::string_view text) {
  std::string blank(text);
  for (char& letter : blank) letter = letter == '\n' ? '\n' : ' ';
  return blank;
}

}  // namespace internal

inline File ParsedSource(std::string text) {
  File file{.text = std::move(text), .code = {}, .literals = {}, .comments = {}};
  file.code = file.text;
  file.literals = file.comments = internal::Blank(file.text);
  for (size_t i = 0; i < file.text.size();) {
    const size_t end = internal::EndOfNoCode(file.text, i);
    if (end == i) {
      ++i;
      continue;
    }
    std::string& part = file.text[i] == '/' ? file.comments : file.literals;
    part.replace(i, end - i, file.text, i, end - i);
    file.code.replace(i, end - i, internal::Blank(std::string_view(file.text).substr(i, end - i)));
    i = end;
  }
  return file;
}

inline File ParsedText(std::string_view path, std::string text) {
  File file{.text = std::move(text), .code = {}, .literals = {}, .comments = {}};
  file.code = file.literals = file.comments = internal::Blank(file.text);
  bool comment = IsMarkdown(path);
  for (size_t i = 0; i < file.text.size(); ++i) {
    if (!IsMarkdown(path)) {
      if (file.text[i] == '\n') comment = false;
      if (file.text[i] == '#') comment = true;
    }
    (comment ? file.comments : file.code)[i] = file.text[i];
  }
  return file;
}

inline void Add(Tree& tree, const std::string& path, std::string text) {
  tree[path] = IsSource(path) ? ParsedSource(std::move(text)) : ParsedText(path, std::move(text));
}

// What lies in a checkout: its folders' files, and those at its root.
inline Tree Checkout(const std::filesystem::path& root) {
  Tree tree;
  const auto add = [&](const std::filesystem::directory_entry& entry) {
    if (!entry.is_regular_file()) return;
    std::ifstream in(entry.path(), std::ios::binary);
    Add(tree, entry.path().lexically_relative(root).string(),
        std::string(std::istreambuf_iterator<char>(in), {}));
  };
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.path().filename() != ".git") add(entry);
  }
  for (std::string_view folder : kRootFolders) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      add(entry);
    }
  }
  return tree;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_TREE_H_
