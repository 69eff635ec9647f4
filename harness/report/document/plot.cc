#include "harness/report/document/plot.h"

#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <regex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "harness/base/process_end/temporary_folder.h"
#include "harness/base/text/shell_word.h"
#include "harness/page/html.h"

namespace kill9::report {
namespace {

constexpr int kWidth = 250;  // of a panel: two stand side by side on a phone
constexpr int kHeight = 180;
constexpr int kPanelsOfARow = 4;  // in a file of its own
constexpr size_t kMostPointsTold = 8;
// Told apart on white and on black, and by the colour-blind (after Okabe and Ito).
constexpr const char* kColour = "#0f7fc4";
constexpr const char* kDashedColour = "#cf5d00";
constexpr const char* kBehind = "#9a9a9a";

std::string Quote(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"_", " "}}),
                      "\"");
}

struct Range {
  double low = 0, high = 0;
};

// Of all points; nothing if there is none.
std::optional<Range> RangeOf(const Plot& plot, bool of_y) {
  std::optional<Range> range;
  for (const Curve& curve : plot.curves) {
    for (const auto& point : curve.points) {
      const double value = of_y ? point.second : point.first;
      if (!range.has_value()) range = {value, value};
      range = {std::min(range->low, value), std::max(range->high, value)};
    }
  }
  return range;
}

// A step of 1, 2 or 5 times a power of ten: more names than this run into each other in a panel.
double Step(double high) {
  constexpr double kMostSteps = 5;
  const double power = std::pow(10, std::floor(std::log10(high / kMostSteps)));
  for (double step : {1., 2., 5.}) {
    if (high / (step * power) <= kMostSteps) return step * power;
  }
  return 10 * power;
}

// "set yrange [0:12.5]": the same in all panels.
std::string Axes(const Plot& plot) {
  std::string script;
  const std::optional<Range> x = RangeOf(plot, false);
  const std::optional<Range> y = RangeOf(plot, true);
  if (!x.has_value() || !y.has_value()) return script;  // gnuplot says what it thinks of that
  if (plot.logarithmic_x) script += "set logscale x\nset format x '%.0s%c'\n";
  if (!plot.x_names.empty()) {
    script += "set xtics (";
    for (size_t i = 0; i < plot.x_names.size(); ++i) {
      absl::StrAppend(&script, i == 0 ? "" : ", ", Quote(plot.x_names[i]), " ", i);
    }
    absl::StrAppend(&script, ")\nset xrange [-0.2:", plot.x_names.size() - 1, ".2]\n");
  } else if (x->low < x->high) {
    absl::StrAppendFormat(&script, "set xrange [%.9g:%.9g]\n", x->low, x->high);
  }
  if (plot.logarithmic_y) {
    absl::StrAppendFormat(&script,
                          "set logscale y\nset format y '%%.0s%%c'\nset yrange [%.9g:%.9g]\n",
                          y->low * 0.7, y->high * 1.4);
  } else {
    const double high = y->high > 0 ? y->high * 1.06 : 1;
    absl::StrAppendFormat(&script, "set yrange [0:%.9g]\nset ytics %.9g\n", high, Step(high));
  }
  return script;
}

std::string PanelPath(const std::string& directory, size_t i) {
  return absl::StrCat(directory, "/", i, ".svg");
}

