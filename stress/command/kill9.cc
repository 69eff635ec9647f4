// The kill9 command: see ./kill9 --help, and docs/design.md.
#include "stress/command/main.h"

int main(int argc, char** argv) { return kill9::Main(argc, argv); }
