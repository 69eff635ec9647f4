// The part of EDN (github.com/edn-format/edn) that histories need: events one by one, and the forms
// that they hold with their places in the text. Whatever the text is, reading it takes time in
// proportion to its length and memory for one event: nothing here calls itself as deep as the text
// is nested, and of a collection only its first two items are kept.
#ifndef KILL9_HARNESS_EDN_EDN_FORM_H_
#define KILL9_HARNESS_EDN_EDN_FORM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace kill9 {

struct EdnForm {
  enum class Kind : uint8_t {
    kNil,
    kNumber,
    kKeyword,
    kString,
    kCharacter,
    kSymbol,
    kList,
    kVector,
    kMap,
    kSet,
    kTagged
  };
  Kind kind = Kind::kNil;
  std::string_view text;  // of the whole form
  uint32_t line = 0;      // both from 1
  uint32_t column = 0;
  uint64_t count = 0;          // items of a vector, where asked for
  std::vector<EdnForm> items;  // the first two of them

  bool IsNil() const { return kind == Kind::kNil; }
  bool IsPair() const { return kind == Kind::kVector && count == 2; }
  bool ToInteger(int64_t* value) const;
};

class EdnReader {
 public:
  EdnReader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  // Steps into the next map: of the text, or of the one vector or list that the text consists of.
  // A tag before it is passed over. False: there is none.
  absl::StatusOr<bool> EnterMap(EdnForm* map);
  // The next key of that map. False: the map has ended.
  absl::StatusOr<bool> NextKey(EdnForm* key);
  // The value of the key that was read last. Vectors come with their items, and theirs.
  absl::Status ReadValue(EdnForm* value);

  // The next form, as it stands, without its items. False: the text has ended.
  absl::StatusOr<bool> Next(EdnForm* form);

  absl::Status Error(const EdnForm& at, std::string_view what) const {
    return Error(at.line, at.column, what);
  }

 private:
  // What is begun and not ended: a collection, a tag, a discard. The last two end with the form
  // that follows.
  struct Begun {
    enum class What : uint8_t { kCollection, kMap, kTag, kDiscard };
    What what;
    char close;
    uint32_t line;
    uint32_t column;
    uint64_t count;
  };

  absl::Status Error(uint32_t line, uint32_t column, std::string_view what) const;
  absl::Status ErrorHere(std::string_view what) const { return Error(line_, Column(), what); }
  absl::Status NotClosed(const Begun& begun) const;
  uint32_t Column() const { return static_cast<uint32_t>(position_ - line_begin_) + 1; }
  bool AtEnd() const { return position_ == text_.size(); }
  char Peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }

  void SkipBlanks();                // and comments
  absl::Status SkipSpace();         // and discarded forms
  absl::Status SkipForm();          // or one discard
  absl::Status Begin(bool* begun);  // what stands here, if it does not end by itself
  absl::Status End(char close);     // of the collection begun last
  absl::Status SkipTag();
  absl::Status ReadForm(EdnForm* form, int levels);  // with the items of so many levels of vectors
  absl::Status ReadItems(EdnForm* form, int levels);
  absl::Status ReadString();
  absl::Status ReadAtom(EdnForm::Kind* kind);

  std::string_view text_;
  std::string name_;
  size_t position_ = 0;
  size_t line_begin_ = 0;
  uint32_t line_ = 1;
  enum class Around : uint8_t { kUnknown, kNoCollection, kCollection, kEnded };
  Around around_ = Around::kUnknown;  // the maps
  char close_ = 0;
  EdnForm map_;
  std::vector<Begun> begun_;
};

}  // namespace kill9

#endif  // KILL9_HARNESS_EDN_EDN_FORM_H_
