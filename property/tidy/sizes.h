// Rules of size and shape: lines, files, folders, results, include guards, functions.
#ifndef KILL9_PROPERTY_TIDY_SIZES_H_
#define KILL9_PROPERTY_TIDY_SIZES_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {

inline constexpr size_t kColumnsMost = 100;
inline constexpr size_t kLinesMost = 500;
inline constexpr size_t kSourcesInAFolderMost = 16;  // tests not counted
inline constexpr size_t kResultsBytesMost = 1'000'000;
inline constexpr size_t kResultBytesMost = 200'000;

// Not wrapped by hand: what the report command made, what a program recorded, a list of one reason
// a line.
inline bool IsMade(std::string_view path) {
  return path == "results/reference/report.md" || path == "property/planted/not_planted.txt" ||
         IsIn(path, "property/histories") || path.ends_with(".json") || path.ends_with(".svg");
}

// Characters, not bytes. Patches repeat lines of sources. A row of a Markdown table, and a line of
// one word (a link), cannot be wrapped.
inline Findings LongLines(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (IsMade(path) || path.ends_with(".patch")) continue;
    size_t number = 0;
    for (std::string_view line : Split(file.text, '\n')) {
      ++number;
      const auto columns = static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<uint8_t>(c) & 0xc0) != 0x80;
      }));
      if (columns <= kColumnsMost) continue;
      const std::string_view words = Trimmed(line);
      const bool is_row = words.starts_with("|");
      if (IsMarkdown(path) && (is_row || !Contains(words, ' '))) continue;
      findings.push_back({path, number, Cat(columns, " columns")});
    }
  }
  return findings;
}

inline Findings LongFiles(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    const auto lines = static_cast<size_t>(std::count(file.text.begin(), file.text.end(), '\n'));
    if (!IsMade(path) && lines > kLinesMost) {
      findings.push_back({path, lines, Cat(lines, " lines")});
    }
  }
  return findings;
}

inline Findings FullFolders(const Tree& tree) {
  std::map<std::string, size_t> sources;
  for (const auto& [path, file] : tree) sources[FolderOf(path)] += IsSource(path) && !IsTest(path);
  Findings findings;
  for (const auto& [folder, count] : sources) {
    if (count > kSourcesInAFolderMost) {
      findings.push_back({folder, 0, Cat(count, " sources in a folder")});
    }
  }
  return findings;
}

inline Findings LargeResults(const Tree& tree) {
  Findings findings;
  size_t total = 0;
  for (const auto& [path, file] : tree) {
    if (!IsIn(path, "results")) continue;
    total += file.text.size();
    if (file.text.size() > kResultBytesMost) {
      findings.push_back({path, 0, Cat(file.text.size(), " bytes")});
    }
  }
  if (total > kResultsBytesMost) {
    findings.push_back({"results", 0, Cat(total, " bytes in all")});
  }
  return findings;
}

// A header is guarded by its path, in capitals.
inline Findings WrongGuards(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsHeader(path)) continue;
    const std::string guard =
        "KILL9_" + absl::AsciiStrToUpper(absl::StrReplaceAll(path, {{"/", "_"}, {".", "_"}})) + "_";
    const std::string begin = Cat("#ifndef ", guard, "\n#define ", guard, "\n");
    const std::string end = Cat("\n#endif  // ", guard, "\n");
    if (!Contains(file.text, begin) || !file.text.ends_with(end)) {
      findings.push_back({path, 1, Cat("is not guarded by ", guard)});
    }
  }
  return findings;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_SIZES_H_
