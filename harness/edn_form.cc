#include "harness/edn_form.h"

#include <charconv>

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

constexpr int kNestingMost = 64;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '\f'; }

bool EndsAtom(char c) {
  return IsSpace(c) || c == '\n' || c == '(' || c == ')' || c == '[' || c == ']' || c == '{' ||
         c == '}' || c == '"' || c == ';';
}

}  // namespace

bool EdnForm::ToInteger(int64_t* value) const {
  if (kind != Kind::kInteger) return false;
  std::string_view digits = text;
  if (digits.front() == '+') digits.remove_prefix(1);
  if (digits.back() == 'N') digits.remove_suffix(1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
  return error == std::errc() && end == digits.data() + digits.size();
}

absl::Status EdnReader::Error(uint32_t line, uint32_t column, std::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat(name_, ":", line, ":", column, ": ", std::string(what)));
}

absl::Status EdnReader::SkipSpace() {
  while (!AtEnd()) {
    char c = text_[position_];
    if (c == '\n') {
      ++position_;
      ++line_;
      line_begin_ = position_;
    } else if (IsSpace(c)) {
      ++position_;
    } else if (c == ';') {
      while (!AtEnd() && text_[position_] != '\n') ++position_;
    } else if (c == '#' && position_ + 1 < text_.size() && text_[position_ + 1] == '_') {
      position_ += 2;
      EdnForm discarded;
      absl::Status status = SkipSpace();
      if (status.ok()) status = ReadForm(&discarded, 1);
      if (!status.ok()) return status;
    } else {
      break;
    }
  }
  return absl::OkStatus();
}

bool EdnReader::EnterCollection() {
  if (!SkipSpace().ok() || AtEnd()) return false;
  char c = text_[position_];
  if (c != '[' && c != '(') return false;
  ++position_;
  depth_ = 1;
  close_ = c == '[' ? ']' : ')';
  return true;
}

absl::StatusOr<bool> EdnReader::Next(EdnForm* form) {
  absl::Status status = SkipSpace();
  if (!status.ok()) return status;
  if (AtEnd()) {
    if (depth_ != 0) return ErrorHere("the history's vector is not closed");
    return false;
  }
  if (depth_ != 0 && text_[position_] == close_) {
    ++position_;
    depth_ = 0;
    return Next(form);
  }
  status = ReadForm(form, 0);
  if (!status.ok()) return status;
  return true;
}

absl::Status EdnReader::ReadForm(EdnForm* form, int nesting) {
  if (AtEnd()) return ErrorHere("the text ends where a form is expected");
  if (nesting > kNestingMost) return ErrorHere("nested too deeply");
  form->line = line_;
  form->column = Column();
  const size_t begin = position_;
  absl::Status status;
  switch (text_[position_]) {
    case '{':
      form->kind = EdnForm::Kind::kMap;
      status = ReadItems(form, '}', nesting);
      if (status.ok() && form->items.size() % 2 != 0) {
        return Error(*form, "a map needs a value for each key");
      }
      break;
    case '[':
      form->kind = EdnForm::Kind::kVector;
      status = ReadItems(form, ']', nesting);
      break;
    case '(':
      form->kind = EdnForm::Kind::kList;
      status = ReadItems(form, ')', nesting);
      break;
    case '}':
    case ']':
    case ')':
      return ErrorHere("closes what was not opened");
    case '"':
      status = ReadString(form);
      break;
    case '#':
      ++position_;
      if (!AtEnd() && text_[position_] == '{') {
        form->kind = EdnForm::Kind::kSet;
        status = ReadItems(form, '}', nesting);
        break;
      }
      // A tag: the form that follows is what counts.
      while (!AtEnd() && !EndsAtom(text_[position_])) ++position_;
      if (position_ == begin + 1) return Error(*form, "a tag without a name");
      status = SkipSpace();
      return status.ok() ? ReadForm(form, nesting + 1) : status;
    default:
      status = ReadAtom(form);
      break;
  }
  form->text = text_.substr(begin, position_ - begin);
  return status;
}

absl::Status EdnReader::ReadItems(EdnForm* form, char close, int nesting) {
  const uint32_t line = line_;
  const uint32_t column = Column();
  ++position_;
  size_t count = 0;
  for (;;) {
    absl::Status status = SkipSpace();
    if (!status.ok()) return status;
    if (AtEnd())
      return Error(line, column, absl::StrCat("not closed by '", std::string(1, close), "'"));
    if (text_[position_] == close) break;
    // The items' own room is reused from map to map.
    if (count == form->items.size()) form->items.emplace_back();
    status = ReadForm(&form->items[count], nesting + 1);
    if (!status.ok()) return status;
    ++count;
  }
  form->items.resize(count);
  ++position_;
  return absl::OkStatus();
}

absl::Status EdnReader::ReadString(EdnForm* form) {
  form->kind = EdnForm::Kind::kString;
  for (++position_; !AtEnd() && text_[position_] != '"'; ++position_) {
    if (text_[position_] == '\\') ++position_;
    if (AtEnd()) break;
    if (text_[position_] == '\n') {
      ++line_;
      line_begin_ = position_ + 1;
    }
  }
  if (AtEnd()) return Error(*form, "the string is not closed");
  ++position_;
  return absl::OkStatus();
}

absl::Status EdnReader::ReadAtom(EdnForm* form) {
  const size_t begin = position_;
  while (!AtEnd() && !EndsAtom(text_[position_])) ++position_;
  std::string_view atom = text_.substr(begin, position_ - begin);
  char first = atom.front();
  char second = atom.size() > 1 ? atom[1] : '\0';
  bool signed_digit = (first == '-' || first == '+') && second >= '0' && second <= '9';
  if (atom == "nil") {
    form->kind = EdnForm::Kind::kNil;
  } else if (first == ':') {
    if (atom.size() == 1) return Error(*form, "a keyword without a name");
    form->kind = EdnForm::Kind::kKeyword;
  } else if ((first >= '0' && first <= '9') || signed_digit) {
    form->kind = EdnForm::Kind::kInteger;
    for (char c : atom) {
      bool part = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' ||
                  c == 'E' || c == 'N' || c == 'M' || c == '/';
      if (!part) return Error(*form, absl::StrCat("not a number: ", std::string(atom)));
    }
  } else {
    form->kind = EdnForm::Kind::kSymbol;
  }
  return absl::OkStatus();
}

}  // namespace kill9
