// Which one to take, in words that are made from the figures alone: other figures give other words.
#ifndef KILL9_HARNESS_REPORT_SECTIONS_ANSWER_H_
#define KILL9_HARNESS_REPORT_SECTIONS_ANSWER_H_

#include <string>
#include <vector>

#include "harness/report/document/document.h"
#include "harness/report/results/results.h"

namespace kill9::report {

// Of the variants of one kind of object: a sentence that says what to take when, its reasons, and
// what failed, each with a link to what was found.
//
// What passed is compared, baselines left out. First come those that keep everything, and of these
// those at which a stopped process keeps nobody waiting, the fastest by the kind's first measure.
// Another one is named for each measure in which it is better than that beyond the spread of the
// rounds, and the best of those that may forget.
List AnswerOf(const Results& results, const std::string& object,
              const std::vector<std::string>& names);

// The largest share of instructions at which a stopped process blocks any operation that the
// design's claims name; less than 0: not measured.
double BlockedByAnything(const Results& results, const std::string& name);

// By torture and the sweep together.
double TotalKills(const Results& results, const std::string& variant);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_SECTIONS_ANSWER_H_
