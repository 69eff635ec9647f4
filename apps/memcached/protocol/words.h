// Words and numbers of a command line.
#ifndef KILL9_APPS_MEMCACHED_PROTOCOL_WORDS_H_
#define KILL9_APPS_MEMCACHED_PROTOCOL_WORDS_H_

#include <charconv>
#include <string_view>

namespace kill9::memcached {

// The words of a line, one after another.
class Words {
 public:
  explicit Words(std::string_view line, char separator = ' ')
      : rest_(line), separator_(separator) {}

  // Empty: there are no more.
  std::string_view Next() {
    const size_t begin = rest_.find_first_not_of(separator_);
    if (begin == rest_.npos) {
      rest_ = {};
      return {};
    }
    rest_.remove_prefix(begin);
    const std::string_view word = rest_.substr(0, rest_.find(separator_));
    rest_.remove_prefix(word.size());
    return word;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  char separator_;
};

// Decimal digits and nothing else; a sign only where Number has one.
template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, *number);
  return error == std::errc() && stopped == end;
}

}  // namespace kill9::memcached

#endif  // KILL9_APPS_MEMCACHED_PROTOCOL_WORDS_H_
