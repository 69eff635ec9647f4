#include "harness/report/document/plot.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace kill9::report {
namespace {

constexpr int kWidth = 860;
constexpr int kHeight = 400;  // without the key, which stands below: beside, it leaves no room
constexpr int kColumnsOfKey = 2;
constexpr int kHeightOfARow = 20;
// Told apart on white and on black, and by the colour-blind (after Okabe and Ito).
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b",
                                 "#3a9bd9", "#8a5cd6", "#7f7f7f", "#c0392b", "#5d8a00"};

std::string Quote(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"_", " "}}),
                      "\"");
}

std::string Script(const Plot& plot, const std::string& output) {
  const int rows = (static_cast<int>(plot.curves.size()) + kColumnsOfKey - 1) / kColumnsOfKey;
  const int height = kHeight + rows * kHeightOfARow;
  std::string script = absl::StrFormat(
      "set terminal svg size %d,%d font 'sans-serif,14'\nset output %s\n"
      "set border 3 linecolor rgb 'black'\nset tics nomirror\n"
      "set grid ytics linecolor rgb '#888888' linewidth 0.4\n"
      "set key outside below center horizontal maxcols %d font ',13' spacing 1.1 samplen 3\nset "
      "xlabel %s\nset "
      "ylabel %s\n",
      kWidth, height, absl::StrCat("'", output, "'"), kColumnsOfKey, Quote(plot.x_label),
      Quote(plot.y_label));
  if (plot.logarithmic_x) script += "set logscale x\nset autoscale xfix\nset format x '%.0s%c'\n";
  if (plot.logarithmic_y) script += "set logscale y\nset format y '%.0s%c'\n";
  if (!plot.logarithmic_y) script += "set yrange [0:*]\n";
  if (!plot.x_names.empty()) {
    script += "set xtics (";
    for (size_t i = 0; i < plot.x_names.size(); ++i) {
      absl::StrAppend(&script, i == 0 ? "" : ", ", Quote(plot.x_names[i]), " ", i);
    }
    absl::StrAppend(&script, ")\nset xrange [-0.2:", plot.x_names.size() - 1, ".2]\n");
  }
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    absl::StrAppend(&script, "$c", i, " << END\n");
    for (const auto& [x, y] : plot.curves[i].points) {
      absl::StrAppendFormat(&script, "%.9g %.9g\n", x, y);
    }
    script += "END\n";
  }
  script += "plot ";
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    const Curve& curve = plot.curves[i];
    absl::StrAppendFormat(&script, "%s$c%d with %s linecolor rgb '%s' linewidth %s %s",
                          i == 0 ? "" : ", ", i, plot.steps ? "steps" : "linespoints",
                          kColours[i % kColours.size()], curve.dashed ? "1.4" : "2.2",
                          curve.dashed ? "dashtype 2" : "dashtype 1");
    if (!plot.steps) absl::StrAppend(&script, " pointtype ", 4 + i % 10, " pointsize 0.7");
    absl::StrAppend(&script, " title ", Quote(curve.name));
  }
  return script + "\n";
}

// What the terminal writes, made fit for a page.
std::string Domesticate(std::string svg, const std::string& name) {
  svg.erase(0, svg.find("<svg"));
  svg = std::regex_replace(svg, std::regex("\\s+xmlns(:xlink)?=\"[^\"]*\""), "");
  svg = std::regex_replace(svg, std::regex("\\bid=(['\"])"), absl::StrCat("id=$1", name, "-"));
  svg = absl::StrReplaceAll(svg, {{"xlink:href='#", absl::StrCat("xlink:href='#", name, "-")},
                                  {"url(#", absl::StrCat("url(#", name, "-")},
                                  {"<title>Gnuplot</title>", ""},
                                  {"'black'", "'currentColor'"},
                                  {"\"black\"", "\"currentColor\""},
                                  {"rgb(  0,   0,   0)", "currentColor"},
                                  {"rgb(0,0,0)", "currentColor"}});
  svg = std::regex_replace(svg, std::regex("<desc>[^<]*</desc>\\s*"), "");
  return std::regex_replace(svg, std::regex("[ \\t]*\\n\\s*"), "\n");
}

}  // namespace

absl::StatusOr<std::string> Draw(const Plot& plot) {
  std::string directory = "/tmp/kill9-plot-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return absl::UnavailableError("no room in /tmp");
  const std::string script_path = directory + "/script";
  const std::string output_path = directory + "/plot.svg";
  absl::Cleanup remove = [&] {
    unlink(script_path.c_str());
    unlink(output_path.c_str());
    rmdir(directory.c_str());
  };
  std::ofstream(script_path) << Script(plot, output_path);
  FILE* gnuplot = popen(absl::StrCat("gnuplot ", script_path, " 2>&1").c_str(), "r");
  if (gnuplot == nullptr) return absl::UnavailableError("cannot start a shell for gnuplot");
  std::string words;
  for (int c = 0; (c = std::fgetc(gnuplot)) != EOF;) words.push_back(static_cast<char>(c));
  const int status = pclose(gnuplot);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return absl::UnavailableError("gnuplot is not installed (Debian's package gnuplot-nox)");
  }
  std::ifstream file(output_path);
  const std::string svg{std::istreambuf_iterator<char>(file), {}};
  if (status != 0 || svg.find("</svg>") == std::string::npos) {
    return absl::InternalError(absl::StrCat("gnuplot failed on '", plot.name, "': ", words));
  }
  return Domesticate(svg, plot.name);
}

std::string AsFile(const std::string& svg) {
  const size_t at = svg.find('>');
  return absl::StrCat("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
                      "<svg xmlns=\"http://www.w3.org/2000/svg\" ",
                      "xmlns:xlink=\"http://www.w3.org/1999/xlink\"", svg.substr(4, at - 3),
                      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>", svg.substr(at + 1));
}

}  // namespace kill9::report
