// How tests print enumerations: by name. GoogleTest has bytes for those that no stream takes
// ("1-byte object <06>"). It is among the precompiled headers of all tests.
#ifndef KILL9_PROPERTY_SCAFFOLD_PRINT_PRINT_ENUMS_H_
#define KILL9_PROPERTY_SCAFFOLD_PRINT_PRINT_ENUMS_H_

#include <array>
#include <cstddef>
#include <ostream>
#include <string_view>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

namespace kill9 {

// As the compiler spells the value: "kill9::Verdict::kStuck"; of one without a name
// "(kill9::Verdict)77".
template <auto kValue>
constexpr std::string_view SpeltByCompiler() {
  constexpr std::string_view kFunction = __PRETTY_FUNCTION__;
  constexpr size_t kBegin = kFunction.find("kValue = ") + std::string_view("kValue = ").size();
  return kFunction.substr(kBegin, kFunction.find_first_of(";]", kBegin) - kBegin);
}

// The first of an enumeration's values, which are nearly all.
template <typename Enum, size_t... kNumbers>
std::string_view SpeltByNumber(size_t number, std::index_sequence<kNumbers...>) {
  constexpr std::array<std::string_view, sizeof...(kNumbers)> kSpelt = {
      SpeltByCompiler<static_cast<Enum>(kNumbers)>()...};
  return number < kSpelt.size() ? kSpelt[number] : std::string_view();
}

template <typename Enum>
void PrintEnum(Enum value, std::ostream* out) {
  const auto number = static_cast<std::underlying_type_t<Enum>>(value);
  const std::string_view spelt =
      SpeltByNumber<Enum>(static_cast<size_t>(number), std::make_index_sequence<48>());
  const size_t scope = spelt.rfind("::");
  if (spelt.empty() || spelt.front() == '(' || scope == spelt.npos) {
    *out << +number;
  } else {
    *out << spelt.substr(scope + 2);
  }
}

}  // namespace kill9

// GoogleTest's own choice for what it has no other printer for. A scoped enumeration converts to no
// number by itself, so that nothing else would take it.
namespace testing::internal {
template <typename Enum>
requires(std::is_enum_v<Enum> && !std::is_convertible_v<Enum, int>) class UniversalPrinter<Enum> {
 public:
  static void Print(const Enum& value, std::ostream* out) { kill9::PrintEnum(value, out); }
};
}  // namespace testing::internal

#endif  // KILL9_PROPERTY_SCAFFOLD_PRINT_PRINT_ENUMS_H_
