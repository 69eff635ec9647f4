// The part of EDN (github.com/edn-format/edn) that histories need: forms with their places in the
// text.
#ifndef KILL9_HARNESS_EDN_FORM_H_
#define KILL9_HARNESS_EDN_FORM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace kill9 {

struct EdnForm {
  enum class Kind : uint8_t {
    kNil,
    kInteger,
    kKeyword,
    kString,
    kSymbol,
    kList,
    kVector,
    kMap,
    kSet
  };
  Kind kind = Kind::kNil;
  std::string_view text;  // of the whole form
  uint32_t line = 0;      // both from 1
  uint32_t column = 0;
  std::vector<EdnForm> items;  // of a collection; a map's keys and values by turns

  bool IsNil() const { return kind == Kind::kNil; }
  bool IsPair() const { return kind == Kind::kVector && items.size() == 2; }
  bool ToInteger(int64_t* value) const;
};

class EdnReader {
 public:
  EdnReader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  // Reads the next form. False: the text has ended.
  absl::StatusOr<bool> Next(EdnForm* form);
  // Steps into a vector or a list at top level, so that its items are read one by one by Next.
  // False: the next form is something else.
  bool EnterCollection();
  // After EnterCollection: whether its end was read.
  bool ended_collection() const { return depth_ == 0; }

  absl::Status Error(const EdnForm& at, std::string_view what) const {
    return Error(at.line, at.column, what);
  }
  absl::Status Error(uint32_t line, uint32_t column, std::string_view what) const;

 private:
  absl::Status SkipSpace();
  absl::Status ReadForm(EdnForm* form, int nesting);
  absl::Status ReadItems(EdnForm* form, char close, int nesting);
  absl::Status ReadString(EdnForm* form);
  absl::Status ReadAtom(EdnForm* form);
  absl::Status ErrorHere(std::string_view what) const { return Error(line_, Column(), what); }
  uint32_t Column() const { return static_cast<uint32_t>(position_ - line_begin_) + 1; }
  bool AtEnd() const { return position_ == text_.size(); }

  std::string_view text_;
  std::string name_;
  size_t position_ = 0;
  size_t line_begin_ = 0;
  uint32_t line_ = 1;
  int depth_ = 0;
  char close_ = 0;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_EDN_FORM_H_
