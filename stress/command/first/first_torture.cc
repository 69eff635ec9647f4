// `kill9 torture` without options, and nothing else of kill9: what `./dev torture` runs where kill9
// has not been built yet.
#include <iostream>
#include <string_view>

#include "build_commit.h"
#include "harness/base/signals.h"
#include "harness/result/build_info.h"
#include "harness/result/result.h"
#include "harness/result/verdict.h"
#include "stress/command/arguments/complain.h"
#include "stress/command/arguments/options.h"
#include "stress/command/torture/torture_run.h"

int main(int argc, char** argv) {
  using namespace kill9;
  ResetSignals();
  if (argc != 2 || std::string_view(argv[1]) != "torture") {
    return Complain("kill9", absl::InvalidArgumentError(
                                 "this one knows `torture` without options only; ./dev kill9 is "
                                 "the whole command"));
  }
  SetCommandLine(argc, argv);
  SetBuildCommit(kBuildCommit);
  const int exit_code = TortureDesigns({});
  // An answer that did not arrive is none.
  if (absl::Status status = FinishStandardOutput(); !status.ok()) return Complain("kill9", status);
  return exit_code;
}
