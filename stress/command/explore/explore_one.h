// One scene, or the drawn scenes of one design, explored: told on the terminal, and as a run of the
// result.
#ifndef KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_ONE_H_
#define KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_ONE_H_

#include <string>

#include "harness/explore/runtime/question.h"
#include "harness/result/result.h"
#include "stress/command/explore/explore_arguments.h"
#include "stress/command/explore/explore_lines.h"
#include "variants/object.h"

namespace kill9 {

std::string RepeatLine(const std::string& token);
// Each returns an exit code.
int ExploreOne(const Design& variant, const std::string& name, const ExploreArguments& arguments,
               ExploreLines& lines, Json* runs);
int ExploreDrawn(const Design& variant, const ExploreArguments& arguments, ExploreLines& lines,
                 Json* runs);
// Of a scene that has ended its process: there is no schedule to tell.
int TellEnded(const Design& variant, const std::string& scenario, const ExploreArguments& arguments,
              const explore::Finding& finding, ExploreLines& lines, Json* runs);
int RepeatToken(const ExploreArguments& arguments);

}  // namespace kill9

#endif  // KILL9_STRESS_COMMAND_EXPLORE_EXPLORE_ONE_H_