std::string Script(const Plot& plot, const std::string& directory) {
  std::string script = absl::StrFormat(
      "set terminal svg size %d,%d font 'sans-serif,13'\nset border 3 linecolor rgb 'black'\n"
      "set tics nomirror\nset grid ytics linecolor rgb '#888888' linewidth 0.3\nunset key\n"
      "set lmargin 5.5\nset rmargin 1.5\nset bmargin 1.7\nset tmargin 1.7\n%s",
      kWidth, kHeight, Axes(plot));
  const auto block = [&](const std::string& name, const std::function<bool(size_t)>& has) {
    absl::StrAppend(&script, name, " << END\n");
    for (size_t i = 0; i < plot.curves.size(); ++i) {
      if (!has(i)) continue;
      for (const auto& [x, y] : plot.curves[i].points) {
        absl::StrAppendFormat(&script, "%.9g %.9g\n", x, y);
      }
      script += "\n";  // the next one is a line of its own
    }
    script += "END\n";
  };
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    const Curve& curve = plot.curves[i];
    block("$others", [i](size_t other) { return other != i; });
    block("$own", [i](size_t other) { return other == i; });
    absl::StrAppendFormat(&script, "set output '%s'\nset title %s offset 0,-0.6\nplot ",
                          PanelPath(directory, i), Quote(curve.name));
    if (plot.curves.size() > 1) {
      absl::StrAppendFormat(&script, "$others with lines linecolor rgb '%s' linewidth 0.8, ",
                            kBehind);
    }
    absl::StrAppendFormat(&script, "$own with linespoints linecolor rgb '%s' linewidth 2.2 %s",
                          curve.is_dashed ? kDashedColour : kColour,
                          curve.is_dashed ? "dashtype 2" : "dashtype 1");
    absl::StrAppend(&script, " pointtype 7 pointsize 0.35", "\n");
  }
  return script;
}

// The curve in words, for those who cannot see it: "1: 2.1, 2: 4.05", or where it begins and ends.
std::string Words(const Plot& plot, const Curve& curve) {
  const auto x_name = [&](double x) {
    const auto i = static_cast<size_t>(x);
    return i < plot.x_names.size() ? plot.x_names[i] : absl::StrFormat("%.4g", x);
  };
  std::string words = absl::StrCat(curve.name, ". ", plot.y_label, " by ", plot.x_label, ": ");
  for (size_t i = 0; i < curve.points.size(); ++i) {
    const bool is_told =
        curve.points.size() <= kMostPointsTold || i == 0 || i + 1 == curve.points.size();
    if (!is_told) continue;
    const auto& [x, y] = curve.points[i];
    absl::StrAppendFormat(&words, "%s%s: %.3g", i == 0 ? "" : ", ", x_name(x), y);
  }
  return words;
}

// The terminal defines every shape of a point and every box of a text in every picture, and opens
// groups for nothing: what no other part names, and what is empty, goes.
std::string WithoutWaste(std::string svg) {
  static const auto* filter = new std::regex("<filter[\\s\\S]*?</filter>\\s*");
  static const auto* empty = new std::regex("<g [^>]*>\\s*</g>\\s*");
  static const auto* shape =
      new std::regex("<(?:path|rect|circle|use)[^>]* id='([^']*)'[^>]*/>\\s*");
  svg = std::regex_replace(svg, *filter, "");
  svg = std::regex_replace(svg, *empty, "");
  // A shape may be made of one that stands before it: from the last to the first.
  std::vector<std::smatch> shapes(std::sregex_iterator(svg.begin(), svg.end(), *shape), {});
  std::string kept = svg;
  for (auto at = shapes.rbegin(); at != shapes.rend(); ++at) {
    const bool is_used = kept.find(absl::StrCat("'#", (*at)[1].str(), "'")) != std::string::npos;
    if (!is_used)
      kept.erase(static_cast<size_t>(at->position()), static_cast<size_t>(at->length()));
  }
  return kept;
}

