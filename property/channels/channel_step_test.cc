// Conformance of channels: a member that is killed, or stopped, at every single instruction of an
// operation (trap_steps.h).
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>

#include "property/channels/channel_conformance.h"
#include "property/scaffold/trap_steps.h"

namespace kill9 {
namespace {

#if defined(__x86_64__)

// One operation of a victim: what it does, and what may have come of it.
struct Operation {
  const char* name;
  uint64_t before = 3;  // messages that wait when it begins
  // What another one did that died before it, and that nobody has recovered; null: there is none.
  std::function<bool(Channel&)> dead = nullptr;
  // What the victim does first, and then step by step.
  std::function<bool(Channel&)> prepare = [](Channel&) { return true; };
  std::function<bool(Channel&)> run;
  uint64_t may_take = 0;         // so many of the oldest may come again, marked
  uint64_t may_acknowledge = 0;  // so many of the oldest may be gone
  const char* may_send = "";     // may be there, the last of all
};

// More than half a chunk, and copied without a string instruction, which would be a step for each
// byte.
std::string Large() { return MessageOf(77, 1100); }

// What the victim has in its hands, until its death.
std::vector<TakenMessage> taken;
absl::StatusOr<MessageBatch> batch = absl::UnknownError("none");
absl::StatusOr<MessageDraft> draft = absl::UnknownError("none");
std::string copy;

bool TakeOne(Channel& channel) {
  absl::StatusOr<TakenMessage> one = channel.Take(Deadline::None());
  if (one.ok()) taken.push_back(*std::move(one));
  return one.ok();
}
bool DrainTwo(Channel& channel) {
  batch = channel.Drain(2, Deadline::None());
  return batch.ok() && batch->size() == 2;
}
bool ReserveDraft(Channel& channel) {
  draft = channel.Reserve(5, Deadline::None());
  if (draft.ok()) std::memcpy(draft->bytes().data(), "draft", 5);
  return draft.ok();
}

std::vector<Operation> OperationsOfSenders() {
  static const std::string large = Large();
  std::vector<Operation> all;
  all.push_back(
      {.name = "send",
       .run = [](Channel& channel) { return channel.Send("by the victim", Deadline::None()).ok(); },
       .may_send = "by the victim"});
  all.push_back(
      {.name = "send_to_an_empty_channel",
       .before = 0,
       .run = [](Channel& channel) { return channel.Send("by the victim", Deadline::None()).ok(); },
       .may_send = "by the victim"});
  all.push_back({.name = "send_a_large_one",
                 .run = [](Channel& channel) { return channel.Send(large, Deadline::None()).ok(); },
                 .may_send = large.c_str()});
  all.push_back({.name = "reserve", .run = ReserveDraft});
  all.push_back({.name = "commit",
                 .prepare = ReserveDraft,
                 .run = [](Channel& channel) { return channel.Commit(*std::move(draft)).ok(); },
                 .may_send = "draft"});
  all.push_back({.name = "drop", .prepare = ReserveDraft, .run = [](Channel&) {
                   draft->Drop();
                   return true;
                 }});
  return all;
}

std::vector<Operation> OperationsOfReceivers() {
  std::vector<Operation> all;
  all.push_back(
      {.name = "receive",
       .run = [](Channel& channel) { return channel.Receive(&copy, Deadline::None()).ok(); },
       .may_take = 1,
       .may_acknowledge = 1});
  all.push_back({.name = "receive_where_nothing_is", .before = 0, .run = [](Channel& channel) {
                   return absl::IsDeadlineExceeded(
                       channel.Receive(&copy, Deadline::None()).status());
                 }});
  all.push_back({.name = "take", .run = TakeOne, .may_take = 1});
  all.push_back(
      {.name = "acknowledge",
       .prepare = TakeOne,
       .run = [](Channel& channel) { return channel.Acknowledge(std::move(taken.back())).ok(); },
       .may_take = 1,
       .may_acknowledge = 1});
  all.push_back(
      {.name = "return",
       .prepare = TakeOne,
       .run = [](Channel& channel) { return channel.Return(std::move(taken.back())).ok(); },
       .may_take = 1});
  all.push_back({.name = "recover",
                 .dead =
                     [](Channel& channel) {
                       return TakeOne(channel) && TakeOne(channel) && ReserveDraft(channel);
                     },
                 .run = [](Channel& channel) { return channel.Recover().ok(); },
                 .may_take = 2});
  all.push_back({.name = "recover_a_batch",
                 .dead = DrainTwo,
                 .run = [](Channel& channel) { return channel.Recover().ok(); },
                 .may_take = 2});
  all.push_back({.name = "drain", .run = DrainTwo, .may_take = 2});
  all.push_back(
      {.name = "acknowledge_a_batch",
       .prepare = DrainTwo,
       .run = [](Channel& channel) { return channel.Acknowledge(*std::move(batch)).ok(); },
       .may_take = 2,
       .may_acknowledge = 2});
  all.push_back({.name = "return_a_batch",
                 .prepare = DrainTwo,
                 .run = [](Channel& channel) { return channel.Return(*std::move(batch)).ok(); },
                 .may_take = 2});
  return all;
}

Operation OperationOf(std::string_view name) {
  for (std::vector<Operation> all : {OperationsOfSenders(), OperationsOfReceivers()}) {
    for (Operation& operation : all) {
      if (operation.name == name) return std::move(operation);
    }
  }
  std::abort();
}

struct Got {
  std::string text;
  bool redelivered = false;
};

class ChannelStep : public ChannelConformance {
 protected:
  // A child that does the operation and is sent the signal after so many instructions of it.
  // Its wait status: stopped, killed, or ended because the operation was over. `prepare`: makes it
  // the same each time, so that the operation has the same instructions.
  int RunUntil(const Operation& operation, uint64_t steps, int signal, pid_t* pid,
               const std::function<void()>& prepare) {
    int status = 0;
    do {
      prepare();
      status = HasFatalFailure() ? -1 : RunOnce(operation, steps, signal, pid);
    } while (path_.Strayed(WIFEXITED(status) ? WEXITSTATUS(status) : 0));
    return status;
  }
  int RunOnce(const Operation& operation, uint64_t steps, int signal, pid_t* pid) {
    std::fflush(nullptr);
    const TrapPath::Leap leap = path_.LeapTo(steps);
    *pid = fork();
    if (*pid == 0) {
      alarm(kWatchdogSeconds);
      absl::StatusOr<std::unique_ptr<Channel>> channel = design().Attach(segment_, {});
      if (!channel.ok() || !operation.prepare(**channel)) _exit(3);
      const bool done = RunWithSteps(
          steps, signal, [&] { return operation.run(**channel); }, leap);
      _exit(done ? 0 : 2);
    }
    int status = 0;
    waitpid(*pid, &status, WUNTRACED);
    return status;
  }
  void Prepare(const Operation& operation) {
    Make(128 << 10, 4);
    first_ = next_ = 10;
    for (uint64_t i = 0; i < operation.before; ++i) Send(MessageOf(next_++, 40));
    if (!operation.dead) return;
    Child dead([&](Line&) {
      absl::StatusOr<std::unique_ptr<Channel>> channel = design().Attach(segment_, {});
      CHILD_REQUIRE(channel.ok() && operation.dead(**channel));
      _exit(0);
    });
    ASSERT_EQ(dead.ExitStatus(), 0);
  }
  std::optional<Got> ReceiveOne() {
    MessageInfo info;
    std::string text;
    const absl::StatusOr<MessageInfo> got = channel_->Receive(&text, Deadline::None());
    if (!got.ok()) return std::nullopt;
    return Got{text, got->redelivered};
  }

