#include "harness/history/naming.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "harness/history/history.h"

namespace kill9 {

std::string Naming::Key(uint64_t id) const { return key ? key(id) : absl::StrCat(id); }

std::string Naming::Subject(uint64_t id) const {
  const std::string name = Key(id);
  return name.empty() ? "the object" : absl::StrCat("key ", name);
}

std::string Naming::Value(uint64_t id) const {
  if (id == kNothing) return "nil";
  if (id == kUnreadValue) return "?";
  return value ? value(id) : absl::StrCat(id);
}

uint64_t Naming::Nanoseconds(uint64_t ticks) const {
  return nanoseconds ? nanoseconds(ticks) : ticks;
}

std::string Naming::Process(uint32_t number) const {
  if (process) return process(number);
  const uint32_t companion = number >> kCompanionShift;
  return absl::StrCat("P", WhoseCompanion(number),
                      companion == 0 ? "" : absl::StrCat(".", companion));
}

std::string Naming::State(const std::string& description) const {
  std::string text;
  for (size_t i = 0; i < description.size(); ++i) {
    const size_t end = description[i] == '{' ? description.find('}', i) : std::string::npos;
    uint64_t id = 0;
    if (end != std::string::npos && absl::SimpleAtoi(description.substr(i + 1, end - i - 1), &id)) {
      text += Value(id);
      i = end;
    } else {
      text += description[i];
    }
  }
  return text;
}

std::string ShownValue(uint64_t id) {
  constexpr uint64_t kWithoutNumber = uint64_t{1} << 63;
  if ((id & kWithoutNumber) != 0) {
    const uint64_t bytes = (id & ~kWithoutNumber) - 1;
    return bytes == 0 ? "an empty one" : absl::StrCat("one of ", bytes, " B");
  }
  return id >> 32 == 0 ? absl::StrCat(id) : absl::StrCat("P", id >> 32, "#", id & UINT32_MAX);
}

Naming WithShownValues(Naming naming) {
  if (!naming.value) naming.value = ShownValue;
  return naming;
}

}  // namespace kill9
