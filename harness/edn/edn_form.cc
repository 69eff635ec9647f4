#include "harness/edn/edn_form.h"

#include <charconv>

#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

constexpr int kNestingMost = 64;  // of collections and tags
constexpr size_t kItemsKept = 2;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '\f'; }

bool EndsAtom(char c) {
  return IsSpace(c) || c == '\n' || c == '(' || c == ')' || c == '[' || c == ']' || c == '{' ||
         c == '}' || c == '"' || c == ';';
}

bool Closes(char c) { return c == ')' || c == ']' || c == '}'; }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool EdnForm::ToInteger(int64_t* value) const {
  if (kind != Kind::kNumber) return false;
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

absl::Status EdnReader::NotClosed(const Begun& begun) const {
  return Error(begun.line, begun.column,
               absl::StrCat("not closed by '", std::string(1, begun.close), "'"));
}

void EdnReader::SkipBlanks() {
  while (!AtEnd()) {
    const char c = text_[position_];
    if (c == '\n') {
      ++position_;
      ++line_;
      line_begin_ = position_;
    } else if (IsSpace(c)) {
      ++position_;
    } else if (c == ';') {
      while (!AtEnd() && text_[position_] != '\n') ++position_;
    } else {
      return;
    }
  }
}

absl::Status EdnReader::SkipSpace() {
  for (;;) {
    SkipBlanks();
    if (Peek() != '#' || Peek(1) != '_') return absl::OkStatus();
    absl::Status status = SkipForm();
    if (!status.ok()) return status;
  }
}

absl::Status EdnReader::SkipTag() {
  const uint32_t column = Column();
  const size_t begin = ++position_;
  while (!AtEnd() && !EndsAtom(text_[position_])) ++position_;
  if (position_ == begin)
    return Error(line_, column,
                 "a '#' with no tag after it. A history is EDN, one map a line, as {:process 0, "
                 ":type :invoke, :f :read}");
  return absl::OkStatus();
}

absl::Status EdnReader::Begin(bool* begun) {
  const char c = Peek();
  const char next = Peek(1);
  Begun here{Begun::What::kCollection, '\0', line_, Column(), 0};
  *begun = true;
  size_t length = 1;
  if (c == '{') {
    here.what = Begun::What::kMap;
    here.close = '}';
  } else if (c == '[') {
    here.close = ']';
  } else if (c == '(') {
    here.close = ')';
  } else if (c == '#' && next == '{') {
    here.close = '}';
    length = 2;
  } else if (c == '#' && next == '_') {
    here.what = Begun::What::kDiscard;
    length = 2;
  } else if (c == '#' && next != '#') {
    here.what = Begun::What::kTag;
    length = 0;
    absl::Status status = SkipTag();
    if (!status.ok()) return status;
  } else {
    *begun = false;
    return absl::OkStatus();
  }
  position_ += length;
  begun_.push_back(here);
  return absl::OkStatus();
}

absl::Status EdnReader::End(char close) {
  if (begun_.empty() || begun_.back().close != close) {
    return ErrorHere("closes what was not opened");
  }
  const Begun& ended = begun_.back();
  if (ended.what == Begun::What::kMap && ended.count % 2 != 0) {
    return Error(ended.line, ended.column, "a map needs a value for each key");
  }
  begun_.pop_back();
  ++position_;
  return absl::OkStatus();
}

absl::Status EdnReader::SkipForm() {
  begun_.clear();
  int nesting = 0;
  for (;;) {
    SkipBlanks();
    if (AtEnd()) {
      for (size_t i = begun_.size(); i-- > 0;) {
        if (begun_[i].close != '\0') return NotClosed(begun_[i]);
      }
      return ErrorHere("the text ends where a form is expected");
    }
    bool begun = false;
    absl::Status status = Begin(&begun);
    if (!status.ok()) return status;
    if (begun) {
      nesting += begun_.back().what != Begun::What::kDiscard;
      if (nesting > kNestingMost) return ErrorHere("nested too deeply");
      continue;
    }
    const char c = Peek();
    EdnForm::Kind kind;
    status = Closes(c) ? End(c) : c == '"' ? ReadString() : ReadAtom(&kind);
    if (!status.ok()) return status;
    nesting -= Closes(c);
    // A form has ended: the tags before it end with it, and so does one discard.
    while (!begun_.empty() && begun_.back().what == Begun::What::kTag) {
      begun_.pop_back();
      --nesting;
    }
    if (begun_.empty()) return absl::OkStatus();
    if (begun_.back().what == Begun::What::kDiscard) {
      begun_.pop_back();
      if (begun_.empty()) return absl::OkStatus();
    } else {
      ++begun_.back().count;
    }
  }
}

absl::StatusOr<bool> EdnReader::EnterMap(EdnForm* map) {
  for (;;) {
    absl::Status status = SkipSpace();
    if (!status.ok()) return status;
    if (around_ == Around::kUnknown) {
      around_ = Around::kNoCollection;
      if (Peek() == '[' || Peek() == '(') {
        around_ = Around::kCollection;
        close_ = Peek() == '[' ? ']' : ')';
        ++position_;
        continue;
      }
    }
    if (AtEnd()) {
      if (around_ == Around::kCollection) return ErrorHere("the history's vector is not closed");
      return false;
    }
    if (around_ == Around::kEnded) return ErrorHere("nothing may follow the history's vector");
    if (around_ == Around::kCollection && Peek() == close_) {
      ++position_;
      around_ = Around::kEnded;
      continue;
    }
    break;
  }
  map->line = map_.line = line_;
  map->column = map_.column = Column();
  while (Peek() == '#' && Peek(1) != '{') {
    absl::Status status = SkipTag();
    if (status.ok()) status = SkipSpace();
    if (!status.ok()) return status;
  }
  if (Closes(Peek())) return ErrorHere("closes what was not opened");
  if (Peek() != '{') return Error(*map, "an event is a map");
  ++position_;
  return true;
}

absl::StatusOr<bool> EdnReader::NextKey(EdnForm* key) {
  absl::Status status = SkipSpace();
  if (!status.ok()) return status;
  if (AtEnd()) return Error(map_, "not closed by '}'");
  if (Peek() == '}') {
    ++position_;
    return false;
  }
  status = ReadForm(key, 0);
  if (!status.ok()) return status;
  return true;
}

absl::Status EdnReader::ReadValue(EdnForm* value) {
  absl::Status status = SkipSpace();
  if (!status.ok()) return status;
  if (AtEnd()) return Error(map_, "not closed by '}'");
  if (Peek() == '}') return Error(map_, "a map needs a value for each key");
  return ReadForm(value, 2);
}

absl::StatusOr<bool> EdnReader::Next(EdnForm* form) {
  absl::Status status = SkipSpace();
  if (!status.ok()) return status;
  if (AtEnd()) return false;
  status = ReadForm(form, 0);
  if (!status.ok()) return status;
  return true;
}

absl::Status EdnReader::ReadForm(EdnForm* form, int levels) {
  form->line = line_;
  form->column = Column();
  form->count = 0;
  form->items.clear();
  const size_t begin = position_;
  const char c = Peek();
  absl::Status status;
  if (Closes(c)) {
    return ErrorHere("closes what was not opened");
  } else if (c == '[' && levels > 0) {
    form->kind = EdnForm::Kind::kVector;
    status = ReadItems(form, levels);
  } else if (c == '"') {
    form->kind = EdnForm::Kind::kString;
    status = ReadString();
  } else if (c != '[' && c != '(' && c != '{' && (c != '#' || Peek(1) == '#')) {
    status = ReadAtom(&form->kind);
  } else {
    form->kind = c == '['         ? EdnForm::Kind::kVector
                 : c == '('       ? EdnForm::Kind::kList
                 : c == '{'       ? EdnForm::Kind::kMap
                 : Peek(1) == '{' ? EdnForm::Kind::kSet
                                  : EdnForm::Kind::kTagged;
    status = SkipForm();
  }
  form->text = text_.substr(begin, position_ - begin);
  return status;
}

absl::Status EdnReader::ReadItems(EdnForm* form, int levels) {
  ++position_;
  for (;; ++form->count) {
    absl::Status status = SkipSpace();
    if (!status.ok()) return status;
    if (AtEnd()) return Error(*form, "not closed by ']'");
    if (Peek() == ']') break;
    if (form->count < kItemsKept) {
      status = ReadForm(&form->items.emplace_back(), levels - 1);
    } else {
      status = Closes(Peek()) ? ErrorHere("closes what was not opened") : SkipForm();
    }
    if (!status.ok()) return status;
  }
  ++position_;
  return absl::OkStatus();
}

absl::Status EdnReader::ReadString() {
  const uint32_t line = line_;
  const uint32_t column = Column();
  for (++position_; !AtEnd() && text_[position_] != '"'; ++position_) {
    if (text_[position_] == '\\') ++position_;
    if (AtEnd()) break;
    if (text_[position_] == '\n') {
      ++line_;
      line_begin_ = position_ + 1;
    }
  }
  if (AtEnd()) return Error(line, column, "the string is not closed");
  ++position_;
  return absl::OkStatus();
}

absl::Status EdnReader::ReadAtom(EdnForm::Kind* kind) {
  const uint32_t column = Column();
  const size_t begin = position_;
  // What follows a backslash is a character, also where it would end an atom.
  if (Peek() == '\\') {
    ++position_;
    if (AtEnd() || text_[position_] == '\n') return Error(line_, column, "a character is missing");
    ++position_;
  }
  while (!AtEnd() && !EndsAtom(text_[position_])) ++position_;
  const std::string_view atom = text_.substr(begin, position_ - begin);
  const char first = atom.front();
  const char second = atom.size() > 1 ? atom[1] : '\0';
  const bool is_signed = (first == '-' || first == '+') && IsDigit(second);
  if (atom == "nil") {
    *kind = EdnForm::Kind::kNil;
  } else if (first == '\\') {
    *kind = EdnForm::Kind::kCharacter;
  } else if (first == ':') {
    if (atom.size() == 1) return Error(line_, column, "a keyword without a name");
    *kind = EdnForm::Kind::kKeyword;
  } else if (IsDigit(first) || is_signed || first == '#') {
    *kind = EdnForm::Kind::kNumber;
  } else if (std::string_view("^@`~'").find(first) != std::string_view::npos) {
    return Error(line_, column, absl::StrCat("not EDN: ", std::string(atom)));
  } else {
    *kind = EdnForm::Kind::kSymbol;
  }
  return absl::OkStatus();
}

}  // namespace kill9
