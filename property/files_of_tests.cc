// What a program of tests is made of: SOURCE or HEADER=SOURCE, without what follows the dot, and a
// comma between two. So main is compiled once, for all programs (property/test_main.cc).
namespace kill9 {

extern const char* const kFilesOfTests;
const char* const kFilesOfTests = KILL9_TESTS;

}  // namespace kill9
