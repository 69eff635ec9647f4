#include "harness/explore/search/token.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kill9::explore {
namespace {

constexpr char kDrain = '^', kEvent = '~', kKill = '!', kPick = '=';

int IndexOf(const Question& question, Move move) {
  for (size_t i = 0; i < question.moves.size(); ++i) {
    if (question.moves[i] == move) return static_cast<int>(i);
  }
  return Chooser::kAbandon;
}

// Whoever runs goes on; then the first that can; what can wait, waits.
int Default(const Question& question) {
  const int own = IndexOf(question, {MoveKind::kRun, static_cast<int8_t>(question.running)});
  if (own >= 0) return own;
  for (const MoveKind kind : {MoveKind::kRun, MoveKind::kDrain, MoveKind::kEvent}) {
    for (size_t i = 0; i < question.moves.size(); ++i) {
      if (question.moves[i].kind == kind) return static_cast<int>(i);
    }
  }
  return 0;
}

}  // namespace

std::string Render(const Schedule& schedule) {
  std::string text;
  for (const Part& part : schedule) {
    if (!text.empty()) text += '.';
    const char name = static_cast<char>('a' + part.move.fiber);
    switch (part.move.kind) {
      case MoveKind::kRun:
        absl::StrAppend(&text, std::string(1, name), part.steps);
        break;
      case MoveKind::kDrain:
        text += {kDrain, name};
        break;
      case MoveKind::kEvent:
        text += {kEvent, name};
        break;
      case MoveKind::kKill:
        text += {kKill, name};
        break;
      case MoveKind::kPick:
        absl::StrAppend(&text, std::string(1, name), part.steps, std::string(1, kPick),
                        static_cast<int>(part.move.age));
        break;
    }
  }
  return text;
}

namespace {

// What follows the name of a participant that goes on: 17, or 17=2.
bool ParseSteps(std::string_view text, Part& part) {
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, part.steps);
  if (error != std::errc()) return false;
  if (end == last) return true;
  if (*end != kPick) return false;
  part.move.kind = MoveKind::kPick;
  const auto [age_end, age_error] = std::from_chars(end + 1, last, part.move.age);
  return age_error == std::errc() && age_end == last;
}

}  // namespace

std::optional<Schedule> ParseSchedule(std::string_view text) {
  Schedule schedule;
  if (text.empty()) return schedule;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(std::string(text), '.'))) {
    if (part.size() < 2) return std::nullopt;
    Part parsed;
    const bool runs = part[0] >= 'a' && part[0] <= 'z';
    const char name = runs ? part[0] : part[1];
    if (name < 'a' || name >= 'a' + kMostParticipants) return std::nullopt;
    parsed.move.fiber = static_cast<int8_t>(name - 'a');
    if (runs) {
      if (!ParseSteps(std::string_view(part).substr(1), parsed)) return std::nullopt;
    } else {
      if (part.size() != 2) return std::nullopt;
      if (part[0] == kDrain) {
        parsed.move.kind = MoveKind::kDrain;
      } else if (part[0] == kEvent) {
        parsed.move.kind = MoveKind::kEvent;
      } else if (part[0] == kKill) {
        parsed.move.kind = MoveKind::kKill;
      } else {
        return std::nullopt;
      }
    }
    schedule.push_back(parsed);
  }
  return schedule;
}

std::string Render(const Token& token) {
  std::string text =
      absl::StrCat(token.variant, ":", token.scenario, ":", std::string(ModelName(token.model)),
                   ":", token.deaths, ":", Render(token.schedule));
  for (size_t i = 0; i < token.contended.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? ":w" : ",w", token.contended[i]);
  }
  return text;
}

std::optional<Token> ParseToken(std::string_view text) {
  const std::vector<std::string> fields = absl::StrSplit(std::string(text), ':');
  if (fields.size() < 5 || fields.size() > 6) return std::nullopt;
  Token token;
  token.variant = fields[0];
  token.scenario = fields[1];
  const auto* const model = std::find(std::begin(kModelNames), std::end(kModelNames), fields[2]);
  if (model == std::end(kModelNames)) return std::nullopt;
  token.model = static_cast<MemoryModel>(model - std::begin(kModelNames));
  if (!absl::SimpleAtoi(fields[3], &token.deaths) || token.deaths < 0 ||
      token.deaths > kMostDeaths) {
    return std::nullopt;
  }
  std::optional<Schedule> schedule = ParseSchedule(fields[4]);
  if (!schedule.has_value()) return std::nullopt;
  token.schedule = *std::move(schedule);
  if (fields.size() == 5) return token;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(fields[5], ','))) {
    uint64_t number = 0;
    if (word.size() < 2 || word[0] != 'w' || !absl::SimpleAtoi(word.substr(1), &number)) {
      return std::nullopt;
    }
    token.contended.push_back(number);
  }
  return token;
}

int Recorder::Choose(const Question& question) {
  const int choice = chooser_.Choose(question);
  if (choice == kAbandon || question.ended) return choice;
  const Move move = question.moves[static_cast<size_t>(choice)];
  if (move.kind == MoveKind::kPick) {
    if (move.age != 0) schedule_.push_back({move, machine_.steps_of(move.fiber)});
    return choice;
  }
  // How far the present one has come, before something else happens.
  if (question.running >= 0 && question.running < kMostParticipants &&
      move != Move{MoveKind::kRun, static_cast<int8_t>(question.running)}) {
    const Part so_far{{MoveKind::kRun, static_cast<int8_t>(question.running)},
                      machine_.steps_of(question.running)};
    const auto same = std::find_if(schedule_.rbegin(), schedule_.rend(),
                                   [&](const Part& part) { return part.move == so_far.move; });
    if (so_far.steps > 0 && (same == schedule_.rend() || same->steps != so_far.steps)) {
      schedule_.push_back(so_far);
    }
  }
  if (move.kind == MoveKind::kRun) {
    last_ = move.fiber;
  } else {
    schedule_.push_back({move, 0});
  }
  return choice;
}

void Recorder::Finish() {
  if (last_ == kNobody) return;
  schedule_.push_back({{MoveKind::kRun, static_cast<int8_t>(last_)}, machine_.steps_of(last_) + 1});
}

int Follower::ChooseStore(const Question& question) {
  constexpr int kNewest = 0;
  if (next_ == schedule_.size()) return kNewest;
  const Part& part = schedule_[next_];
  const int choice = IndexOf(question, part.move);
  if (choice < 0 || machine_.steps_of(part.move.fiber) != part.steps) return kNewest;
  ++next_;
  return choice;
}

int Follower::Choose(const Question& question) {
  if (question.ended) return 0;
  if (question.moves[0].kind == MoveKind::kPick) return ChooseStore(question);
  for (; next_ < schedule_.size(); ++next_) {
    const Part& part = schedule_[next_];
    const uint64_t steps = machine_.steps_of(part.move.fiber);
    if (part.move.kind == MoveKind::kPick || part.move.kind == MoveKind::kRun) {
      const int choice = IndexOf(question, {MoveKind::kRun, part.move.fiber});
      if (choice >= 0 && steps < part.steps) return choice;
      continue;
    }
    if (const int choice = IndexOf(question, part.move); choice >= 0) {
      ++next_;
      return choice;
    }
  }
  return Default(question);
}

}  // namespace kill9::explore
