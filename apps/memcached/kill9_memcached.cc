// A cache that speaks memcached's protocol, and that a kill -9 does not empty (docs/apps.md).
#include <cstdio>
#include <string>

#include "apps/memcached/server/master.h"

int main(int argc, char** argv) {
  using namespace kill9::memcached;
  const absl::StatusOr<Options> options = ParseOptions(argc, argv);
  if (!options.ok()) {
    std::fprintf(stderr, "kill9-memcached: %s\n", std::string(options.status().message()).c_str());
    return 2;
  }
  if (options->shows_help) {
    std::fputs(HelpText().c_str(), stdout);
    return 0;
  }
  if (options->shows_version) {
    std::puts("kill9-memcached " KILL9_VERSION);
    return 0;
  }
  return RunServer(*options);
}
