// What tests of the report share: result files in a folder of their own, and what is wrong with the
// page that is made of them.
#ifndef KILL9_HARNESS_REPORT_REPORT_FOR_TESTS_H_
#define KILL9_HARNESS_REPORT_REPORT_FOR_TESTS_H_

#include <fstream>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/kinds/result_of_designs.h"
#include "harness/report/sections/sections.h"
#include "property/scaffold/places.h"

namespace kill9::report {

class Folder : public OwnFolder {
 public:
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path() + "/" + name) << text;
  }
  void Write(const std::string& name, std::string_view kind, Json runs) const {
    Json json = NewResultOfDesigns(kind, 1);
    json["runs"] = std::move(runs);
    Write(name, json.dump());
  }
};

inline Json Torture(const std::string& variant, const std::string& scenario,
                    const std::string& verdict) {
  return {
      {"variant", variant},
      {"scenario", scenario},
      {"verdict", verdict},
      {"reason", verdict == "pass" ? "" : "because <of> " + scenario},
      {"kills", {{"total", 1234}, {"in_operation", 1000}}},
      {"recovery_us", {{"p50", 17}, {"p99", 99}, {"max", 100}, {"histogram", {{17, 5}, {99, 2}}}}},
      {"repeat", "kill9 torture --variant=" + variant + " --scenario=" + scenario},
      {"counterexample", verdict == "violation" ? "P1 [1---] & <tag>" : ""}};
}

inline Json Spread(double low, double median, double high) {
  return {{"low", low}, {"median", median}, {"high", high}};
}

inline Document MakeAll(const Folder& folder) {
  absl::StatusOr<Results> results = Results::Load({folder.path()});
  EXPECT_TRUE(results.ok()) << results.status();
  absl::StatusOr<Document> document = Compose(*results);
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? *std::move(document) : Document{};
}

// What is wrong with a page; empty if nothing.
inline std::vector<std::string> Complaints(const std::string& html) {
  std::vector<std::string> complaints;
  const auto forbid = [&](const std::string& pattern) {
    std::smatch found;
    if (std::regex_search(html, found, std::regex(pattern, std::regex::icase))) {
      complaints.push_back("contains " + found.str());
    }
  };
  forbid("[>(\"' ]-?nan[<)\"' ,]");
  forbid("[>(\"' ]-?inf[<)\"' ,]");
  forbid("https?://");
  forbid("<(link|img|iframe)\\b");
  forbid("<script[^>]*\\bsrc");
  forbid("@import");
  for (const char* element : {"table", "details", "figure", "svg", "section", "pre", "dl"}) {
    const auto count = [&](const std::string& what) {
      const std::regex pattern(what);
      return std::distance(std::sregex_iterator(html.begin(), html.end(), pattern), {});
    };
    if (count(absl::StrCat("<", element, "[ >\n]")) != count(absl::StrCat("</", element, ">"))) {
      complaints.push_back(absl::StrCat("<", element, "> is not balanced"));
    }
  }
  const std::regex links("href=[\"']#([^\"']+)");
  for (std::sregex_iterator at(html.begin(), html.end(), links), end; at != end; ++at) {
    const std::string id = (*at)[1];
    if (html.find("id=\"" + id + "\"") == std::string::npos &&
        html.find("id='" + id + "'") == std::string::npos) {
      complaints.push_back("a link leads nowhere: " + id);
    }
  }
  return complaints;
}

inline bool GnuplotIsThere() { return std::system("command -v gnuplot >/dev/null 2>&1") == 0; }

#define REQUIRE_GNUPLOT() \
  if (!GnuplotIsThere()) GTEST_SKIP() << "gnuplot is not installed (package gnuplot-nox)"

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_REPORT_FOR_TESTS_H_
