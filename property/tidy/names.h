// Rules of what is said: names, invariants and paths that comments and documents cite must be
// there, and some words must not.
#ifndef KILL9_PROPERTY_TIDY_NAMES_H_
#define KILL9_PROPERTY_TIDY_NAMES_H_

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "property/tidy/folders.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {

// Looks like identifiers, and are none of ours.
inline const std::set<std::string_view> kOfOthers = {"ARIES",
                                                     "Mohan",
                                                     "GitHub",
                                                     "GoogleTest",
                                                     "LevelDB",
                                                     "snake_case",
                                                     "seq_cst",
                                                     "handle_futex_death",
                                                     "_test",
                                                     "_command",
                                                     "transparent_hugepage"};

// What was renamed, and words of lists that a clone cannot look up. In a comment or a document,
// whole words; an old name is also no identifier any more.
inline const std::set<std::string_view> kGoneWords = {
    "TODO",       "FIXME",          "XXX",         "HACK",    "Court",
    "Lapper",     "LifeLine",       "LifeLines",   "strayed", "JudgeOrders",
    "OwnSeconds", "SegmentJanitor", "BUG_CLASSES", "DESIGN",  "STYLE"};

namespace internal {

inline bool IsUpper(char letter) { return absl::ascii_isupper(static_cast<unsigned char>(letter)); }
inline bool IsLower(char letter) { return absl::ascii_islower(static_cast<unsigned char>(letter)); }

// How an identifier is spelled that is no word of English: by capitals or underscores within it.
inline bool LooksLikeIdentifier(std::string_view word) {
  size_t humps = 0;
  bool lower = false;
  for (size_t i = 0; i < word.size(); ++i) {
    humps += IsUpper(word[i]) && (i + 1 < word.size() && IsLower(word[i + 1]));
    lower |= IsLower(word[i]);
  }
  if (word.size() > 2 && word[0] == 'k' && IsUpper(word[1])) return true;
  if (IsUpper(word[0])) return humps >= 2 && !Contains(word, '_');
  return lower && Contains(word.substr(1, word.size() - 2), '_');
}

// An invariant's name: a capital and a number of one or two digits.
inline bool IsInvariant(std::string_view word) {
  return (word.size() == 2 || word.size() == 3) && IsUpper(word[0]) && word[1] != '0' &&
         word.find_first_not_of("0123456789", 1) == word.npos;
}

// All words of the code, of its strings, and the stems of the files.
inline std::set<std::string, std::less<>> KnownNames(const Tree& tree) {
  std::set<std::string, std::less<>> names;
  for (const auto& [path, file] : tree) {
    names.emplace(NameOf(path).substr(0, NameOf(path).find('.')));
    for (const std::string* part : {&file.code, &file.literals}) {
      if (IsMarkdown(path) || IsIn(path, "property/tidy")) continue;  // whose fixtures name much
      for (const Word& word : WordsOf(*part)) names.emplace(word.text);
    }
  }
  return names;
}

template <typename Names>
bool Knows(const Names& names, std::string_view name) {
  if (kOfOthers.contains(name)) return true;
  const std::string text(name);
  const std::string constant = name.starts_with("k") ? text : "k" + text;  // of an enumeration
  return names.contains(text) || names.contains(text + "_") || names.contains(constant) ||
         names.contains(constant.substr(1) + "Error");  // of absl::Status
}

}  // namespace internal

// Whatever is spelled like an identifier in a comment is one.
inline Findings UnknownNames(const Tree& tree) {
  const auto names = internal::KnownNames(tree);
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsSource(path)) continue;
    for (const Word& word : WordsOf(file.comments)) {
      const bool in_path = word.at > 0 && Contains("/.-", file.comments[word.at - 1]);
      const bool is_argument = file.comments.substr(word.at + word.text.size(), 3) == "=*/";
      if (in_path || is_argument || !internal::LooksLikeIdentifier(word.text)) continue;
      if (!internal::Knows(names, word.text)) {
        findings.push_back(
            {path, LineOf(file.text, word.at), Cat("names ", word.text, ", which is not there")});
      }
    }
  }
  return findings;
}

