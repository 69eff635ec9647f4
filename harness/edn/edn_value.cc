#include "harness/edn/edn_value.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/edn/edn_number.h"

namespace kill9 {
namespace {

using edn::AppendNumber;
using edn::AreDigits;
using edn::Malformed;
using edn::Parse;
using edn::TakeDigits;
using Kind = EdnForm::Kind;

void AppendUtf8(uint32_t point, std::string* out) {
  const auto tail = [&](int shift) {
    out->push_back(static_cast<char>(0x80 | (point >> shift & 0x3f)));
  };
  if (point < 0x80) {
    out->push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out->push_back(static_cast<char>(0xc0 | point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | point >> 12));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xf0 | point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsSurrogate(uint32_t point) { return point >= 0xd800 && point < 0xe000; }

// The four digits after "\u".
std::optional<uint32_t> ParseUnicode(std::string_view digits) {
  return digits.size() < 4 ? std::nullopt : Parse<uint32_t>(digits.substr(0, 4), 16);
}

// What the escape at the beginning of `rest`, which follows its backslash, stands for. Takes it
// away.
std::optional<uint32_t> TakeEscape(std::string_view* rest) {
  constexpr std::string_view kNames = "tnrbf\"\\";
  constexpr std::string_view kMeanings = "\t\n\r\b\f\"\\";
  const char c = rest->empty() ? '\0' : rest->front();
  if (const size_t at = kNames.find(c); !rest->empty() && at != std::string_view::npos) {
    rest->remove_prefix(1);
    return static_cast<unsigned char>(kMeanings[at]);
  }
  if (c == 'u') {
    std::optional<uint32_t> point = ParseUnicode(rest->substr(1));
    if (!point) return std::nullopt;
    rest->remove_prefix(5);
    if (!IsSurrogate(*point)) return point;
    const bool paired = *point < 0xdc00 && rest->starts_with("\\u");
    const std::optional<uint32_t> low = paired ? ParseUnicode(rest->substr(2)) : std::nullopt;
    if (!low || *low < 0xdc00 || *low >= 0xe000) return std::nullopt;
    rest->remove_prefix(6);
    return 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
  }
  size_t size = 0;
  while (size < 3 && size < rest->size() && (*rest)[size] >= '0' && (*rest)[size] <= '7') ++size;
  const std::optional<uint32_t> octal = Parse<uint32_t>(rest->substr(0, size), 8);
  if (!octal || *octal > 0377) return std::nullopt;
  rest->remove_prefix(size);
  return octal;
}

void AppendQuoted(std::string_view held, std::string* out) {
  out->push_back('"');
  for (const char c : held) {
    if (c == '"' || c == '\\') out->push_back('\\');
    out->push_back(c);
  }
  out->push_back('"');
}

// What a string holds.
absl::StatusOr<std::string> Unescape(std::string_view text) {
  std::string_view rest = text.substr(1, text.size() - 2);
  std::string held;
  while (!rest.empty()) {
    const size_t plain = std::min(rest.find('\\'), rest.size());
    held.append(rest.substr(0, plain));
    rest.remove_prefix(plain);
    if (rest.empty()) break;
    rest.remove_prefix(1);
    const std::optional<uint32_t> point = TakeEscape(&rest);
    if (!point) return Malformed("a string with an escape that there is not", text);
    AppendUtf8(*point, &held);
  }
  return held;
}

// A character in UTF-8, if `text` is exactly one that two bytes of UTF-16 hold.
std::optional<uint32_t> ParseUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.size() == 1) return byte(0) < 0x80 ? std::optional<uint32_t>(byte(0)) : std::nullopt;
  uint32_t point = byte(0) & (text.size() == 2 ? 0x1fu : 0x0fu);
  const bool leads = text.size() == 2   ? (byte(0) & 0xe0) == 0xc0
                     : text.size() == 3 ? (byte(0) & 0xf0) == 0xe0
                                        : false;
  if (!leads) return std::nullopt;
  for (size_t i = 1; i < text.size(); ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    point = point << 6 | (byte(i) & 0x3f);
  }
  return point;
}

absl::Status AppendCharacter(std::string_view text, std::string* out) {
  struct Named {
    std::string_view name;
    uint32_t point;
  };
  constexpr Named kNamed[] = {{"newline", '\n'}, {"return", '\r'},   {"space", ' '},
                              {"tab", '\t'},     {"formfeed", '\f'}, {"backspace", '\b'}};
  const std::string_view name = text.substr(1);
  std::optional<uint32_t> point;
  for (const Named& named : kNamed) {
    if (named.name == name) point = named.point;
  }
  if (!point && name.size() == 5 && name[0] == 'u') point = ParseUnicode(name.substr(1));
  if (!point && name.size() > 1 && name.size() <= 4 && name[0] == 'o') {
    point = Parse<uint32_t>(name.substr(1), 8);
    if (point && *point > 0377) point.reset();
  }
  if (!point) point = ParseUtf8(name);
  if (!point || IsSurrogate(*point)) return Malformed("not a character", text);
  absl::StrAppend(out, absl::StrFormat("\\u%04x", *point));
  return absl::OkStatus();
}

// Takes exactly so many digits.
std::optional<int> TakeNumber(std::string_view* text, size_t digits) {
  const std::string_view number = text->substr(0, digits);
  if (number.size() != digits || !AreDigits(number)) return std::nullopt;
  text->remove_prefix(digits);
  return Parse<int>(number);
}

bool Take(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

// Milliseconds since 1970 of YYYY[-MM[-DD[THH[:MM[:SS[.F…]]]]]][Z|±HH:MM].
std::optional<int64_t> ParseInstant(std::string_view text) {
  constexpr char kBefore[] = {'\0', '-', '-', 'T', ':', ':'};
  int parts[] = {0, 1, 1, 0, 0, 0};  // year, month, day, hour, minute, second
  for (size_t i = 0; i < std::size(parts); ++i) {
    if (i > 0 && (text.empty() || text[0] != kBefore[i])) break;
    if (i > 0) text.remove_prefix(1);
    const std::optional<int> part = TakeNumber(&text, i == 0 ? 4 : 2);
    if (!part) return std::nullopt;
    parts[i] = *part;
    if (i == 5 && Take(&text, '.')) {
      std::string digits(TakeDigits(&text));
      if (digits.empty()) return std::nullopt;
      digits.resize(3, '0');
      parts[5] = parts[5] * 1000 + *Parse<int>(digits);
    } else if (i == 5) {
      parts[5] *= 1000;
    }
  }
  int64_t offset_minutes = 0;
  if (!Take(&text, 'Z') && !text.empty()) {
    const bool west = text[0] == '-';
    if (!west && text[0] != '+') return std::nullopt;
    text.remove_prefix(1);
    const std::optional<int> hours = TakeNumber(&text, 2);
    if (!hours || !Take(&text, ':')) return std::nullopt;
    const std::optional<int> minutes = TakeNumber(&text, 2);
    if (!minutes) return std::nullopt;
    offset_minutes = (west ? -1 : 1) * (*hours * 60 + *minutes);
  }
  const std::chrono::year_month_day date{std::chrono::year(parts[0]),
                                         std::chrono::month(static_cast<unsigned>(parts[1])),
                                         std::chrono::day(static_cast<unsigned>(parts[2]))};
  if (!text.empty() || !date.ok() || parts[3] > 23 || parts[4] > 59 || parts[5] > 60'999) {
    return std::nullopt;
  }
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t minutes = (days * 24 + parts[3]) * 60 + parts[4] - offset_minutes;
  return minutes * 60'000 + parts[5];
}

std::string InstantText(int64_t milliseconds) {
  const std::chrono::milliseconds since(milliseconds);
  const auto day = std::chrono::floor<std::chrono::days>(since);
  const std::chrono::year_month_day date{std::chrono::sys_days(day)};
  const int64_t rest = (since - day).count();
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                         static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                         rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60, rest % 1000);
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

absl::Status Append(const EdnForm& form, std::string* out);

absl::Status AppendTagged(std::string_view text, std::string* out) {
  const size_t name_ends = std::min(text.find_first_of(" \t\r\n,\f()[]{}\";#", 1), text.size());
  const std::string name(text.substr(1, name_ends - 1));
  EdnReader reader(text.substr(name_ends), "");
  EdnForm inner;
  absl::StatusOr<bool> there = reader.Next(&inner);
  if (!there.ok()) return there.status();
  if (name == "inst" || name == "uuid") {
    if (inner.kind != Kind::kString) return Malformed("a tag before what is no string", text);
    absl::StatusOr<std::string> held = Unescape(inner.text);
    if (!held.ok()) return held.status();
    const std::optional<int64_t> instant = ParseInstant(*held);
    if (name == "inst" ? !instant.has_value() : !IsUuid(*held)) {
      return Malformed(name == "inst" ? "not an instant" : "not a UUID", text);
    }
    absl::StrAppend(out, "#", name, " \"",
                    name == "inst" ? InstantText(*instant) : absl::AsciiStrToLower(*held), "\"");
    return absl::OkStatus();
  }
  const bool is_record = name.find('.') != std::string::npos &&
                         name.find('/') == std::string::npos && inner.kind == Kind::kMap;
  if (!is_record) {
    return Malformed("a value that only the reader of its tag could compare", text);
  }
  absl::StrAppend(out, "#", name, " ");
  return Append(inner, out);
}

// Calls visit(item) for each form in a collection.
template <typename Visit>
absl::Status ForEachItem(const EdnForm& form, Visit visit) {
  const size_t opening = form.kind == Kind::kSet ? 2 : 1;
  EdnReader reader(form.text.substr(opening, form.text.size() - opening - 1), "");
  EdnForm item;
  for (;;) {
    absl::StatusOr<bool> more = reader.Next(&item);
    if (!more.ok() || !*more) return more.status();
    absl::Status status = visit(item);
    if (!status.ok()) return status;
  }
}

absl::Status AppendSequence(const EdnForm& form, std::string* out) {
  out->push_back('[');
  bool first = true;
  absl::Status status = ForEachItem(form, [&](const EdnForm& item) {
    if (!first) out->push_back(' ');
    first = false;
    return Append(item, out);
  });
  out->push_back(']');
  return status;
}

// The canonical texts of a set's items, or of a map's keys and values by turns.
struct Items {
  std::string text;
  std::vector<size_t> ends;
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(text).substr(begin, ends[i] - begin);
  }
};

absl::Status AppendUnordered(const EdnForm& form, std::string* out) {
  const bool is_map = form.kind == Kind::kMap;
  Items items;
  absl::Status status = ForEachItem(form, [&](const EdnForm& item) {
    absl::Status one = Append(item, &items.text);
    items.ends.push_back(items.text.size());
    return one;
  });
  if (!status.ok()) return status;
  std::vector<size_t> order;  // of a map: its keys
  for (size_t i = 0; i < items.ends.size(); i += is_map ? 2 : 1) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return items[a] < items[b]; });
  out->append(is_map ? "{" : "#{");
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string_view item = items[order[i]];
    if (i > 0 && items[order[i - 1]] == item) {
      return Malformed("is there twice in one set or map", item);
    }
    if (i > 0) out->push_back(' ');
    out->append(item);
    if (is_map) out->append(" ").append(items[order[i] + 1]);
  }
  out->push_back('}');
  return absl::OkStatus();
}

