// Shares for people to read.
#ifndef KILL9_HARNESS_BASE_TEXT_PERCENT_H_
#define KILL9_HARNESS_BASE_TEXT_PERCENT_H_

#include <string>

namespace kill9 {

// "12.3 %": three digits, and more where a share of nearly all would else read as all of it. Only
// none of it reads "0 %", and only all of it "100 %".
std::string Percent(double share);

}  // namespace kill9

#endif  // KILL9_HARNESS_BASE_TEXT_PERCENT_H_