  // Whether it is the victim's own, and the channel has no order between senders.
  bool IsOfAnotherOrder(const Operation& operation, const Got& one) const {
    return traits().order == ChannelTraits::Order::kPerSender && one.text == operation.may_send;
  }
  // Takes the message that the victim may have sent out of those that came; whether it was there.
  // `behind`: so many were sent after it.
  bool TakeSentOut(const Operation& operation, size_t behind, std::vector<Got>& got) const {
    const auto sent = std::find_if(got.begin(), got.end(), [&](const Got& one) {
      return *operation.may_send != 0 && one.text == operation.may_send;
    });
    if (sent == got.end()) return false;
    EXPECT_TRUE(sent + static_cast<ptrdiff_t>(behind) + 1 == got.end() ||
                IsOfAnotherOrder(operation, *sent))
        << "what the victim sent came too early";
    got.erase(sent);
    return true;
  }

  void KilledAnywhere(const Operation& operation);
  void StoppedAnywhere(const Operation& operation);

  TrapPath path_;
  uint64_t first_ = 0;  // of the messages that waited when the operation began
  uint64_t next_ = 0;
};
INSTANTIATE_FOR_ALL_CHANNELS(ChannelStep);

void ChannelStep::KilledAnywhere(const Operation& operation) {
  REQUIRE_OF_CHANNEL(traits().acknowledges && is_queue() && traits().has_draft);
  uint64_t instructions = 0;
  bool seen_done = false, seen_undone = false;
  const TrapSteps steps(5);
  for (uint64_t step = steps.first;; step = steps.Next(step)) {
    SCOPED_TRACE(step);
    pid_t pid = 0;
    const int status = RunUntil(operation, step, SIGKILL, &pid, [&] { Prepare(operation); });
    if (!WIFSIGNALED(status)) {
      ASSERT_EQ(status, 0) << "the victim failed";
      break;
    }
    instructions = step;
    // Who was there before the death goes on at once, and sees it in order.
    Send("after the death");
    ASSERT_TRUE(channel_->Recover().ok());
    std::vector<Got> got;
    while (std::optional<Got> one = ReceiveOne()) got.push_back(*one);
    const bool sent = TakeSentOut(operation, /*behind=*/1, got);
    ASSERT_FALSE(got.empty());
    ASSERT_EQ(got.back().text, "after the death");
    got.pop_back();
    ASSERT_LE(got.size(), operation.before);
    const uint64_t gone = operation.before - got.size();
    ASSERT_LE(gone, operation.may_acknowledge);
    bool any_redelivered = false;
    for (uint64_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].text, MessageOf(first_ + gone + i, 40));
      any_redelivered |= got[i].redelivered;
      ASSERT_TRUE(!got[i].redelivered || gone + i < operation.may_take);
    }
    (sent || gone > 0 || any_redelivered ? seen_done : seen_undone) = true;
    ASSERT_EQ(ExpectSoundAccount().entries, 0u);
    ASSERT_EQ(ExpectSoundAccount().participants, 1u);
    if (HasFailure()) return;
  }
  EXPECT_GT(instructions, 20u) << "vacuous";
  const bool changes = *operation.may_send != 0 || operation.may_take > 0;
  EXPECT_TRUE(seen_done || !changes) << "no death came after the operation's effect: vacuous";
  EXPECT_TRUE(seen_undone || operation.may_take > 0) << "none came before it: vacuous";
  std::printf("%s: killed at one in %lu of %lu instructions\n", operation.name, steps.stride,
              instructions);
}