// What the terminal writes, made fit for a page.
std::string Domesticate(std::string svg, const std::string& name, const std::string& words) {
  svg = WithoutWaste(svg.substr(svg.find("<svg")));
  svg = std::regex_replace(svg, std::regex("\\s+xmlns(:xlink)?=\"[^\"]*\""), "");
  svg = std::regex_replace(svg, std::regex("\\bid=(['\"])"), absl::StrCat("id=$1", name, "-"));
  svg = absl::StrReplaceAll(svg, {{"xlink:href='#", absl::StrCat("xlink:href='#", name, "-")},
                                  {"url(#", absl::StrCat("url(#", name, "-")},
                                  {"'black'", "'currentColor'"},
                                  {"\"black\"", "\"currentColor\""},
                                  {"rgb(  0,   0,   0)", "currentColor"},
                                  {"rgb(0,0,0)", "currentColor"}});
  svg = std::regex_replace(svg, std::regex("</?tspan[^>]*>"), "");
  // A browser would show these names of data over the panel.
  svg = std::regex_replace(svg, std::regex("<title>[^<]*</title>\\s*"), "");
  svg = std::regex_replace(svg, std::regex(" (stroke-linecap=\"butt\"|stroke-linejoin=\"miter\")"),
                           "");
  svg = std::regex_replace(svg, std::regex("<desc>[^<]*</desc>\\s*"), "");
  svg = std::regex_replace(svg, std::regex("<rect [^>]*fill=\"none\"/>\\s*"), "");
  // What all parts have is said once.
  const std::string common = "fill=\"none\" color=\"currentColor\" stroke=\"currentColor\"";
  const std::string font = "font-family=\"sans-serif\" font-size=\"13.00\"";
  svg = absl::StrReplaceAll(svg, {{absl::StrCat(" ", common, " stroke-width=\"1.00\""), ""},
                                  {absl::StrCat(" ", font), ""}});
  svg = std::regex_replace(svg, std::regex("<path stroke='currentColor' "), "<path ");
  svg = std::regex_replace(svg, std::regex("<g id=\"[^\"]*gnuplot_[^\"]*\" ?>"), "<g>");
  svg = std::regex_replace(svg, std::regex(" +'/>"), "'/>");
  svg.insert(4, absl::StrCat(" ", common, " ", font));
  svg.insert(4, absl::StrCat(" role=\"img\" aria-label=\"", EscapeHtml(words), "\""));
  return std::regex_replace(svg, std::regex("[ \\t]*\\n\\s*"), "\n");
}

}  // namespace

absl::StatusOr<std::vector<Panel>> Draw(const Plot& plot) {
  const auto folder = TemporaryFolder::Make();
  if (!folder.ok()) return folder.status();
  const std::string& directory = (*folder)->path();
  const std::string script_path = directory + "/script";
  if (!(std::ofstream(script_path) << Script(plot, directory) << std::flush)) {
    return absl::UnavailableError(absl::StrCat("cannot write to ", script_path));
  }
  FILE* gnuplot = popen(absl::StrCat("gnuplot ", ShellWord(script_path), " 2>&1").c_str(), "r");
  if (gnuplot == nullptr) return absl::UnavailableError("cannot start a shell for gnuplot");
  std::string words;
  for (int c = 0; (c = std::fgetc(gnuplot)) != EOF;) words.push_back(static_cast<char>(c));
  const int status = pclose(gnuplot);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return absl::UnavailableError("gnuplot is not installed (Debian's package gnuplot-nox)");
  }
  std::vector<Panel> panels;
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    std::ifstream file(PanelPath(directory, i));
    const std::string svg{std::istreambuf_iterator<char>(file), {}};
    if (status != 0 || svg.find("</svg>") == std::string::npos) {
      return absl::InternalError(absl::StrCat("gnuplot failed on '", plot.name, "': ", words));
    }
    const Curve& curve = plot.curves[i];
    panels.push_back(
        {curve.name, Domesticate(svg, absl::StrCat(plot.name, "-", i), Words(plot, curve))});
  }
  return panels;
}

std::string AsFile(const std::vector<Panel>& panels) {
  const int count = static_cast<int>(panels.size());
  const int columns = std::max(1, std::min(count, kPanelsOfARow));
  const int rows = (count + columns - 1) / columns;
  std::string file = absl::StrFormat(
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
      "xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 %d %d\" color=\"black\">"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      columns * kWidth, rows * kHeight);
  for (int i = 0; i < count; ++i) {
    absl::StrAppendFormat(&file, "<g transform=\"translate(%d,%d)\">%s</g>\n", i % columns * kWidth,
                          i / columns * kHeight, panels[static_cast<size_t>(i)].svg);
  }
  return file + "</svg>\n";
}

}  // namespace kill9::report
