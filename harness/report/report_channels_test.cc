// The report tells of kinds of objects apart, and compares channels with what else passes messages.
#include <string>

#include "harness/report/compare.h"
#include "harness/report/report_for_tests.h"

namespace kill9::report {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Json ChannelRun(const char* measure, const std::string& subject, Json fields) {
  fields["measure"] = measure;
  fields["subject"] = subject;
  fields["role"] = subject == "slot_ring" ? "design" : "peer";
  fields["messages_per_second"] = Spread(3e6, 4.25e6, 5e6);
  return fields;
}

TEST(ReportOfKinds, ComparesChannelsWithWhatElsePassesMessages) {
  REQUIRE_GNUPLOT();
  Folder folder;
  folder.Write(
      "channels.json", "channel_benchmark",
      {ChannelRun("stream", "slot_ring",
                  {{"batch", 1},
                   {"ratio_to_bare_ring", Spread(0.5, 0.61, 0.7)},
                   {"ratio_to_unix_stream", Spread(11, 12.34, 13)}}),
       ChannelRun("stream", "unix_stream", {{"batch", 64}}),
       ChannelRun("sizes", "slot_ring", {{"message_bytes", 16}}),
       ChannelRun("sizes", "slot_ring", {{"message_bytes", 65'536}}),
       ChannelRun("in_place", "slot_ring", {{"message_bytes", 1 << 20}}),
       ChannelRun("many", "slot_ring", {{"senders", 4}, {"receivers", 4}}),
       ChannelRun("to_all", "slot_ring",
                  {{"receivers", 2}, {"received_share", Spread(0.7, 0.875, 0.9)}}),
       ChannelRun("to_all", "unix_stream", {{"receivers", 4}, {"received_share", Spread(1, 1, 1)}}),
       ChannelRun("echo", "slot_ring",
                  {{"wait", "spinning"},
                   {"round_trip_ns", {{"p50", 321}, {"p99", 654}}},
                   {"ratio_to_bare_ring", Spread(1.2, 1.37, 1.5)}}),
       ChannelRun("kills", "unix_stream",
                  {{"victims", "receiver"},
                   {"kills", 20},
                   {"sent", 9000},
                   {"lost", 777},
                   {"redelivered", 0},
                   {"duplicated", 0},
                   {"torn", 12},
                   {"stuck", true},
                   {"longest_pause_ms", 183.7}}),
       ChannelRun("kills", "slot_ring",
                  {{"victims", "receiver"}, {"kills", 20}, {"lost", 30}, {"stuck", false}}),
       ChannelRun("kills", "semaphore_vector",
                  {{"victims", "receiver"}, {"kills", 20}, {"lost", 555}, {"stuck", true}})});
  folder.Write(
      "torture.json", "torture",
      {Torture("slot_ring", "empty_channel", "pass"), Torture("global_mutex", "hot_key", "pass")});
  const std::string html = ToHtml(MakeAll(folder));
  EXPECT_THAT(Complaints(html), IsEmpty());
  for (const char* text :
       {"0.61 (0.50 to 0.70)", "12.34 (11.00 to 13.00)", ">4.25<", ">65.5 k bytes<", "4 to 4",
        "to all of 4", ">4.25, of which 87.5 % came<", ">321<", "1.37 (1.20 to 1.50)", ">777<",
        ">184<", ">stuck<", ">unix_stream<", ">0.61<"}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
  EXPECT_THAT(html, Not(HasSubstr("id=\"others\"")));
  // Of each death; of what got stuck that says nothing.
  const std::string choose = html.substr(0, html.find("id=\"verdicts\""));
  EXPECT_THAT(choose, HasSubstr(">1.50<"));
  EXPECT_THAT(choose, HasSubstr(">stuck<"));
  EXPECT_THAT(choose, Not(HasSubstr(">27.8<")));
}

// A round trip is better if it is shorter, a throughput if it is higher.
TEST(ReportOfKinds, ComparesTheFiguresOfChannels) {
  Folder before, after;
  const auto write = [](const Folder& folder, double rate, double time) {
    folder.Write(
        "channels.json", "channel_benchmark",
        {ChannelRun("stream", "slot_ring",
                    {{"batch", 1}, {"ratio_to_bare_ring", Spread(rate * 0.98, rate, rate * 1.02)}}),
         ChannelRun("echo", "slot_ring",
                    {{"wait", "spinning"},
                     {"ratio_to_bare_ring", Spread(time * 0.98, time, time * 1.02)}})});
  };
  write(before, 0.8, 1.2);
  write(after, 0.4, 0.6);
  const std::string text =
      Describe(Compare(*Results::Load({before.path()}), *Results::Load({after.path()})));
  EXPECT_THAT(text, HasSubstr("slower    slot_ring, stream, batch 1: 0.8"));
  EXPECT_THAT(text, HasSubstr("faster    slot_ring, echo, wait spinning: 1.2"));
}

// A scenario that a kind does not have is no column of its table.
TEST(ReportOfKinds, GivesEachKindOfObjectATableOfItsOwn) {
  Folder folder;
  Json none = Torture("slot_ring", "hot_key", "skipped");
  none["reason"] = "a channel has no such scenario";
  folder.Write("torture.json", "torture",
               {Torture("slot_ring", "empty_channel", "pass"), none,
                Torture("global_mutex", "hot_key", "pass")});
  constexpr const char* kEmptyChannel = "<th scope=\"col\">empty_<wbr>channel</th>";
  const std::string html = ToHtml(MakeAll(folder));
  const size_t verdicts = html.find("id=\"verdicts\"");
  const size_t channels = html.find("Kind: channel.", verdicts);
  const size_t stores = html.find("Kind: store.", verdicts);
  ASSERT_NE(channels, std::string::npos);
  ASSERT_LT(channels, stores);
  const std::string of_channels = html.substr(channels, stores - channels);
  EXPECT_THAT(of_channels, HasSubstr(kEmptyChannel));
  EXPECT_THAT(of_channels, Not(HasSubstr("<th scope=\"col\">hot_<wbr>key</th>")));
  EXPECT_THAT(html.substr(stores, html.find("</table>", stores) - stores),
              Not(HasSubstr(kEmptyChannel)));
}

}  // namespace
}  // namespace kill9::report
