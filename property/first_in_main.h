// What some programs of tests do before GoogleTest does anything.
#ifndef KILL9_PROPERTY_FIRST_IN_MAIN_H_
#define KILL9_PROPERTY_FIRST_IN_MAIN_H_

#include <optional>
#include <vector>

namespace kill9 {

// A variable of this type, anywhere in a program of tests, has its function called first in main
// (property/test_main.cc). An answer is the program's exit code.
class FirstInMain {
 public:
  using Function = std::optional<int> (*)(int argc, char** argv);
  explicit FirstInMain(Function function) { All().push_back(function); }

  static std::vector<Function>& All() {
    static auto* const all = new std::vector<Function>;
    return *all;
  }
};

}  // namespace kill9

#endif  // KILL9_PROPERTY_FIRST_IN_MAIN_H_
