// Links of documents: each leads to a file, a folder or a heading that there is.
#ifndef KILL9_PROPERTY_TIDY_LINKS_H_
#define KILL9_PROPERTY_TIDY_LINKS_H_

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {

// As GitHub calls a heading: letters in lower case, blanks as dashes, no other marks.
inline std::string AnchorOf(std::string_view heading) {
  std::string anchor;
  for (const char c : Trimmed(heading)) {
    if (c == ' ') anchor += '-';
    if (IsWordLetter(c) || c == '-') anchor += absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return anchor;
}

inline bool HasAnchor(std::string_view text, std::string_view anchor) {
  if (Contains(text, Cat("id=\"", anchor, "\""))) return true;
  for (std::string_view line : Split(text, '\n')) {
    if (!line.starts_with('#')) continue;
    while (Consume(line, "#")) {
    }
    if (AnchorOf(line) == anchor) return true;
  }
  return false;
}

inline Findings BrokenLinks(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsMarkdown(path)) continue;
    const std::string& text = file.text;
    for (size_t at = text.find("]("); at != text.npos; at = text.find("](", at + 1)) {
      const size_t end = text.find_first_of(") \n", at);
      if (end == text.npos || text[end] != ')') continue;
      const std::string link = text.substr(at + 2, end - at - 2);
      // Elsewhere; or a picture, which is no text of the tree.
      if (Contains(link, ':') || link.ends_with(".svg")) continue;
      const size_t hash = std::min(link.find('#'), link.size());
      const std::string folder = FolderOf(path);
      std::string target = path;
      if (hash > 0) {
        const auto whole = std::filesystem::path(folder) / link.substr(0, hash);
        target = whole.lexically_normal().string();
        if (target.ends_with('/')) target.pop_back();
      }
      const auto found = tree.find(target);
      const bool is_folder = std::any_of(
          tree.begin(), tree.end(), [&](const auto& other) { return IsIn(other.first, target); });
      const bool leads =
          hash == link.size()
              ? found != tree.end() || is_folder
              : found != tree.end() && HasAnchor(found->second.text, link.substr(hash + 1));
      if (!leads) findings.push_back({path, LineOf(text, at), Cat("leads nowhere: ", link)});
    }
  }
  return findings;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_LINKS_H_
