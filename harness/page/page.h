// What the pages that kill9 writes share: a head that says how wide it is, and colours, light and
// dark, whose contrast ./dev report-test checks in a browser.
#ifndef KILL9_HARNESS_PAGE_PAGE_H_
#define KILL9_HARNESS_PAGE_PAGE_H_

#include <string>
#include <string_view>

namespace kill9 {

// From the doctype to </head>. `style` is CSS, which may use the colours: --ink, --paper, --soft,
// --line, --muted, --link, and of verdicts --good, --bad, --open (behind text), --good-ink,
// --bad-ink (text itself).
std::string PageHead(std::string_view title, std::string_view style);

}  // namespace kill9

#endif  // KILL9_HARNESS_PAGE_PAGE_H_
