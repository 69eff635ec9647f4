#include "harness/page/page.h"

#include "absl/strings/str_cat.h"
#include "harness/page/html.h"

namespace kill9 {
namespace {

constexpr std::string_view kPalette = R"css(
:root { color-scheme: light dark; --ink: #1c2128; --paper: #ffffff; --soft: #f3f4f6;
  --line: #d4d8dd; --muted: #57606a; --link: #0a53be; --good: #d9f2df; --bad: #fbd9d5;
  --open: #fdeec4; --good-ink: #14672f; --bad-ink: #b3261e; --heat: 214, 69, 48; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --paper: #14181d; --soft: #1d2329; --line: #39414a; --muted: #a3adb8;
    --link: #82b6ff; --good: #17452a; --bad: #66251e; --open: #574513; --good-ink: #7ddc9a;
    --bad-ink: #ff9a90; --heat: 172, 52, 36; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { line-height: 1.2; margin: .5rem 0; font-size: 1.6rem; } h2 { font-size: 1.3rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 1px; }
.scroll { overflow-x: auto; margin: .8rem 0; }
)css";

}  // namespace

std::string PageHead(std::string_view title, std::string_view style) {
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeHtml(title), "</title>\n<style>", std::string(kPalette), std::string(style),
      "</style>\n</head>\n");
}

}  // namespace kill9
