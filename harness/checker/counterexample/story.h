// A counterexample as a story: a column for each process, a step (a call, a return, a death) in
// each line.
//
//         us  P785 (dies)             P788
//      0.000  1 put P785#12           |
//      3.120  X dies in it            |
//      9.004                          2 get
//      9.610                          2! -> P771#3
#ifndef KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_STORY_H_
#define KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_STORY_H_

#include <cstddef>
#include <string>

#include "harness/checker/counterexample/counterexample.h"
#include "harness/history/naming.h"

namespace kill9 {

// A step that is wider than its column goes on in the next line. Empty: `columns` are too few for
// so many processes.
std::string RenderStory(const Counterexample& counterexample, const Naming& naming, size_t columns);

}  // namespace kill9

#endif  // KILL9_HARNESS_CHECKER_COUNTEREXAMPLE_STORY_H_
