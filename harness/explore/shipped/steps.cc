#include "harness/explore/shipped/steps.h"

#include <algorithm>
#include <istream>
#include <ostream>

namespace kill9::explore {
namespace {

constexpr char kBegins[] = "steps";
constexpr size_t kMostInFile = 1u << 22;

// Lines of it, which have none of their own.
std::string OnOneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ';');
  return text;
}
std::string OnSeveralLines(std::string text) {
  std::replace(text.begin(), text.end(), ';', '\n');
  return text;
}

template <typename Element, typename Read>
bool ReadList(std::istream& from, std::vector<Element>* list, Read read) {
  size_t count = 0;
  if (!(from >> count) || count > kMostInFile) return false;
  list->resize(count);
  for (Element& one : *list) {
    if (!read(one)) return false;
  }
  return true;
}

void WriteWords(const Steps::Words& words, std::ostream& to) {
  to << words.size();
  for (const auto& [number, value] : words) to << " " << number << " " << value;
  to << "\n";
}

bool ReadWords(std::istream& from, Steps::Words* words) {
  return ReadList(from, words,
                  [&](auto& word) { return !(from >> word.first >> word.second).fail(); });
}

}  // namespace

void Write(const Steps& steps, std::ostream& to) {
  to << kBegins << " " << steps.variant << " " << steps.scenario << " "
     << static_cast<int>(steps.verdict) << " " << steps.cut_off << "\n"
     << OnOneLine(steps.told) << "\n"
     << steps.steps.size() << "\n";
  for (const PlannedStep& step : steps.steps) {
    to << step.participant << " " << static_cast<int>(step.kind) << " " << step.offset << " "
       << step.bytes << " " << step.value << " " << step.written << "\n";
  }
  WriteWords(steps.words, to);
  to << steps.at_deaths.size() << "\n";
  for (const Steps::Words& words : steps.at_deaths) WriteWords(words, to);
  to << steps.mutexes.size();
  for (const uint64_t mutex : steps.mutexes) to << " " << mutex;
  to << "\n";
}

std::optional<Steps> ReadSteps(std::istream& from) {
  Steps steps;
  std::string begins, told;
  int verdict = 0;
  if (!(from >> begins >> steps.variant >> steps.scenario >> verdict >> steps.cut_off) ||
      begins != kBegins) {
    return std::nullopt;
  }
  steps.verdict = static_cast<Verdict>(verdict);
  std::getline(from, told);  // what is left of the first line
  if (!std::getline(from, told)) return std::nullopt;
  steps.told = OnSeveralLines(told);
  const bool complete =
      ReadList(from, &steps.steps,
               [&](PlannedStep& step) {
                 int kind = 0;
                 from >> step.participant >> kind >> step.offset >> step.bytes >> step.value >>
                     step.written;
                 step.kind = static_cast<AccessKind>(kind);
                 return !from.fail() && step.participant >= 0 &&
                        step.participant < kMostParticipants && step.bytes <= sizeof step.value;
               }) &&
      ReadWords(from, &steps.words) &&
      ReadList(from, &steps.at_deaths,
               [&](Steps::Words& words) { return ReadWords(from, &words); }) &&
      ReadList(from, &steps.mutexes, [&](uint64_t& mutex) { return !(from >> mutex).fail(); });
  if (!complete) return std::nullopt;
  return steps;
}

void Write(const ShippedAnswer& answer, std::ostream& to) {
  to << static_cast<int>(answer.kind) << " " << static_cast<int>(answer.finding.verdict) << " "
     << answer.instructions << " " << OnOneLine(answer.how) << "\n";
}

std::optional<ShippedAnswer> ReadAnswer(std::istream& from) {
  ShippedAnswer answer;
  int kind = 0, verdict = 0;
  if (!(from >> kind >> verdict >> answer.instructions) || from.get() != ' ' ||
      !std::getline(from, answer.how)) {
    return std::nullopt;
  }
  answer.kind = static_cast<ShippedAnswer::Kind>(kind);
  answer.finding.verdict = static_cast<Verdict>(verdict);
  return answer;
}

}  // namespace kill9::explore
