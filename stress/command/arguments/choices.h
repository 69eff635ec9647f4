// What flags of kill9 name: one thing, several with commas between, or a group of them.
#ifndef KILL9_STRESS_COMMAND_ARGUMENTS_CHOICES_H_
#define KILL9_STRESS_COMMAND_ARGUMENTS_CHOICES_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "harness/base/text/nearest.h"
#include "stress/command/arguments/options.h"
#include "variants/registry.h"

namespace kill9 {

template <typename T>
struct Choice {
  std::string name;
  T value;
  std::vector<std::string> groups = {"all"};  // words that choose all that are in the group
};

// Every name at its turn, each with what it stands for, in the order of `known`. Throws
// UsageError, which says what there is, on a name that is none of them.
template <typename T>
std::vector<T> Choose(std::string_view flag, const std::string& given,
                      const std::vector<Choice<T>>& known) {
  std::vector<T> chosen;
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(given, ','))) {
    const size_t before = chosen.size();
    for (const Choice<T>& choice : known) {
      if (choice.name == name || absl::c_linear_search(choice.groups, name)) {
        chosen.push_back(choice.value);
      }
    }
    if (chosen.size() > before) continue;
    std::vector<std::string> names;
    for (const Choice<T>& choice : known) {
      for (const std::string& group : choice.groups) {
        if (!absl::c_linear_search(names, group)) names.push_back(group);
      }
    }
    for (const Choice<T>& choice : known) names.push_back(choice.name);
    throw UsageError(absl::StrCat(std::string(flag), ": ", ThereIsNo(name, names)));
  }
  return chosen;
}

// The one that is named, of choices without groups.
template <typename T>
T ChooseOne(std::string_view flag, const std::string& given, const std::vector<Choice<T>>& known) {
  const std::vector<T> chosen = Choose(flag, given, known);
  if (chosen.size() == 1) return chosen[0];
  throw UsageError(
      absl::StrCat(std::string(flag), ": takes one name, and '", given, "' are several"));
}

// Throws UsageError if `name` is a peer, or the group of them all, that could have been
// built in and was not.
inline void RefuseMissingPeer(std::string_view flag, std::string_view name) {
  std::vector<std::string> missing, packages;
  for (const auto& [peer, package] : PeerPackages()) {
    if (FindDesign(peer) != nullptr || (name != peer && name != "peers")) continue;
    missing.emplace_back(peer);
    packages.emplace_back(package);
  }
  if (missing.empty() || (name == "peers" && missing.size() != PeerPackages().size())) return;
  throw UsageError(
      absl::StrCat(std::string(flag), ": ", absl::StrJoin(missing, ", "),
                   missing.size() == 1 ? " is" : " are", " not built in, for want of the package",
                   missing.size() == 1 ? " " : "s ", absl::StrJoin(packages, " "),
                   ". ./dev installs what is missing; elsewhere install, and configure anew"));
}

// --variant: "all" designs, "baselines", "peers", or names.
template <typename DesignType>
std::vector<const DesignType*> ChooseAmong(std::span<const DesignType* const> designs,
                                           const std::string& given) {
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(given, ','))) {
    RefuseMissingPeer("--variant", name);
  }
  std::vector<Choice<const DesignType*>> known;
  for (const DesignType* design : designs) {
    const Design::Role role = design->role();
    known.push_back({std::string(design->name()),
                     design,
                     {role == Design::Role::kDesign ? "all"
                      : role == Design::Role::kPeer ? "peers"
                                                    : "baselines"}});
  }
  return Choose("--variant", given, known);
}
inline std::vector<const Design*> ChooseDesigns(const std::string& given) {
  return ChooseAmong(AllDesigns(), given);
}
// The stores among them.
inline std::vector<const Variant*> ChooseVariants(const std::string& given) {
  return ChooseAmong(AllVariants(), given);
}

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_ARGUMENTS_CHOICES_H_
