// Baselines and peers of channels do what they say that they do while nobody dies, and refuse the
// rest. What deaths do to them is torture's and the sweep's to show.
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "property/channels/channel_conformance.h"
#include "property/scaffold/places.h"
#include "variants/receives_all.h"

namespace kill9 {
namespace {

using absl::StatusCode;

std::vector<const ChannelDesign*> OtherChannels() {
  std::vector<const ChannelDesign*> others;
  for (const ChannelDesign* design : AllChannels()) {
    if (design->role() != Design::Role::kDesign) others.push_back(design);
  }
  return others;
}

class ChannelPeer : public ChannelConformance {
 protected:
  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = kSegmentBytes;
    options.max_participants = 16;
    if (traits().needs_name) options.location = place_.Location(SegmentKind::kNamed);
    absl::StatusOr<std::shared_ptr<Segment>> segment = design().Create(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    channel_ = Attach();
    ASSERT_NE(channel_, nullptr);
  }
  void TearDown() override {
    channel_.reset();
    segment_.reset();
    if (!traits().needs_name) return;
    EXPECT_TRUE(Segment::Unlink(place_.Location(SegmentKind::kNamed)).ok());
    EXPECT_THAT(place_.Files(SegmentKind::kNamed), ::testing::IsEmpty());
  }

  Place place_;
};
INSTANTIATE_TEST_SUITE_P(Channels, ChannelPeer, ::testing::ValuesIn(OtherChannels()),
                         ChannelTestName);

TEST_P(ChannelPeer, MessagesComeInOrderAsTheyWereSent) {
  std::vector<std::string> messages;
  for (const size_t size : {0, 1, 7, 8, 155, 4096, 4097, 32'768}) {
    if (size <= channel_->max_message_bytes()) messages.push_back(MessageOf(size, size));
  }
  ASSERT_GE(messages.size(), 6u);
  for (const std::string& message : messages) Send(message);
  EXPECT_EQ(channel_->Look()->waiting, messages.size());
  for (const std::string& message : messages) EXPECT_EQ(Receive(), message);
  ExpectEmpty();
}

// Again and again, so that what was taken out makes room.
TEST_P(ChannelPeer, FullAndEmptyManyTimesItLosesNothing) {
  const uint64_t room = Fill(1000);
  ASSERT_GT(room, 10u);
  EXPECT_EQ(Empty(), room);
  uint64_t sent = 0, received = 0;
  for (int turn = 0; turn < 7; ++turn) {
    const uint64_t end = sent + room / 2 + 3;
    SendNumbers(sent, end, 1000);
    sent = end;
    while (received < sent - 3) EXPECT_EQ(Receive(), MessageOf(received++, 1000));
  }
  EXPECT_EQ(Empty(), 3u);
  EXPECT_EQ(Fill(1000), room);
}

TEST_P(ChannelPeer, DeadlinesAreKept) {
  std::string message;
  const Deadline soon = Deadline::After(std::chrono::milliseconds(2));
  EXPECT_EQ(channel_->Receive(&message, soon).status().code(), StatusCode::kDeadlineExceeded);
  Fill(channel_->max_message_bytes());
  const Deadline later = Deadline::After(std::chrono::milliseconds(2));
  EXPECT_EQ(channel_->Send(MessageOf(1, channel_->max_message_bytes()), later).status().code(),
            StatusCode::kDeadlineExceeded);
}

TEST_P(ChannelPeer, OtherProcessesReceiveWhatIsSentAndAnswer) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::unique_ptr<Channel> own = Attach();
    std::string message;
    const bool got = own->Receive(&message, Deadline::Never()).ok() && message == "a question";
    _exit(got && own->Send("an answer", Deadline::Never()).ok() ? 0 : 1);
  }
  Send("a question");
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(Receive(), "an answer");
}

TEST_P(ChannelPeer, RefusesWhatItsTraitsSayThatItLacks) {
  Send("one");
  EXPECT_EQ(channel_->Take(Deadline::None()).ok(), traits().has_take);
  EXPECT_EQ(channel_->Drain(1, Deadline::None()).ok(), traits().has_take);
  EXPECT_EQ(channel_->Reserve(8, Deadline::None()).ok(), traits().has_draft);
  EXPECT_EQ(channel_->ReadinessDescriptor().ok(), traits().has_readiness);
  EXPECT_EQ(channel_->Audit().ok(), traits().has_audit);
  EXPECT_EQ(channel_->Send("two", Deadline::None()).value() != 0, traits().has_sequences);
  EXPECT_EQ(Receive(), "one");
  if (!traits().needs_name) return;
  EXPECT_EQ(design().Create({}).status().code(), StatusCode::kUnimplemented);
}

TEST_P(ChannelPeer, HandleInheritedThroughForkIsRefused) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::string message;
    const bool refused =
        absl::IsFailedPrecondition(channel_->Send("x", Deadline::None()).status()) &&
        absl::IsFailedPrecondition(channel_->Receive(&message, Deadline::None()).status());
    channel_.reset();  // harms nobody
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  Send("still mine");
  EXPECT_EQ(Receive(), "still mine");
}

TEST_P(ChannelPeer, ReceivesAllAtOnceWhereItCan) {
  ReceivesAll* const receiver = dynamic_cast<ReceivesAll*>(channel_.get());
  if (receiver == nullptr) return;
  SendNumbers(0, 300, 77);
  EXPECT_EQ(Receive(), MessageOf(0, 77));
  const absl::StatusOr<std::span<const Message>> all = receiver->ReceiveAll(Deadline::None());
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 299u);
  for (size_t i = 0; i < all->size(); ++i) EXPECT_EQ((*all)[i].bytes, MessageOf(i + 1, 77));
  EXPECT_EQ(receiver->ReceiveAll(Deadline::None()).status().code(), StatusCode::kDeadlineExceeded);
  SendNumbers(0, 2);
  EXPECT_EQ(Receive(), MessageOf(0, 40));
}

TEST(ChannelBaselines, OneOfThemReceivesAllAtOnce) {
  const absl::StatusOr<std::shared_ptr<Segment>> segment =
      FindDesign("semaphore_vector")->Create({});
  ASSERT_TRUE(segment.ok()) << segment.status();
  const absl::StatusOr<std::unique_ptr<SharedObject>> object =
      FindDesign("semaphore_vector")->AttachObject(*segment);
  ASSERT_TRUE(object.ok()) << object.status();
  EXPECT_NE(dynamic_cast<ReceivesAll*>(object->get()), nullptr);
}

}  // namespace
}  // namespace kill9
