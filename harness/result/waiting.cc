#include "harness/result/waiting.h"

#include <sstream>

#include "absl/strings/str_cat.h"

namespace kill9 {

Json WaitingField(std::string_view what, std::string_view stack) {
  if (what.empty() && stack.empty()) return nullptr;
  Json lines = Json::array();
  std::istringstream text{std::string(stack)};
  for (std::string line; std::getline(text >> std::ws, line);) lines.push_back(line);
  return {{"what", what}, {"stack", lines}};
}

std::string DescribeWaiting(const Json& run) {
  const auto waiting = run.is_object() ? run.find("waiting") : run.end();
  if (waiting == run.end() || !waiting->is_object()) return "";
  const std::string what = TextField(*waiting, "what");
  std::string text =
      absl::StrCat("    the waiting process is ", what.empty() ? "here:" : what, "\n");
  const auto stack = waiting->find("stack");
  if (stack == waiting->end() || !stack->is_array()) return text;
  for (const Json& line : *stack) {
    if (line.is_string()) absl::StrAppend(&text, "      ", line.get<std::string>(), "\n");
  }
  return text;
}

}  // namespace kill9
