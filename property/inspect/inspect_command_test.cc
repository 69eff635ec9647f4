// The command's outward forms: exit codes, reasons, the result file, the page.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "harness/result/result.h"
#include "property/command/command_for_tests.h"
#include "property/inspect/inspect_fixture.h"

namespace kill9 {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class InspectCommand : public InspectFixture {
 protected:
  static Ended Run(const std::string& arguments) {
    return RunLine(absl::StrCat(KILL9_COMMAND " inspect ", arguments, " 2>&1"));
  }
  // A copy of the segment's file with these bytes written over it.
  std::string Changed(uint64_t offset, const std::string& bytes) const {
    const std::string path = absl::StrCat(place_.directory(), "/changed");
    std::string all = Bytes();
    all.replace(offset, bytes.size(), bytes);
    std::ofstream(path, std::ios::binary) << all;
    return path;
  }
};

TEST_F(InspectCommand, TellsTheSameInTextInAFileAndOnAPage) {
  Make(*FindDesign("coalescing_heap"));
  const auto heap = Attach<Heap>();
  ASSERT_TRUE(heap->Allocate(100'000, Deadline::None()).ok());
  const std::string json = place_.directory() + "/result.json";
  const std::string html = place_.directory() + "/page.html";
  const std::string name = where_.substr(where_.rfind('/') + 1);
  const Ended ended = Run(absl::StrCat(name, " --json=", json, " --html=", html));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, StartsWith(name + ": coalescing_heap, a heap of 1,048,576 bytes"));
  EXPECT_THAT(ended.output, HasSubstr("owns 1 block, 100,000 bytes"));
  const absl::StatusOr<Json> result = ReadJsonFile(json);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ((*result)["kind"], "inspect");
  const Json run = (*result)["runs"][0];
  EXPECT_EQ(run["participants"][0]["owns"]["bytes"], 100'000u);
  EXPECT_THAT(ended.output,
              HasSubstr(run["heap"]["map"]["cells"].get<std::string>().substr(0, 64)));
  std::ifstream page(html);
  const std::string text{std::istreambuf_iterator<char>(page), std::istreambuf_iterator<char>()};
  EXPECT_THAT(text, StartsWith("<!doctype html>"));
  EXPECT_THAT(text, HasSubstr("<rect"));
  // On standard output JSON stands alone.
  const Ended alone = Run(where_ + " --json=-");
  EXPECT_FALSE(ParseJson(alone.output).is_discarded()) << alone.output;
  const Ended page_alone = Run(where_ + " --html=-");
  EXPECT_THAT(page_alone.output, StartsWith("<!doctype html>"));
  EXPECT_THAT(page_alone.output, EndsWith("</html>\n"));
  EXPECT_FALSE(std::filesystem::exists("-"));
  EXPECT_EQ(Run(where_ + " --html=- --json=-").exit_code, 2);
}

TEST_F(InspectCommand, WhatIsNoSegmentOfThisProgramIsAUsageErrorThatSaysWhy) {
  Make(*FindDesign("cas_slots"));
  const auto run = [](const char* arguments) { return Run(arguments); };
  ExpectUsageErrors(run, {{"", "SEGMENT is required"},
                          {"there-is-no-such-segment", "No such file"},
                          {"/proc/self/exe", ""},
                          {"/etc/hostname", "is not a kill9 segment"},
                          {"/tmp/", ""},
                          {".", "and not '.' or '..'"},
                          {"/dev/null", "is not a regular file"},
                          {"/proc/self/fd/0 </etc/hostname", "is not a kill9 segment"}});
  const Ended file = RunLine(absl::StrCat(
      "cd ", place_.directory(), " && touch a_file && " KILL9_COMMAND " inspect a_file 2>&1"));
  EXPECT_EQ(file.exit_code, 2) << file.output;
  EXPECT_THAT(file.output, HasSubstr("the file of that name is './a_file'"));
  // The header's format version, its checksum, and its length.
  constexpr uint64_t kVersionOffset = offsetof(SegmentHeader, format_version);
  const auto expect = [&](const std::string& path, const std::string& words) {
    const Ended ended = Run(path);
    EXPECT_EQ(ended.exit_code, 2) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(words));
  };
  expect(Changed(kVersionOffset, "\x63"), "format version");
  expect(Changed(offsetof(SegmentHeader, parameters), "\x63"), "checksum");
  // Of a segment without a name nobody has looked at the header before.
  const std::string many =
      Changed(offsetof(SegmentHeader, max_participants), std::string(4, '\x7f'));
  expect("/proc/self/fd/0 <" + many, "damaged");
  expect("/proc/self/fd/0 <" + Changed(offsetof(SegmentHeader, ledger_bytes), "\x7f\x7f\x7f\x7f"),
         "damaged");
  const std::string cut = Changed(0, "kill9seg");
  std::filesystem::resize_file(cut, 100'000);
  expect(cut, "truncated");
}

TEST_F(InspectCommand, WhoMayNotReadItIsTold) {
  Make(*FindDesign("cas_slots"), 8, 1 << 20, SegmentKind::kFile);
  ASSERT_EQ(chmod(place_.directory().c_str(), 0755), 0);
  Child child([&](Line&) {
    if (geteuid() == 0 && seteuid(65534) != 0) return 77;
    // Of one's own file, the right is taken away.
    if (geteuid() != 65534) chmod(where_.c_str(), 0);
    const absl::StatusOr<Json> run = inspect::Inspect(where_, kTimeoutSeconds);
    return absl::IsPermissionDenied(run.status()) ? 0 : 1;
  });
  EXPECT_EQ(child.ExitStatus(), 0);
}

// Its bytes are a segment's, and there is damage in them.
TEST_F(InspectCommand, DamageHasAnExitCodeOfItsOwn) {
  Make(*FindDesign("coalescing_heap"));
  const auto heap = Attach<Heap>();
  const absl::StatusOr<BlockHandle> block = heap->Allocate(1000, Deadline::None());
  ASSERT_TRUE(block.ok());
  const Ended ended = Run(Changed(block->offset - 48, std::string(48, '\x5a')));
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("damage: "));
}

}  // namespace
}  // namespace kill9
