// The report of one result file, as Markdown.
#ifndef KILL9_PROPERTY_KINDS_REPORT_OF_H_
#define KILL9_PROPERTY_KINDS_REPORT_OF_H_

#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "harness/report/document/document.h"
#include "harness/report/results/results.h"
#include "harness/report/sections/sections.h"

namespace kill9 {

// Empty, with a failure, where there is none.
inline std::string ReportOf(const Json& file) {
  const std::string path =
      (std::filesystem::path(testing::TempDir()) / absl::StrCat("report_of-", getpid(), ".json"))
          .string();
  const absl::Status written = WriteResult(file, path);
  absl::StatusOr<report::Results> results = report::Results::Load({path});
  std::filesystem::remove(path);
  EXPECT_TRUE(written.ok()) << written;
  EXPECT_TRUE(results.ok()) << results.status();
  if (!results.ok()) return "";
  absl::StatusOr<report::Document> document = report::Compose(*results);
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? ToMarkdown(*document, "") : "";
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_KINDS_REPORT_OF_H_
