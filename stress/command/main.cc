#include "stress/command/main.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "build_commit.h"
#include "harness/base/namespaces/namespaces.h"
#include "harness/base/signals.h"
#include "harness/kinds/sweep_kinds.h"
#include "harness/plugin/object_names.h"
#include "harness/plugin/plugin.h"
#include "harness/plugin/sweep/object_sweep.h"
#include "harness/result/build_info.h"
#include "harness/result/command_name.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "harness/sweep/worker.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/commands.h"
#include "stress/command/interrupts.h"
#include "stress/command/terminal/terminal.h"
#include "variants/registry.h"

namespace kill9 {

namespace {

constexpr char kPluginVariable[] = "KILL9_PLUGIN";

// `kill9 try ./libmine.so` means an object, as --plugin=./libmine.so does.
bool IsLibraryToTry(const std::vector<char*>& arguments, size_t n) {
  const std::string_view argument = arguments[n];
  return n > 1 && std::string_view(arguments[1]) == "try" && argument.ends_with(".so") &&
         !argument.starts_with("-");
}

// Takes --plugin=PATH out of the command line, wherever it stands before a --. nullopt: there is
// none.
std::optional<std::string> TakePlugin(std::vector<char*>& arguments) {
  constexpr std::string_view kFlag = "--plugin=";
  for (size_t n = 1; n < arguments.size() && std::string_view(arguments[n]) != "--"; ++n) {
    const bool is_library = IsLibraryToTry(arguments, n);
    if (!is_library && !std::string_view(arguments[n]).starts_with(kFlag)) continue;
    std::string path = arguments[n] + (is_library ? 0 : kFlag.size());
    std::error_code error;  // the current folder was removed
    if (!path.empty()) path = std::filesystem::absolute(path, error).lexically_normal().string();
    arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(n));
    setenv(kPluginVariable, path.c_str(), 1);  // for this program, started anew by itself
    return path;
  }
  const char* inherited = std::getenv(kPluginVariable);
  if (inherited == nullptr || *inherited == 0) return std::nullopt;
  return inherited;
}

// Runs of one object share no name in /dev/shm with each other, nor with what else runs here. The
// machine's is kept by who names something in it, or is told to by the machine.
void KeepNamesToOurselves(const std::vector<char*>& arguments, const Design& design) {
  constexpr std::string_view kCommands[] = {"torture", "sweep", "try"};
  const std::string_view command = arguments.size() > 1 ? arguments[1] : "";
  if (!absl::c_linear_search(kCommands, command)) return;
  std::error_code unknown;
  std::string named = std::filesystem::current_path(unknown).string();
  for (const char* argument : arguments) absl::StrAppend(&named, " ", argument);
  for (const char* variable : {kPluginVariable, "TMPDIR"}) {
    const char* value = std::getenv(variable);
    if (value != nullptr) absl::StrAppend(&named, " ", value);
  }
  if (!absl::StrContains(named, "/dev/shm") && EnterUserNamespace()) EnterOwnSharedMemory();
  NamesThatStay(design);  // what torture makes in the machine's goes with its runs
}

// An object is what is tested where there is one, unless the command line names designs.
std::vector<char*> WithVariant(const kill9_object& object, std::vector<char*> arguments) {
  const std::string_view command = arguments.size() > 1 ? arguments[1] : "";
  if (command != "torture" && command != "sweep" && command != "try") return arguments;
  const auto is_given = [&](std::string_view flag) {
    return absl::c_any_of(arguments, [&](std::string_view given) {
      return given.substr(0, given.find('=')) == flag;
    });
  };
  static std::string variant, shape = "--shape=usual";  // the one shape that it has
  variant = absl::StrCat("--variant=", object.name);
  if (is_given("--variant") || is_given("--worker") || is_given("--fork-server")) return arguments;
  if (command == "torture" && !is_given("--shape")) {
    arguments.insert(arguments.begin() + 2, shape.data());
  }
  arguments.insert(arguments.begin() + 2, variant.data());
  return arguments;
}

int RunCommand(std::vector<char*> arguments, const Own& own) {
  ResetSignals();
  if (absl::Status status = RegisterOwn(own); !status.ok()) return Complain("kill9", status);
  const int argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  char** const argv = arguments.data();
  if (std::optional<int> done = sweep::RunIfWorker(argc, argv)) return *done;
  SetBuildCommit(kBuildCommit);
  CommandLine line("kill9: what happens to the others when one process is killed, anywhere?",
                   VersionLine("kill9"), Terminal(1).columns());
  std::string taken;  // by TakePlugin
  line.Itself()
      .Add("--plugin", taken,
           "torture and sweep test the object of this shared library, which may also stand behind "
           "the command")
      .TakenBefore("is written with its file behind a =, as --plugin=./libmine.so");
  AddCheckCommand(line);
  AddListCommand(line);
  AddTortureCommand(line);
  AddSweepCommand(line);
  AddTryCommand(line);
  AddNewCommand(line);
  AddWorkerCommand(line);
  AddRunCommand(line);
  AddExploreCommand(line, argv);
  AddReplayCommand(line);
  AddPlantedCommand(line);
  AddGateCommand(line);
  AddReportCommand(line);
  AddMergeCommand(line);
  AddInspectCommand(line);
  AddCampaignCommand(line);
  std::vector<std::string> variants = {"all", "baselines", "peers"};
  for (const Design* design : AllDesigns()) variants.emplace_back(design->name());
  line.Offer("variant", std::move(variants));
  return line.Run(argc, argv);
}

int RunWithObject(const std::vector<char*>& arguments, const kill9_object& object,
                  const Own& given) {
  absl::StatusOr<std::unique_ptr<Design>> made = DesignOf(object);
  if (!made.ok()) return Complain("kill9", made.status());
  static const std::unique_ptr<Design> design = *std::move(made);
  static std::vector<const Design*> designs(given.designs.begin(), given.designs.end());
  designs.push_back(design.get());
  Own own = given;
  own.designs = designs;
  static std::vector<const sweep::SweepDriver*> drivers(given.sweep_drivers.begin(),
                                                        given.sweep_drivers.end());
  if (FindSweepDriver(design->kind()) == nullptr) {
    static const sweep::ObjectSweep driver(object.model);
    drivers.push_back(&driver);
  }
  own.sweep_drivers = drivers;
  KeepNamesToOurselves(arguments, *design);
  return RunCommand(WithVariant(object, arguments), own);
}

}  // namespace

