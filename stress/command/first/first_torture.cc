// `kill9 torture` of the designs, and nothing else of kill9: what `./dev torture` runs where kill9
// has not been built yet. What it does not know it hands over to who builds the rest.
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_split.h"
#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "stress/command/arguments/complain.h"
#include "harness/base/text/nearest.h"
#include "stress/command/arguments/options.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/terminal.h"
#include "stress/command/torture/torture_options.h"
#include "stress/command/torture/torture_run.h"
#include "variants/registry.h"

namespace {

using namespace kill9;

// Returns only where nobody is named who builds it, or who is cannot be run.
int HandOver(int argc, char** argv) {
  const char* dev = std::getenv("KILL9_DEV");
  if (dev != nullptr) {
    std::string program = dev, command = "kill9";
    std::vector<char*> words(argv, argv + argc + 1);
    words[0] = command.data();
    words.insert(words.begin(), program.data());
    execv(dev, words.data());
  }
  return Complain("kill9", absl::InvalidArgumentError("this one knows torture of the designs "
                                                      "only; ./dev kill9 is the whole command"));
}

// Whether all are designs, or mistyped names of some: of baselines and peers the whole knows.
bool AreDesigns(const std::string& variants) {
  std::vector<std::string> designs = {"all"}, peers;
  for (const Design* design : AllDesigns()) designs.emplace_back(design->name());
  for (const auto& [peer, package] : PeerPackages()) peers.emplace_back(peer);
  const std::vector<std::string> names = absl::StrSplit(variants, ',');
  return absl::c_all_of(names, [&](const std::string& name) {
    return !absl::c_linear_search(peers, name) && !Nearest(name, designs).empty();
  });
}

}  // namespace

int main(int argc, char** argv) {
  EndOnInterrupts();
  ResetSignals();
  SetCommandLine(argc, argv);
  SetBuildCommit(kBuildCommit);
  CommandLine line("kill9: torture of the designs", VersionLine("kill9"), Terminal(1).columns());
  TortureFlags flags;
  ProgramFlags programs;
  TortureCommandLine torture = AddTorture(line, flags, programs);
  torture.command.OnCall([&] {
    if (programs.given() || !AreDesigns(flags.variant)) return HandOver(argc, argv);
    RefuseWithoutPrograms(torture.of_programs);
    return TortureDesigns(flags);
  });
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const bool is_known =
      !words.empty() && words[0] == "torture" && absl::c_all_of(words, [&](std::string_view word) {
        return !word.starts_with("--") ||
               line.Has("torture", std::string(word.substr(0, word.find('='))));
      });
  if (!is_known) return HandOver(argc, argv);
  return line.Run(argc, argv);
}
