#include "stress/command/arguments/program_options.h"

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "harness/result/verdict.h"
#include "stress/command/arguments/refusals/refusals.h"
#include "harness/base/text/wrap.h"

namespace kill9 {
namespace {

constexpr size_t kHelpColumns = 80;

}  // namespace

ProgramOptions::ProgramOptions(const std::string& name, const std::string& what)
    : application_(std::make_unique<CLI::App>(what, name)),
      command_(application_.get(), &exit_code_, &no_examples_) {}
ProgramOptions::~ProgramOptions() = default;

int ProgramOptions::Refuse(const std::string& what) const {
  std::cerr << what << "\n" << application_->get_name() << " --help lists what there is\n";
  return kExitUsage;
}

int ProgramOptions::Run(int argc, char** argv, std::function<int()> job) {
  const std::string who = application_->get_name() + ": ";
  CheckOptions(*application_);
  command_.OnCall(std::move(job));
  std::vector<std::string> words(argv + 1, argv + argc);
  if (const std::string what = MissingValue(*application_, words); !what.empty()) {
    return Refuse(who + what);
  }
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    application_->parse(words);
  } catch (const CLI::ExtrasError&) {
    return Refuse(
        UnknownWords(*application_, application_->get_name(), "it", application_->remaining()));
  } catch (const CLI::CallForHelp&) {
    std::cout << Wrap(application_->help(), kHelpColumns);
    return kExitPass;
  } catch (const CLI::ParseError& error) {
    return Refuse(who + error.what());
  }
  return exit_code_;
}

}  // namespace kill9
