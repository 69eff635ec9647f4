// Designs, baselines and peers apart; and those that failed apart from those that are compared.
#ifndef KILL9_HARNESS_REPORT_SECTIONS_ROLES_H_
#define KILL9_HARNESS_REPORT_SECTIONS_ROLES_H_

#include <map>
#include <string>
#include <vector>

#include "harness/report/document/document.h"
#include "harness/report/document/plot.h"
#include "harness/report/results/results.h"

namespace kill9::report {

enum class Role { kDesign, kBaseline, kPeer, kOther };

Role RoleOf(const Results& results, std::string_view name);
std::string_view TitleOf(Role role);  // "Designs"

// The worst run of a variant in one tier ("torture", "sweep", "explore").
struct WorstRun {
  std::string verdict;  // "": there is no run
  std::string reason;
  std::string link;  // to what was found; "" if nothing was
};
WorstRun WorstRunOf(const Results& results, const std::string& kind, const std::string& variant);

// What is said of a run in the section "What was found", or in that of explore: its id.
std::string IdOfFinding(const std::string& kind, const Run& run);

// Which names have failed in a tier (undecided is not failed), each asked for once.
class Failed {
 public:
  explicit Failed(const Results& results) : results_(results) {}
  bool operator()(const std::string& name);

 private:
  const Results& results_;
  std::map<std::string, bool, std::less<>> known_;
};

// Puts the rows, by their first cells, under titles: designs, baselines, peers, others.
void GroupByRole(const Results& results, Table* table);
// The same of figures: what failed comes last, under a title that says that it is not compared.
void GroupFigures(const Results& results, Table* table);
// Takes out the curves of what failed, and returns a sentence that names them ("" if none did).
std::string TakeOutFailed(const Results& results, Plot* plot);

}  // namespace kill9::report

#endif  // KILL9_HARNESS_REPORT_SECTIONS_ROLES_H_