// What it holds, others cannot have; all else goes on, once around the ring and further.
void ChannelStep::StoppedAnywhere(const Operation& operation) {
  REQUIRE_OF_CHANNEL(traits().acknowledges && is_queue() && traits().has_draft);
  REQUIRE_OF_CHANNEL(traits().send != Progress::kBlocking &&
                     traits().receive != Progress::kBlocking);
  constexpr uint64_t kRounds = 800;  // there are fewer slots
  uint64_t instructions = 0;
  const TrapSteps steps(11);
  for (uint64_t step = steps.first;; step = steps.Next(step)) {
    SCOPED_TRACE(step);
    pid_t pid = 0;
    const int status = RunUntil(operation, step, SIGSTOP, &pid, [&] { Prepare(operation); });
    const bool stopped = WIFSTOPPED(status);
    if (!stopped) {
      ASSERT_EQ(status, 0) << "the victim failed";
      break;
    }
    instructions = step;
    std::vector<Got> old;  // what was there before the rounds
    uint64_t expected = 0;
    for (uint64_t round = 0; round < kRounds && !HasFailure(); ++round) {
      Send(absl::StrCat("round ", round));
      std::optional<Got> one = ReceiveOne();
      ASSERT_TRUE(one.has_value()) << "nothing can be had in round " << round;
      if (one->text == absl::StrCat("round ", expected)) {
        ++expected;
      } else {
        ASSERT_TRUE(expected == 0 || IsOfAnotherOrder(operation, *one))
            << "an older message came late: " << one->text;
        old.push_back(*one);
      }
    }
    kill(pid, SIGKILL);
    int ignored = 0;
    waitpid(pid, &ignored, 0);
    ASSERT_TRUE(channel_->Recover().ok());
    // What it had taken comes now, before the messages of the last rounds.
    std::vector<Got> held;
    while (std::optional<Got> one = ReceiveOne()) {
      if (one->text == absl::StrCat("round ", expected)) {
        ++expected;
      } else {
        ASSERT_TRUE(one->redelivered) << one->text;
        held.push_back(*one);
      }
    }
    ASSERT_EQ(expected, kRounds);
    ASSERT_LE(held.size(), operation.may_take);
    for (uint64_t i = 0; i < held.size(); ++i)
      old.insert(old.begin() + static_cast<ptrdiff_t>(i), held[i]);
    TakeSentOut(operation, /*behind=*/0, old);
    ASSERT_LE(old.size(), operation.before);
    const uint64_t gone = operation.before - old.size();
    ASSERT_LE(gone, operation.may_acknowledge);
    // What is on its way back is not back before the call that gives it back has ended.
    const auto number_of = [&](const Got& one) {
      uint64_t i = 0;
      while (i < operation.may_take && one.text != MessageOf(first_ + i, 40)) ++i;
      return i;
    };
    std::stable_sort(old.begin(), old.end(),
                     [&](const Got& a, const Got& b) { return number_of(a) < number_of(b); });
    for (uint64_t i = 0; i < old.size(); ++i) {
      ASSERT_EQ(old[i].text, MessageOf(first_ + gone + i, 40));
    }
    ASSERT_EQ(ExpectSoundAccount().entries, 0u);
    if (HasFailure()) return;
  }
  EXPECT_GT(instructions, 20u) << "vacuous";
  std::printf("%s: stopped at one in %lu of %lu instructions\n", operation.name, steps.stride,
              instructions);
}