bool IsPlainInteger(std::string_view text) {
  if (text.front() == '-') text.remove_prefix(1);
  return AreDigits(text) && text.front() != '0';
}

// Whether the text surely is canonical: true of nearly all values of nearly all histories.
bool IsCanonical(const EdnForm& form) {
  switch (form.kind) {
    case Kind::kNil:
    case Kind::kKeyword:
    case Kind::kSymbol:
      return true;
    case Kind::kNumber:
      return form.text == "0" || IsPlainInteger(form.text);
    case Kind::kString:
      return form.text.find('\\') == std::string_view::npos;
    default:
      return false;
  }
}

absl::Status Append(const EdnForm& form, std::string* out) {
  if (IsCanonical(form)) {
    out->append(form.text);
    return absl::OkStatus();
  }
  switch (form.kind) {
    case Kind::kNumber:
      return AppendNumber(form.text, out);
    case Kind::kCharacter:
      return AppendCharacter(form.text, out);
    case Kind::kString: {
      absl::StatusOr<std::string> held = Unescape(form.text);
      if (held.ok()) AppendQuoted(*held, out);
      return held.status();
    }
    case Kind::kTagged:
      return AppendTagged(form.text, out);
    case Kind::kSet:
    case Kind::kMap:
      return AppendUnordered(form, out);
    default:
      return AppendSequence(form, out);
  }
}

}  // namespace

absl::StatusOr<std::string_view> CanonicalText(const EdnForm& form, std::string* room) {
  if (IsCanonical(form)) return form.text;
  room->clear();
  absl::Status status = Append(form, room);
  if (!status.ok()) return status;
  return std::string_view(*room);
}

}  // namespace kill9