int Main(int argc, char** argv, const Own& own) {
  EndOnInterrupts();
  SetCommandLine(argc, argv);
  std::vector<char*> arguments(argv, argv + argc);
  const std::optional<std::string> path = TakePlugin(arguments);
  if (!path.has_value()) return RunCommand(arguments, own);
  if (path->empty()) return Complain("kill9", absl::InvalidArgumentError("--plugin needs a file"));
  if (arguments.size() > 1 && std::string_view(arguments[1]) == "explore") {
    return Complain(
        "kill9",
        absl::InvalidArgumentError(
            "explore takes no plugin: what is explored is compiled for it (docs/explore.md)"));
  }
  absl::StatusOr<const kill9_object*> object = LoadPlugin(*path);
  if (!object.ok()) return Complain("kill9", object.status());
  CommandName() = absl::StrCat("kill9 --plugin=", *path);
  const int exit_code = RunWithObject(arguments, **object, own);
  // The answer has been given: nothing that the library does when a process ends changes it.
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  _exit(exit_code);
}

}  // namespace kill9

int kill9_main(int argc, char** argv, const kill9_object* object) {
  kill9::EndOnInterrupts();
  kill9::SetCommandLine(argc, argv);
  kill9::CommandName() = argv[0];
  return kill9::RunWithObject({argv, argv + argc}, *object, {});
}
