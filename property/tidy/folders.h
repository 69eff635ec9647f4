// The rule of who may include whom: the table of docs/design.md, "What may include what".
#ifndef KILL9_PROPERTY_TIDY_FOLDERS_H_
#define KILL9_PROPERTY_TIDY_FOLDERS_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {

inline constexpr std::string_view kDesign = "docs/design.md";
inline constexpr std::string_view kTableHeading = "## What may include what\n";

// By part: the parts that it may include beside itself. A part is a folder with what lies below it,
// but for what has a row of its own; or the sources of one stem (`harness/torture/torture`).
using PartTable = std::map<std::string, std::set<std::string>>;

// REQUIRES: the tree has the page with the table.
inline PartTable PartsOf(const Tree& tree) {
  const std::string& page = tree.at(std::string(kDesign)).text;
  PartTable table;
  const size_t heading = page.find(kTableHeading);
  if (heading == page.npos) return table;
  std::string_view section = std::string_view(page).substr(heading + kTableHeading.size());
  section = section.substr(0, section.find("\n## "));
  for (std::string_view line : Split(section, '\n')) {
    const std::vector<std::string_view> cells = Split(line, '|');
    if (cells.size() < 3 || !Contains(cells[1], '`')) continue;
    const auto names = [](std::string_view cell) {
      std::set<std::string> all;
      const std::vector<std::string_view> parts = Split(cell, '`');
      for (size_t i = 1; i < parts.size(); i += 2) all.emplace(parts[i]);
      return all;
    };
    for (const std::string& part : names(cells[1])) table[part] = names(cells[2]);
  }
  for (auto& [part, may] : table) {  // `harness/`: every part below it
    std::set<std::string> parts;
    for (const std::string& name : may) {
      if (!name.ends_with('/')) parts.insert(name);
      for (const auto& [other, ignored] : table) {
        if (name.ends_with('/') && other.starts_with(name)) parts.insert(other);
      }
    }
    may = std::move(parts);
  }
  return table;
}

inline std::optional<std::string> PartOf(std::string_view path, const PartTable& table) {
  for (std::string part(path); !part.empty(); part = part.substr(0, part.find_last_of("/.") + 1)) {
    if (part.back() == '/' || part.back() == '.') part.pop_back();
    if (table.contains(part)) return part;
    if (part.find_last_of("/.") == part.npos) break;
  }
  return std::nullopt;
}

// The included paths of a file that are the project's own, with their lines.
inline std::vector<std::pair<size_t, std::string>> IncludesOf(const File& file) {
  std::vector<std::pair<size_t, std::string>> includes;
  size_t number = 0;
  for (std::string_view line : Split(file.text, '\n')) {
    ++number;
    if (!line.starts_with("#include \"")) continue;
    line.remove_prefix(sizeof("#include \"") - 1);
    const std::string path(line.substr(0, line.find('"')));
    for (std::string_view folder : kRootFolders) {
      if (IsIn(path, folder)) includes.emplace_back(number, path);
    }
  }
  return includes;
}

// A test, and a header that only tests include, may see everything.
inline std::set<std::string> OfTests(const Tree& tree) {
  std::set<std::string> others;
  for (const auto& [path, file] : tree) {
    if (!IsSource(path) || IsTest(path)) continue;
    for (const auto& [line, included] : IncludesOf(file)) others.insert(included);
  }
  std::set<std::string> of_tests;
  for (const auto& [path, file] : tree) {
    if (!IsTest(path)) continue;
    of_tests.insert(path);
    for (const auto& [line, included] : IncludesOf(file)) {
      if (!others.contains(included)) of_tests.insert(included);
    }
  }
  return of_tests;
}

inline Findings IncludesAgainstTheGrain(const Tree& tree) {
  const PartTable table = PartsOf(tree);
  const std::set<std::string> of_tests = OfTests(tree);
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsSource(path)) continue;
    const auto part = PartOf(path, table);
    if (!part) findings.push_back({path, 0, Cat("has no row in ", kDesign)});
    for (const auto& [line, included] : IncludesOf(file)) {
      if (!tree.contains(included)) {
        findings.push_back({path, line, Cat("includes ", included, ", which is not there")});
        continue;
      }
      const auto of_included = PartOf(included, table);
      if (!part || !of_included || *part == *of_included || of_tests.contains(path)) continue;
      if (!table.at(*part).contains(*of_included)) {
        findings.push_back({path, line, Cat(*part, " includes ", included)});
      }
    }
  }
  return findings;
}

// Of the table itself: whoever follows it from part to part never comes back to one.
inline Findings CirclesAndEmptyParts(const Tree& tree) {
  const PartTable table = PartsOf(tree);
  const std::string page(kDesign);
  Findings findings;
  std::map<std::string, std::set<std::string>> below;  // what each part leads to
  for (size_t round = 0; round <= table.size(); ++round) {
    for (const auto& [part, may] : table) {
      for (const std::string& next : may) {
        if (!table.contains(next)) {
          if (round == 0) findings.push_back({page, 0, Cat(next, " has no row of its own")});
          continue;
        }
        std::set<std::string> more = below[next];
        below[part].insert(next);
        below[part].merge(more);
      }
    }
  }
  for (const auto& [part, parts] : below) {
    if (parts.contains(part)) findings.push_back({page, 0, Cat(part, " is in a circle")});
  }
  std::set<std::string> inhabited;
  for (const auto& [path, file] : tree) {
    if (IsSource(path)) inhabited.insert(PartOf(path, table).value_or(""));
  }
  for (const auto& [part, may] : table) {
    if (!inhabited.contains(part)) findings.push_back({page, 0, Cat(part, " is empty")});
  }
  return findings;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_FOLDERS_H_
