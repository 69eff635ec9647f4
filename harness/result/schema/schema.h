// What makes a JSON a result file of this kill9, for all who read one.
#ifndef KILL9_HARNESS_RESULT_SCHEMA_SCHEMA_H_
#define KILL9_HARNESS_RESULT_SCHEMA_SCHEMA_H_

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "harness/result/result.h"

namespace kill9 {

inline constexpr char kResultSchema[] = "kill9/1";

// Empty if it is one; else the end of a sentence: "is no result file of kill9".
inline std::string WhyNoResult(const Json& json) {
  const std::string schema = TextField(json, "schema");
  if (schema != kResultSchema && absl::StartsWith(schema, "kill9/")) {
    return absl::StrCat("is a file of another version of kill9: its schema is '", schema,
                        "', and this one reads '", kResultSchema, "'");
  }
  if (absl::StartsWith(schema, "kill9-summary/")) {
    return "is a summary, which keeps figures only: give the result file that it was made of";
  }
  const auto runs = json.is_object() ? json.find("runs") : json.end();
  if (schema != kResultSchema || runs == json.end() || !runs->is_array()) {
    return absl::StrCat("is no result file of kill9 (JSON with schema '", kResultSchema,
                        "', runs)");
  }
  return "";
}

}  // namespace kill9

#endif  // KILL9_HARNESS_RESULT_SCHEMA_SCHEMA_H_
