#include "harness/gate/plan/step.h"

#include <unistd.h>

#include <array>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace kill9::gate {
namespace {

constexpr std::array<std::string_view, kTiers> kTierNames = {
    "checker", "property", "tsan", "baselines", "sweep", "explore", "torture", "planted"};

std::string Quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char byte : word)
    absl::StrAppend(&quoted, byte == '\'' ? "'\\''" : std::string(1, byte));
  return quoted + "'";
}

}  // namespace

std::string_view TierName(Tier tier) { return kTierNames[static_cast<size_t>(tier)]; }

bool IsProgram(const std::string& path) {
  return std::filesystem::is_regular_file(path) && access(path.c_str(), X_OK) == 0;
}

std::string GateStep::Id() const {
  return absl::StrCat(std::string(TierName(tier)), ":", variant, ":", name);
}

std::string CommandLine(const GateStep& step) {
  std::string line;
  for (const std::vector<std::string>& words : {step.environment, step.command}) {
    for (const std::string& word : words)
      absl::StrAppend(&line, line.empty() ? "" : " ", Quoted(word));
  }
  return line;
}

}  // namespace kill9::gate
