#include "stress/command/replay/kept_history.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "harness/checker/checker.h"
#include "harness/checker/counterexample/story.h"
#include "harness/edn/edn.h"
#include "stress/command/terminal/terminal.h"

namespace kill9 {
namespace {

namespace fs = std::filesystem;

// More than torture keeps of a run: a file may come from anybody.
constexpr uintmax_t kBytesMost = 1'000'000'000;
constexpr size_t kKillsShown = 8;
constexpr size_t kEndShown = 12;  // operations

// The folder may have been moved since, and the file with it.
std::string PathOf(const Json& run, const std::string& folder) {
  const std::string given = TextField(run, "history");
  const fs::path beside = fs::path(folder) / fs::path(given).filename();
  std::error_code ignored;
  return fs::is_regular_file(beside, ignored) ? beside.string() : given;
}

std::optional<std::string> ReadText(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > kBytesMost || error) {
    return std::nullopt;
  }
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

// "all 1200 operations", "the last 300 of 1200 operations".
std::string HowMuch(const Json& run, uint64_t operations) {
  const Json whole = run.value("history_is_whole", Json());
  const Json counts = run.value("history_operations", Json());
  if (whole.is_boolean() && whole.get<bool>()) return absl::StrCat("all ", operations);
  const Json of = counts.is_object() ? counts.value("of", Json()) : Json();
  if (!of.is_number_unsigned()) return absl::StrCat("the last ", operations);
  return absl::StrCat("the last ", operations, " of ", of.get<uint64_t>());
}

// As torture shows values: the numbers of a file are as they were recorded.
Naming NamingOf(const EdnHistory& history) {
  Naming naming = history.naming();
  naming.value = [value = naming.value](uint64_t id) {
    uint64_t recorded = 0;
    const std::string text = value(id);
    return absl::SimpleAtoi(text, &recorded) ? ShownValue(recorded) : text;
  };
  return naming;
}

// The last operations, a column for each process, as many as fit. Empty: hardly any do.
std::string TheEndOf(const EdnHistory& history, const Terminal& terminal) {
  std::vector<Operation> latest = history.operations;
  std::ranges::sort(latest, std::greater(), &Operation::finish);
  std::string story;
  for (size_t shown = std::min(kEndShown, latest.size()); story.empty() && shown > 2; --shown) {
    latest.resize(shown);
    Counterexample end;
    end.operations = latest;
    std::ranges::sort(end.operations, {}, &Operation::invoke);
    story = RenderStory(end, NamingOf(history), terminal.page_columns());
  }
  return story;
}

}  // namespace

std::optional<Verdict> CheckKeptHistory(const ModelChecker& model, const Json& run,
                                        const std::string& folder) {
  if (const std::string why = TextField(run, "history_not_kept"); !why.empty()) {
    std::cerr << "its history was not kept: " << why << "\n";
  }
  if (TextField(run, "history").empty()) return std::nullopt;
  const std::string path = PathOf(run, folder);
  const std::optional<std::string> text = ReadText(path);
  if (!text.has_value()) {
    std::cerr << "the history that was kept, '" << path << "', cannot be read\n";
    return std::nullopt;
  }
  const absl::StatusOr<EdnHistory> history =
      ReadEdn(*text, path, [&model](Function function) { return model.Accepts(function); });
  if (!history.ok()) {
    std::cerr << "the history that was kept cannot be read: " << history.status().message() << "\n";
    return std::nullopt;
  }
  const Terminal terminal(2);
  const std::string what =
      absl::StrCat("the history that was kept, ", HowMuch(run, history->operations.size()),
                   " operations (", path, "): ");
  const Json checkable = run.value("history_is_checkable", Json());
  if (checkable.is_boolean() && !checkable.get<bool>()) {
    std::cerr << terminal.Broken(
                     absl::StrCat(what, "not checked, since a part of a history of the model ",
                                  std::string(model.name()), " says nothing by itself"))
              << "\n";
    return std::nullopt;
  }
  const absl::StatusOr<CheckOutcome> outcome = CheckHistory(model, history->operations, {});
  if (!outcome.ok()) {
    std::cerr << terminal.Broken(absl::StrCat(what, outcome.status().message())) << "\n";
    return std::nullopt;
  }
  const std::string verdict(VerdictName(outcome->verdict));
  std::cerr << terminal.Broken(what + verdict, outcome->verdict, what.size()) << "\n";
  if (outcome->counterexample.has_value()) {
    std::cerr << RenderText(*outcome->counterexample, NamingOf(*history), terminal.page_columns());
  } else if (outcome->verdict == Verdict::kPass) {
    std::cerr << "  what was found is nothing that the operations that ended show\n";
    const std::string end = TheEndOf(*history, terminal);
    if (!end.empty()) {
      std::cerr
          << "\nhow it ended (who was in a call when the run ended is shown as dying in it)\n\n"
          << end;
    }
  }
  return outcome->verdict;
}

void ShowLastKills(const Json& run) {
  const auto kills = run.find("last_kills");
  if (kills == run.end() || !kills->is_array() || kills->empty()) return;
  std::cerr << "who died last, the last one below:\n";
  for (size_t n = kills->size() - std::min(kills->size(), kKillsShown); n < kills->size(); ++n) {
    const Json& kill = (*kills)[n];
    const Json process = kill.is_object() ? kill.value("process", Json()) : Json();
    if (!process.is_number_unsigned()) continue;
    const std::string operation = TextField(kill, "operation");
    std::cerr << "  P" << process.get<uint64_t>() << " " << TextField(kill, "where")
              << (operation.empty() ? "" : absl::StrCat(": ", operation)) << "\n";
  }
}

}  // namespace kill9
