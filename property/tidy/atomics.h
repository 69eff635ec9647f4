// Rules of the atomic operations in variants/: each spells out its order, and a comment beside it
// says why the order is what it is.
#ifndef KILL9_PROPERTY_TIDY_ATOMICS_H_
#define KILL9_PROPERTY_TIDY_ATOMICS_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "property/tidy/tree.h"

namespace kill9::tidy {

// A comment belongs to what follows it within so many lines, up to an empty line. One that says
// "throughout" belongs to the rest of its file.
inline constexpr size_t kLinesOfOneComment = 16;

inline const std::map<std::string_view, size_t> kOrdersOfAtomics = {{"load", 1},
                                                                    {"store", 1},
                                                                    {"exchange", 1},
                                                                    {"fetch_add", 1},
                                                                    {"fetch_sub", 1},
                                                                    {"fetch_or", 1},
                                                                    {"fetch_and", 1},
                                                                    {"fetch_xor", 1},
                                                                    {"test_and_set", 1},
                                                                    {"compare_exchange_weak", 2},
                                                                    {"compare_exchange_strong", 2}};

// The words that a comment gives each order.
inline const std::map<std::string_view, std::vector<std::string_view>> kWordsOfOrders = {
    {"memory_order_relaxed", {"relaxed", "fail"}},
    {"memory_order_acquire", {"acquire"}},
    {"memory_order_release", {"release"}},
    {"memory_order_acq_rel", {"acquire", "release"}},
    {"memory_order_seq_cst", {"seq_cst", "sequentially consistent"}}};

namespace internal {

// How many orders are among the arguments that begin at the parenthesis `at`.
inline size_t OrdersAmong(std::string_view code, size_t at,
                          const std::set<std::string, std::less<>>& names) {
  int depth = 0;
  size_t end = at;
  do {
    depth += code[end] == '(';
    depth -= code[end] == ')';
  } while (++end < code.size() && depth > 0);
  size_t orders = 0;
  for (const Word& word : WordsOf(code.substr(at, end - at))) {
    orders += word.text.starts_with("memory_order_") || names.contains(word.text);
  }
  return orders;
}

}  // namespace internal

inline Findings OrdersLeftOut(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsIn(path, "variants") || !IsSource(path)) continue;
    std::set<std::string, std::less<>> names;  // of orders: constants, parameters
    for (const auto& [other, source] : tree) {
      if (FolderOf(other) != FolderOf(path)) continue;
      const std::vector<Word> words = WordsOf(source.code);
      for (size_t i = 1; i < words.size(); ++i) {
        if (words[i - 1].text == "memory_order") names.emplace(words[i].text);
        // order = std::memory_order_seq_cst
        const bool is_alias = i > 1 && words[i].text.starts_with("memory_order_") &&
                              source.code.find('=', words[i - 2].at) < words[i - 1].at;
        if (is_alias) names.emplace(words[i - 2].text);
      }
    }
    for (const Word& word : WordsOf(file.code)) {
      const auto known = kOrdersOfAtomics.find(word.text);
      const size_t end = word.at + word.text.size();
      const bool is_call = word.at > 0 && Contains(".>", file.code[word.at - 1]) &&
                           end < file.code.size() && file.code[end] == '(';
      if (known == kOrdersOfAtomics.end() || !is_call) continue;
      if (internal::OrdersAmong(file.code, end, names) < known->second) {
        findings.push_back(
            {path, LineOf(file.code, word.at), Cat(word.text, " leaves out an order of memory")});
      }
    }
  }
  return findings;
}

// Every order in a design has a comment that gives its reason by its name.
inline Findings OrdersWithoutReason(const Tree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree) {
    if (!IsIn(path, "variants") || !IsSource(path) || IsTest(path)) continue;
    const std::vector<std::string_view> comments = Split(file.comments, '\n');
    const std::vector<std::string_view> lines = Split(file.text, '\n');
    std::string throughout;
    size_t counted = 0;
    for (const Word& word : WordsOf(file.code)) {
      const auto order = kWordsOfOrders.find(word.text);
      // A fence for the compiler orders nothing among processes.
      const std::string_view before = std::string_view(file.code).substr(0, word.at);
      if (order == kWordsOfOrders.end() || before.ends_with("signal_fence(std::")) continue;
      const size_t at = LineOf(file.code, word.at) - 1;
      for (; counted <= at; ++counted) {
        if (Contains(comments[counted], "throughout")) throughout += comments[counted];
      }
      std::string near(comments[at]);
      for (size_t i = at; i-- > 0 && at - i <= kLinesOfOneComment && !lines[i].empty();) {
        near += comments[i];
      }
      const std::string said = absl::AsciiStrToLower(near + throughout);
      const bool gives_reason = std::any_of(order->second.begin(), order->second.end(),
                                            [&](auto name) { return Contains(said, name); });
      if (!gives_reason) {
        findings.push_back({path, at + 1, Cat("no comment says why ", word.text)});
      }
    }
  }
  return findings;
}

}  // namespace kill9::tidy

#endif  // KILL9_PROPERTY_TIDY_ATOMICS_H_
