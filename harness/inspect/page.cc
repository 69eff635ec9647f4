// What was found, as a page of HTML: one file, without scripts, that needs nothing else.
#include "harness/page/page.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/inspect/heap_map.h"
#include "harness/inspect/inspect.h"
#include "harness/page/html.h"

namespace kill9::inspect {
namespace {

constexpr size_t kRowCells = 256;

constexpr std::string_view kStyle = R"(
pre { overflow-x: auto; background: var(--soft); padding: 1em; }
svg { border: 1px solid var(--line); width: 100%; }
.key span { margin-right: 1em; white-space: nowrap; }
.key i { display: inline-block; width: 1em; height: 1em; vertical-align: -.15em; }
)";

// Of an owner: neighbouring slots are far apart on the colour circle.
std::string ColourOf(const HeapMap::Cell& cell) {
  switch (cell.most()) {
    case BlockUse::kShared:
      return "#7a5cc0";
    case BlockUse::kReserved:
      return "#c9b458";
    case BlockUse::kOfTheDead:
      return "#c0392b";
    case BlockUse::kAlone:
      break;
  }
  constexpr uint32_t kGoldenAngle = 137;
  // From 70 to 250 degrees: green to blue, away from what the dead have.
  return absl::StrCat("hsl(", 70 + cell.owner * kGoldenAngle % 180, ",60%,45%)");
}

bool LooksTheSame(const HeapMap::Cell& a, const HeapMap::Cell& b) {
  return a.used() > 0 && b.used() > 0 && a.most() == b.most() && a.owner == b.owner &&
         std::equal(a.bytes, a.bytes + kBlockUses, b.bytes);
}

// One rectangle for each run of equal cells; how much of a cell is in blocks is its height.
std::string Drawn(const HeapMap& map) {
  const auto& cells = map.cells();
  const size_t rows = (cells.size() + kRowCells - 1) / kRowCells;
  std::string svg = absl::StrFormat(
      "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" height=\"%d\" role=\"img\" "
      "aria-label=\"Where blocks are\">\n",
      kRowCells, rows * 10, rows * 10);
  for (size_t n = 0; n < cells.size();) {
    size_t end = n + 1;
    while (end < cells.size() && end % kRowCells != 0 && LooksTheSame(cells[n], cells[end])) ++end;
    if (const HeapMap::Cell& cell = cells[n]; cell.used() > 0) {
      const double share =
          std::min(1.0, static_cast<double>(cell.used()) / static_cast<double>(map.cell_bytes()));
      const double height = std::max(1.0, 9 * share);
      absl::StrAppendFormat(
          &svg,
          "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>from %d: "
          "%d of %d bytes in blocks; participant %d</title></rect>\n",
          n % kRowCells, static_cast<double>(n / kRowCells) * 10 + 9.5 - height, end - n, height,
          ColourOf(cell), map.begin() + n * map.cell_bytes(), cell.used(), map.cell_bytes(),
          cell.owner);
    }
    n = end;
  }
  return svg + "</svg>\n";
}

std::string InKey(std::string_view colour, std::string_view says) {
  return absl::StrFormat("<span><i style=\"background:%s\"></i> %s</span> ", colour, says);
}

std::string HeapFigure(const Json& heap) {
  const std::optional<HeapMap> map = HeapMap::FromJson(heap["map"]);
  if (!map.has_value()) return "";
  return absl::StrCat(
      "<h2>Map</h2>\n<p>Offsets grow from left to right and from top to bottom; a cell is ",
      map->cell_bytes(), " bytes. Its height is how much of it is in blocks.</p>\n",
      "<p class=\"key\">", InKey("hsl(70,60%,45%)", "green to blue: one owner, by slot"),
      InKey("#7a5cc0", "shared"), InKey("#c9b458", "reserved"), InKey("#c0392b", "of the dead"),
      "</p>\n", Drawn(*map));
}

}  // namespace

std::string AsPage(const Json& run) {
  // The map is drawn; the words are those of the terminal.
  Json words = run;
  if (words.contains("heap")) words["heap"].erase("map");
  const std::string segment = run["segment"].get<std::string>();
  return absl::StrCat(PageHead(segment, kStyle), "<body>\n<main>\n<h1>", EscapeHtml(segment),
                      "</h1>\n<pre tabindex=\"0\">", EscapeHtml(AsText(words)), "</pre>\n",
                      run.contains("heap") ? HeapFigure(run["heap"]) : "",
                      "</main>\n</body></html>\n");
}

}  // namespace kill9::inspect