// A receiver is stopped anywhere while it looks for what came back; meanwhile a sender comes around
// to the very slot and skips it, which changes its word. The receiver goes on and must find it: it
// is older than what the sender has sent.
TEST_P(ChannelStep, WhatIsSkippedDuringASearchIsFoundAllTheSame) {
  // Positions of a lap, where a sender can come around to what is held.
  const auto lap = [this] {
    const uint64_t* const parameters = segment_->header().parameters;
    if (design().name() == "slot_ring") return parameters[0] * parameters[1] / 128 * 2;
    return design().name() == "sender_lanes" ? parameters[2] : 0;
  };
  Operation take;
  take.run = [](Channel& channel) {
    return TakeOne(channel) && taken.back().bytes() == "came back" &&
           taken.back().info().redelivered;
  };
  Make(128 << 10, 4);
  REQUIRE_OF_CHANNEL(lap() != 0);
  uint64_t instructions = 0;
  const TrapSteps steps(5);
  constexpr uint64_t kEnough =
      800;  // it lies in the first slot: the rest of the search is of others
  for (uint64_t step = steps.first; step < kEnough; step += steps.stride) {
    SCOPED_TRACE(step);
    Sequence first = 0;
    pid_t pid = 0;
    int status = RunUntil(take, step, SIGSTOP, &pid, [&] {
      Make(128 << 10, 4);
      Send("came back");
      TakenMessage held = Take(*channel_);
      for (uint64_t i = 1; i < lap(); ++i) {
        Send("passes");
        ASSERT_EQ(Receive(), "passes");
      }
      first = held.info().sequence;
      ASSERT_TRUE(channel_->Return(std::move(held)).ok());
    });
    if (!WIFSTOPPED(status)) {
      ASSERT_EQ(status, 0) << "it took another message, or none";
      break;
    }
    instructions = step;
    const absl::StatusOr<Sequence> sent = channel_->Send("later", Deadline::None());
    ASSERT_TRUE(sent.ok()) << sent.status();
    ASSERT_EQ(*sent, first + lap() + 1) << "the premise: it was skipped";
    kill(pid, SIGCONT);
    waitpid(pid, &status, 0);
    ASSERT_EQ(status, 0) << "it took another message, or none";
  }
  EXPECT_GT(instructions, 100u) << "vacuous";
}

// One test for each operation, so that one can be asked for.
#define KILLED_AND_STOPPED_IN(name)                              \
  TEST_P(ChannelStep, KilledAnywhereItHasHappenedOrNot_##name) { \
    KilledAnywhere(OperationOf(#name));                          \
  }                                                              \
  TEST_P(ChannelStep, StoppedAnywhereItBlocksNobody_##name) { StoppedAnywhere(OperationOf(#name)); }
KILLED_AND_STOPPED_IN(send)
KILLED_AND_STOPPED_IN(send_to_an_empty_channel)
KILLED_AND_STOPPED_IN(send_a_large_one)
KILLED_AND_STOPPED_IN(reserve)
KILLED_AND_STOPPED_IN(commit)
KILLED_AND_STOPPED_IN(drop)
KILLED_AND_STOPPED_IN(receive)
KILLED_AND_STOPPED_IN(receive_where_nothing_is)
KILLED_AND_STOPPED_IN(take)
KILLED_AND_STOPPED_IN(acknowledge)
KILLED_AND_STOPPED_IN(return )
KILLED_AND_STOPPED_IN(recover)
KILLED_AND_STOPPED_IN(recover_a_batch)
KILLED_AND_STOPPED_IN(drain)
KILLED_AND_STOPPED_IN(acknowledge_a_batch)
KILLED_AND_STOPPED_IN(return_a_batch)

#else
TEST(ChannelStep, NeedsATrapFlag) { GTEST_SKIP() << "this processor has none"; }
#endif

}  // namespace
}  // namespace kill9
