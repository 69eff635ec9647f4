// The frame of a result whose runs are of designs: it tells of them what a reader needs to know, so
// that the report, or a program of somebody else, needs no list of designs.
//
//     "kinds"    of each kind of object: its sweep's "operations", in their order, and those
//                "without_place", which go through the whole object
//     "designs"  of each design, in the order of the list: "kind" (design, baseline, peer), its
//                "object", whether it is "lossless", what it "claims" of its progress ("of",
//                "progress", "probes") and where it says that it "blocks"
#ifndef KILL9_HARNESS_KINDS_RESULT_OF_DESIGNS_H_
#define KILL9_HARNESS_KINDS_RESULT_OF_DESIGNS_H_

#include <cstdint>
#include <string_view>

#include "harness/result/result.h"
#include "variants/object.h"

namespace kill9 {

std::string_view RoleName(Design::Role role);  // "design"

// As NewResult, with "kinds" and "designs".
Json NewResultOfDesigns(std::string_view kind, uint64_t seed);

}  // namespace kill9

#endif  // KILL9_HARNESS_KINDS_RESULT_OF_DESIGNS_H_