// In variants/, "pairs with Take", "the acquire of Take", "as in Take", "see Take": something of
// this name is in the code of the same folder, or in what all designs share.
inline Findings UnknownPartners(const Tree& tree) {
  std::map<std::string, std::set<std::string, std::less<>>> names;
  for (const auto& [path, file] : tree) {
    if (!IsIn(path, "variants") || !IsSource(path)) continue;
    std::set<std::string, std::less<>>& of_folder = names[FolderOf(path)];
    for (const Word& word : WordsOf(file.code)) of_folder.emplace(word.text);
  }
  names[""] = names["variants/segment"];
  for (const std::string& name : names["variants"]) names[""].insert(name);
  constexpr std::array<std::array<std::string_view, 2>, 10> kLeads = {{{"pairs", "with"},
                                                                       {"pair", "with"},
                                                                       {"acquire", "of"},
                                                                       {"acquires", "of"},
                                                                       {"release", "of"},
                                                                       {"releases", "of"},
                                                                       {"consistent", "with"},
                                                                       {"as", "in"},
                                                                       {"", "see"},
                                                                       {"", "See"}}};
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsIn(path, "variants") || !IsSource(path)) continue;
    const std::vector<Word> words = WordsOf(file.comments);
    // Whether only a space, or a line's end within one comment, is before the word.
    const auto follows = [&file, &words](size_t i) {
      const size_t before = words[i - 1].at + words[i - 1].text.size();
      const std::string between = file.comments.substr(before, words[i].at - before);
      return between.find_first_not_of(" /\n") == between.npos &&
             std::count(between.begin(), between.end(), '\n') <= 1;
    };
    for (size_t i = 2; i < words.size(); ++i) {
      const bool led = std::any_of(kLeads.begin(), kLeads.end(), [&](const auto& lead) {
        return words[i - 1].text == lead[1] && (lead[0].empty() || words[i - 2].text == lead[0]);
      });
      if (!led || !follows(i)) continue;
      // The names that follow: "Release and MarkRecovered".
      for (size_t w = i;; w += 2) {
        const std::string_view name = words[w].text;
        if (!internal::IsUpper(name[0]) || internal::IsInvariant(name)) break;
        if (!internal::Knows(names[FolderOf(path)], name) && !internal::Knows(names[""], name)) {
          findings.push_back({path, LineOf(file.text, words[w].at),
                              Cat("refers to ", name, ", which is not there")});
        }
        const bool goes_on =
            w + 2 < words.size() && words[w + 1].text == "and" && follows(w + 1) && follows(w + 2);
        if (!goes_on) break;
      }
    }
  }
  return findings;
}

// An invariant is defined by a comment, "// I1  Text", in the folder that cites it, or in what all
// designs share. A document may cite those of every folder.
inline Findings UnknownInvariants(const Tree& tree) {
  std::map<std::string, std::set<std::string, std::less<>>> defined;
  for (const auto& [path, file] : tree) {
    if (!IsSource(path)) continue;
    const std::string_view text = file.comments;
    for (const Word& word : WordsOf(text)) {
      if (!internal::IsInvariant(word.text) || word.at < 3) continue;
      const std::string_view before = text.substr(word.at - 3, 3);
      const std::string_view after = text.substr(word.at + word.text.size());
      if (!after.starts_with("  ") || (before != "// " && !before.ends_with("  "))) continue;
      defined[FolderOf(path)].emplace(word.text);
      defined["docs"].emplace(word.text);
    }
  }
  Findings findings;
  for (const auto& [path, file] : tree) {
    const bool is_document = IsIn(path, "docs");
    if (!is_document && !IsIn(path, "variants") && !IsIn(path, "harness")) continue;
    std::vector<std::string> folders = {is_document ? "docs" : FolderOf(path), "variants",
                                        "variants/segment"};
    for (const auto& [line, included] : IncludesOf(file)) folders.push_back(FolderOf(included));
    for (const auto& [other, source] : tree) {  // "H2 (history.h)"
      if (IsHeader(other) && Contains(file.comments, NameOf(other))) {
        folders.push_back(FolderOf(other));
      }
    }
    for (const std::string* part : {&file.comments, &file.literals}) {
      for (const Word& word : WordsOf(*part)) {
        if (!internal::IsInvariant(word.text)) continue;
        const bool is_known = std::any_of(folders.begin(), folders.end(), [&](const auto& folder) {
          return defined[folder].contains(word.text);
        });
        if (is_known) continue;
        findings.push_back({path, LineOf(file.text, word.at),
                            Cat("cites ", word.text, ", which no line defines")});
      }
    }
  }
  return findings;
}

