// Torture's scenario `closing`: the designs pass it, each of its checks finds the fault that it is
// there for, and a run in which nothing was closed upon proves nothing.
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "harness/channel_driver/closing.h"
#include "harness/torture/torture.h"
#include "property/channels/channel_conformance.h"
#include "variants/channels/copying_channel.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// What is wrong with a channel.
enum class Fault : uint8_t {
  kNone,
  kClosesNothing,
  kLosesWhatWaits,     // Close
  kEndsTooEarly,       // the end is told while messages wait
  kWakesNobody,        // who waits without a deadline is not told of a Close
  kEndsWithoutAClose,  // now and then
  kGoesOnAfterTheEnd,  // the end is told, and later "nothing yet"
};

const ChannelDesign& Sound() { return *static_cast<const ChannelDesign*>(FindDesign("slot_ring")); }

class FaultyChannel final : public CopyingChannel {
 public:
  FaultyChannel(Fault fault, std::unique_ptr<Channel> inner, MemberRole role)
      : CopyingChannel("faulty", nullptr, role), fault_(fault), inner_(std::move(inner)) {}

  size_t max_message_bytes() const override { return inner_->max_message_bytes(); }

 private:
  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) override {
    return inner_->Send(message, deadline);
  }

  absl::StatusOr<MessageInfo> DoReceive(std::string* message, Deadline deadline) override {
    if (fault_ == Fault::kEndsTooEarly && inner_->Look()->closed) return End();
    if (fault_ == Fault::kEndsWithoutAClose && ++calls_ % 100 == 0 && !inner_->Look()->closed)
      return End();
    absl::StatusOr<MessageInfo> info = inner_->Receive(message, deadline);
    if (fault_ == Fault::kWakesNobody && deadline.forever()) {
      while (absl::IsOutOfRange(info.status())) absl::SleepFor(absl::Milliseconds(1));
    }
    if (fault_ == Fault::kGoesOnAfterTheEnd && absl::IsOutOfRange(info.status()) && calls_++ > 0) {
      return absl::DeadlineExceededError("nothing yet");
    }
    return info;
  }

  absl::Status DoClose() override {
    if (fault_ == Fault::kClosesNothing) return absl::OkStatus();
    std::string lost;
    while (fault_ == Fault::kLosesWhatWaits && inner_->Receive(&lost, Deadline::None()).ok()) {
    }
    return inner_->Close();
  }

  absl::StatusOr<Occupancy> DoLook() override { return inner_->Look(); }
  absl::StatusOr<RecoveryReport> DoRecover() override { return inner_->Recover(); }
  absl::StatusOr<AuditReport> DoAudit() override { return inner_->Audit(); }

  static absl::Status End() { return absl::OutOfRangeError("closed, and empty"); }

  const Fault fault_;
  uint64_t calls_ = 0;
  std::unique_ptr<Channel> inner_;
};

class FaultyDesign final : public ChannelDesign {
 public:
  explicit FaultyDesign(Fault fault, Role role = Role::kDesign)
      : fault_(fault), role_(role), traits_(Sound().traits()) {
    traits_.has_take = traits_.has_draft = traits_.has_readiness = false;
  }
  std::string_view name() const override { return "faulty"; }
  std::string_view summary() const override { return "slot_ring with a fault"; }
  Role role() const override { return role_; }
  const ChannelTraits& traits() const override { return traits_; }
  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return Sound().Create(options);
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Sound().Open(location);
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Sound().FromFd(fd);
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    absl::StatusOr<std::unique_ptr<Channel>> inner = Sound().Attach(segment, membership);
    if (!inner.ok()) return inner.status();
    return std::make_unique<FaultyChannel>(fault_, *std::move(inner), membership.role);
  }

 private:
  const Fault fault_;
  const Role role_;
  ChannelTraits traits_;
};

// Ends by its kills, or when something is found.
TortureResult CloseAgainAndAgain(const ChannelDesign& design, uint64_t kills) {
  TortureOptions options;
  options.seed = TestSeed();
  options.supervisor.seconds = 600;
  options.supervisor.kills = kills;
  options.supervisor.processes = 4;
  options.supervisor.watchdog_us = 2'000'000;
  return RunTorture(design, *FindScenario("closing"), options,
                    [](const TortureProgress&) { return true; });
}

