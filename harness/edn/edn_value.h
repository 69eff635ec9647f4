// What EDN values mean: two of them are equal, as `=` of Clojure says, exactly if their canonical
// texts are.
//
//     integers      1, +1, 1N are one; so are 0 and -0. 01 is no EDN
//     doubles       1.0, 1.00, 1e0, 10E-1 are one, and not the integer 1; 0.0 and -0.0 are one
//     decimals      1M, 1.0M, 10e-1M are one, and neither 1 nor 1.0
//     ratios        2/4 is 1/2, and 4/2 is the integer 2
//     strings       by what they hold: "A" is "\u0041", "\101"
//     characters    \A is \u0041; \newline is \u000a
//     vectors       and lists of the same items in the same order are one
//     sets, maps    the order says nothing; what is there twice is an error
//     #inst, #uuid  by the instant (to the millisecond, as Clojure reads it); by the number
//     records       #name.of.Record{…}: by name and fields
//     other values  by their text
//
// Not compared, and therefore an error: ##NaN, which equals nothing; values with other tags, which
// only their readers understand; numbers out of range of what they are read as.
#ifndef KILL9_HARNESS_EDN_EDN_VALUE_H_
#define KILL9_HARNESS_EDN_EDN_VALUE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "harness/edn/edn_form.h"

namespace kill9 {

// The canonical text of a form, which is EDN for it: the form's own, or one made in *room. The
// error says what is wrong, and not where.
absl::StatusOr<std::string_view> CanonicalText(const EdnForm& form, std::string* room);

}  // namespace kill9

#endif  // KILL9_HARNESS_EDN_EDN_VALUE_H_