// A path that a comment or a document names exists: by its whole, from the root or from where it
// stands, or as the end of one (`shard.h`). Folders as well, where the path begins with one of
// ours.
inline Findings UnknownPaths(const Tree& tree) {
  std::set<std::string> known;  // whole paths, their ends, their folders
  for (const auto& [path, file] : tree) {
    if (IsSource(path)) known.insert(path.substr(0, path.rfind('.')));
    for (size_t at = 0; at != path.npos; at = path.find('/', at + 1)) {
      known.insert(path.substr(at == 0 ? 0 : at + 1));
      known.insert(path.substr(0, at));
    }
  }
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (path.starts_with("results/reference/") || path.ends_with(".json")) continue;
    const std::string& text = file.comments;
    const auto is_part = [](char c) { return IsWordLetter(c) || Contains("/.-*{},", c); };
    for (size_t i = 0; i < text.size(); ++i) {
      if (!is_part(text[i])) continue;
      const size_t begin = i;
      while (i < text.size() && is_part(text[i])) ++i;
      // A path ends before the punctuation of its sentence, and before a list's.
      std::string_view word = std::string_view(text).substr(begin, i - begin);
      word = word.substr(0, word.find(','));
      while (!word.empty() && Contains("/.-,", word.back())) word.remove_suffix(1);
      while (Consume(word, "../")) {
      }
      if (word.empty() || Contains("/.-*_", word[0])) continue;
      // C sources that are cited are other projects'.
      const bool is_file = (IsSource(word) && !word.ends_with(".c")) || IsMarkdown(word);
      const bool is_ours = std::any_of(std::begin(kRootFolders), std::end(kRootFolders),
                                       [&](auto folder) { return IsIn(word, folder); });
      if (!is_file && !is_ours) continue;
      // A pattern, or a word in capitals for whatever stands there: what is before it exists.
      std::string fixed(word);
      for (size_t part = 0; part < fixed.size();) {
        const size_t end = std::min(fixed.find('/', part), fixed.size());
        const std::string_view name = std::string_view(fixed).substr(part, end - part);
        const std::string_view stem = name.substr(0, name.find('.'));
        const bool capitals = stem.size() > 1 && !IsMarkdown(name) &&
                              stem.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == stem.npos;
        if (capitals || name.find_first_of("*{}") != name.npos) {
          fixed.resize(part == 0 ? 0 : part - 1);
          break;
        }
        part = end + 1;
      }
      if (!fixed.empty() && !known.contains(fixed)) {
        findings.push_back({path, LineOf(text, begin), Cat("no such path: ", word)});
      }
    }
  }
  return findings;
}

inline Findings GoneWords(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    // The rule's own list is here; the log of changes may say what something was called.
    if (IsIn(path, "property/tidy") || IsIn(path, "property/histories") || path == "CHANGELOG.md")
      continue;
    for (const std::string* part : {&file.comments, &file.code}) {
      for (const Word& word : WordsOf(*part)) {
        if (kGoneWords.contains(word.text)) {
          findings.push_back({path, LineOf(file.text, word.at), Cat("says ", word.text)});
        }
      }
    }
    const size_t place = file.text.find("/work/");
    if (place != file.text.npos) {
      findings.push_back({path, LineOf(file.text, place), "names a path of one machine"});
    }
  }
  return findings;
}

// The index of the documents has each of them, or the folder that it is in.
inline Findings UnlistedDocuments(const Tree& tree) {
  const std::string index = "docs/README.md";
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsIn(path, "docs") || !IsMarkdown(path) || path == index) continue;
    const std::string name = path.substr(std::string_view("docs/").size());
    const std::string folder = name.substr(0, name.rfind('/') + 1);
    const std::string& text = tree.at(index).text;
    const bool is_listed = Contains(text, Cat("(", name, ")")) ||
                           (!folder.empty() && Contains(text, Cat("(", folder, ")")));
    if (!is_listed) findings.push_back({path, 0, Cat(index, " does not list it")});
  }
  return findings;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_NAMES_H_