class ChannelClosing : public ::testing::TestWithParam<const ChannelDesign*> {};
INSTANTIATE_TEST_SUITE_P(Channels, ChannelClosing, ::testing::ValuesIn(SoundChannels()),
                         ChannelTestName);

TEST_P(ChannelClosing, PassesAndProvesSomething) {
  const TortureResult result = CloseAgainAndAgain(*GetParam(), 20);
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
  const Json& counts = result.run["closing"];
  for (const char* happened :
       {"channels", "closes_called", "sends_refused", "received_afterwards", "waiters_told"}) {
    EXPECT_GT(counts[happened].get<uint64_t>(), 0u) << happened;
  }
}

TEST(ChannelClosingRun, ASoundChannelInAFaultyOnesCoatPasses) {
  const TortureResult result = CloseAgainAndAgain(FaultyDesign(Fault::kNone), 20);
  EXPECT_EQ(VerdictName(result.verdict), "pass") << result.reason;
}

struct FaultCase {
  const char* name;
  Fault fault;
  ::testing::Matcher<std::string> verdict;
  ::testing::Matcher<std::string> reason;
  friend void PrintTo(const FaultCase& fault, std::ostream* out) { *out << fault.name; }
};

class ChannelClosingFault : public ::testing::TestWithParam<FaultCase> {};
INSTANTIATE_TEST_SUITE_P(
    Channels, ChannelClosingFault,
    ::testing::Values(  // Found by who calls, or by who waits.
        FaultCase{"ClosesNothing", Fault::kClosesNothing, AnyOf("violation", "stuck"),
                  ::testing::_},
        FaultCase{"LosesWhatWaits", Fault::kLosesWhatWaits, "violation", HasSubstr("history")},
        FaultCase{"EndsTooEarly", Fault::kEndsTooEarly, "violation", ::testing::_},
        FaultCase{"WakesNobody", Fault::kWakesNobody, "stuck", HasSubstr("without progress")},
        FaultCase{"EndsWithoutAClose", Fault::kEndsWithoutAClose, "violation", HasSubstr("told")},
        // Who waits is told so before its deadline, too.
        FaultCase{"GoesOnAfterTheEnd", Fault::kGoesOnAfterTheEnd, "violation",
                  AnyOf(HasSubstr("after a receiver had been told the end"),
                        HasSubstr("a wait that ended before its deadline"),
                        HasSubstr("a wait without a deadline: DEADLINE_EXCEEDED"))}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(ChannelClosingFault, IsFound) {
  constexpr uint64_t kFarMore = 5000;
  const TortureResult result = CloseAgainAndAgain(FaultyDesign(GetParam().fault), kFarMore);
  EXPECT_THAT(std::string(VerdictName(result.verdict)), GetParam().verdict) << result.reason;
  EXPECT_THAT(result.reason, GetParam().reason);
}

TEST(ChannelClosingRun, WhatNeedNotHaveACloseIsSkipped) {
  const TortureResult result =
      CloseAgainAndAgain(FaultyDesign(Fault::kNone, Design::Role::kPeer), 1);
  EXPECT_EQ(VerdictName(result.verdict), "skipped") << result.reason;
}

TEST(ChannelClosingRun, EachThingThatMustHaveHappenedIsMissedWhenItHasNot) {
  const std::pair<std::atomic<uint64_t> ClosingBoard::*, const char*> kNeeds[] = {
      {&ClosingBoard::closes, "closed a channel"},
      {&ClosingBoard::sends_refused, "when sending"},
      {&ClosingBoard::received_afterwards, "received from a closed channel"},
      {&ClosingBoard::waiters_told, "while waiting"},
      {&ClosingBoard::ended, "told the end"},
      {&ClosingBoard::replaced, "found empty"},
  };
  ClosingBoard board{};
  for (const auto& [need, what] : kNeeds) EXPECT_THAT(WhatIsMissingOf(board), HasSubstr(what));
  for (const auto& [need, what] : kNeeds) (board.*need).store(1, std::memory_order_relaxed);
  EXPECT_EQ(WhatIsMissingOf(board), "");
  for (const auto& [need, what] : kNeeds) {
    (board.*need).store(0, std::memory_order_relaxed);
    EXPECT_THAT(WhatIsMissingOf(board), HasSubstr(what));
    (board.*need).store(1, std::memory_order_relaxed);
  }
}

}  // namespace
}  // namespace kill9
