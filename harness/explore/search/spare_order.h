// Memory orders that could be weaker, as the comment at their place says:
//
//     // [spare acquire: whoever finds it loads it once more]
//     if (slot.load(std::memory_order_acquire) == tag) ...
//
// `[spare release under c11: ...]`: of this memory model alone.
#ifndef KILL9_HARNESS_EXPLORE_SEARCH_SPARE_ORDER_H_
#define KILL9_HARNESS_EXPLORE_SEARCH_SPARE_ORDER_H_

#include <string>
#include <string_view>

#include "harness/explore/base/orderings.h"

namespace kill9::explore {

// What is lost with one step, in the words of these comments: "acquire", "release", "seq_cst",
// "failed acquire" (of an update that fails), "fence" (of a signal fence).
std::string_view WhatIsLost(Ordering::Of of, Order from, Order to);

// Why the statement at this line can do without it; empty: the comment before it does not say so,
// or the file is not there. It may say so of one model, and of one design alone.
std::string WhySpare(const std::string& file, int line, std::string_view lost,
                     std::string_view model, std::string_view design = "");

}  // namespace kill9::explore

#endif  // KILL9_HARNESS_EXPLORE_SEARCH_SPARE_ORDER_H_
