#include "stress/command/terminal/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "harness/base/text/wrap.h"

namespace kill9 {
namespace {

constexpr size_t kUnlimited = ~size_t{0};
constexpr size_t kUsualColumns = 80;
constexpr std::chrono::milliseconds kBetweenLiveLines(100);
constexpr char kOverwrite[] = "\r\033[K";

size_t ColumnsOf(int fd, bool live) {
  size_t given = 0;
  const char* environment = std::getenv("COLUMNS");
  if (environment != nullptr && absl::SimpleAtoi(environment, &given) && given > 0) return given;
  if (!live) return kUnlimited;
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsualColumns;
}

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

Terminal::Terminal(int fd)
    : live_(isatty(fd) != 0),
      coloured_(live_ && !IsSet("NO_COLOR") &&
                std::string_view(IsSet("TERM") ? std::getenv("TERM") : "dumb") != "dumb"),
      columns_(ColumnsOf(fd, live_)) {}

size_t Terminal::page_columns() const {
  return columns_ == kUnlimited ? kUsualColumns : std::max(columns_, kUsualColumns);
}

std::string Terminal::Fit(std::string_view text) const {
  if (text.size() <= columns_) return std::string(text);
  return std::string(text.substr(0, columns_));
}

std::string Terminal::Paint(Verdict verdict) const {
  const std::string_view name = VerdictName(verdict);
  if (!coloured_) return std::string(name);
  const int exit_code = ExitCode(verdict);
  const char* colour = exit_code == kExitPass && verdict == Verdict::kPass ? "\033[32m"
                       : exit_code == kExitFailed                          ? "\033[1;31m"
                                                                           : "\033[33m";
  return absl::StrCat(colour, std::string(name), "\033[0m");
}

std::string Terminal::Broken(const std::string& text) const { return Wrap(text, columns_); }

std::string Terminal::Broken(const std::string& line, Verdict verdict, size_t from) const {
  std::string broken = Broken(line);  // colour has no width
  const std::string_view name = VerdictName(verdict);
  const size_t at = broken.find(name, from);
  return at == std::string::npos ? broken : broken.replace(at, name.size(), Paint(verdict));
}

void LiveLine::Show(std::string_view text) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_.is_live() || now < next_) return;
  next_ = now + kBetweenLiveLines;
  is_shown_ = true;
  out_ << kOverwrite << terminal_.Fit(text) << std::flush;
}

void LiveLine::Clear() {
  if (is_shown_) out_ << kOverwrite << std::flush;
  is_shown_ = false;
}

}  // namespace kill9
