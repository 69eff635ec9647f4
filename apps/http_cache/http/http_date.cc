#include "apps/http_cache/http/http_date.h"

#include <cstdio>
#include <ctime>

namespace kill9::http {
namespace {

constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Reads text by a pattern: a letter of "DMYhms" is a digit of that number, 'N' a letter of the
// month's name, '_' a digit of the day or a space; anything else stands for itself.
struct Reading {
  int day = 0, year = 0, hour = 0, minute = 0, second = 0;
  std::string month;

  bool Read(std::string_view text, std::string_view pattern) {
    if (text.size() != pattern.size()) return false;
    for (size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      int* number = nullptr;
      switch (pattern[at]) {
        case 'D':
          number = &day;
          break;
        case 'Y':
          number = &year;
          break;
        case 'h':
          number = &hour;
          break;
        case 'm':
          number = &minute;
          break;
        case 's':
          number = &second;
          break;
        case 'N':
          month.push_back(c);
          continue;
        case '_':
          if (c == ' ') continue;
          number = &day;
          break;
        default:
          if (c != pattern[at]) return false;
          continue;
      }
      if (c < '0' || c > '9') return false;
      *number = *number * 10 + (c - '0');
    }
    return true;
  }
};

bool NamesDay(std::string_view name) {
  for (const char* day : kDays) {
    if (name.substr(0, 3) == day) return true;
  }
  return false;
}

// A year of two digits that seems to be more than 50 years ahead is the last one that ended so.
int FullYear(int two_digits) {
  const std::time_t now = std::time(nullptr);
  std::tm today;
  gmtime_r(&now, &today);
  const int this_year = today.tm_year + 1900;
  const int year = this_year / 100 * 100 + two_digits;
  return year > this_year + 50 ? year - 100 : year;
}

}  // namespace

std::optional<int64_t> ParseDate(std::string_view text) {
  if (text.size() < 24 || !NamesDay(text)) return std::nullopt;
  Reading read;
  const size_t comma = text.find(',');
  if (comma == 3) {
    if (!read.Read(text.substr(3), ", DD NNN YYYY hh:mm:ss GMT")) return std::nullopt;
  } else if (comma != std::string_view::npos) {
    if (!read.Read(text.substr(comma), ", DD-NNN-YY hh:mm:ss GMT")) return std::nullopt;
    read.year = FullYear(read.year);
  } else if (!read.Read(text.substr(3), " NNN _D hh:mm:ss YYYY")) {
    return std::nullopt;
  }
  std::tm parts = {};
  parts.tm_mon = -1;
  for (int month = 0; month < 12; ++month) {
    if (read.month == kMonths[month]) parts.tm_mon = month;
  }
  if (parts.tm_mon < 0 || read.day < 1 || read.day > 31 || read.hour > 23 || read.minute > 59 ||
      read.second > 60) {
    return std::nullopt;
  }
  parts.tm_mday = read.day;
  parts.tm_year = read.year - 1900;
  parts.tm_hour = read.hour;
  parts.tm_min = read.minute;
  parts.tm_sec = read.second;
  return timegm(&parts);
}

std::string FormatDate(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts;
  if (gmtime_r(&time, &parts) == nullptr) return "Thu, 01 Jan 1970 00:00:00 GMT";
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday],
                parts.tm_mday, kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

}  // namespace kill9::http
