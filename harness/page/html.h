// Text as HTML, for the pages that kill9 writes.
#ifndef KILL9_HARNESS_PAGE_HTML_H_
#define KILL9_HARNESS_PAGE_HTML_H_

#include <string>
#include <string_view>

#include "absl/strings/str_replace.h"

namespace kill9 {

// `text` as the content of an element or of a double-quoted attribute.
inline std::string EscapeHtml(std::string_view text) {
  return absl::StrReplaceAll({text.data(), text.size()},
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

}  // namespace kill9

#endif  // KILL9_HARNESS_PAGE_HTML_H_
