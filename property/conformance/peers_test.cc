// The peers do what they say that they do, through the store interface, and refuse the rest.
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "property/conformance/conformance.h"

namespace kill9 {
namespace {

using absl::StatusCode;

std::vector<const Variant*> Peers() {
  std::vector<const Variant*> peers;
  for (const Variant* variant : AllVariants()) {
    if (variant->role() == Design::Role::kPeer) peers.push_back(variant);
  }
  return peers;
}

class Peer : public ::testing::TestWithParam<const Variant*> {
 protected:
  void SetUp() override {
    absl::StatusOr<std::shared_ptr<Segment>> segment = GetParam()->Create(Options());
    ASSERT_TRUE(segment.ok()) << segment.status();
    segment_ = *std::move(segment);
    store_ = Attach();
  }
  void TearDown() override {
    store_.reset();
    segment_.reset();
    EXPECT_TRUE(Segment::Unlink(place_.Location(SegmentKind::kNamed)).ok());
    EXPECT_THAT(place_.Files(SegmentKind::kNamed), ::testing::IsEmpty());
  }
  SegmentOptions Options() const {
    SegmentOptions options;
    options.location = place_.Location(SegmentKind::kNamed);
    options.size_bytes = 4 << 20;
    options.max_participants = 8;
    return options;
  }
  std::unique_ptr<Store> Attach() {
    absl::StatusOr<std::unique_ptr<Store>> store = GetParam()->Attach(segment_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  // Runs `body` on a store of its own in a child; its exit status.
  template <typename Body>
  int InChild(Body body) {
    const pid_t child = fork();
    if (child == 0) {
      absl::StatusOr<std::unique_ptr<Store>> store = GetParam()->Attach(segment_);
      _exit(store.ok() ? body(**store) : 99);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  Place place_;
  std::shared_ptr<Segment> segment_;
  std::unique_ptr<Store> store_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Peer);
INSTANTIATE_TEST_SUITE_P(AllPeers, Peer, ::testing::ValuesIn(Peers()), VariantTestName);

// The sweep's tracer has such a timer; so has many an application.
TEST_P(Peer, IsMadeWhileATimersSignalsInterruptItsMaker) {
  store_.reset();
  segment_.reset();
  ASSERT_TRUE(Segment::Unlink(place_.Location(SegmentKind::kNamed)).ok());
  struct sigaction interrupt {
  }, before{};
  interrupt.sa_handler = [](int) {};  // without SA_RESTART
  sigaction(SIGALRM, &interrupt, &before);
  itimerval often{{0, 300}, {0, 300}}, never{};
  setitimer(ITIMER_REAL, &often, nullptr);
  absl::StatusOr<std::shared_ptr<Segment>> segment = GetParam()->Create(Options());
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  ASSERT_TRUE(segment.ok()) << segment.status();
  segment_ = *std::move(segment);
  store_ = Attach();
  EXPECT_TRUE(store_->Put("key", "value").ok());
}

TEST_P(Peer, KeepsWhatIsPutUntilItIsErased) {
  std::string value;
  EXPECT_EQ(store_->Get("absent", &value).status().code(), StatusCode::kNotFound);
  const std::string large = Bytes(100'000, 1);
  const std::string zeros("a\0b", 3);
  for (const std::string& one : {std::string("small"), large, std::string(), zeros}) {
    ASSERT_TRUE(store_->Put("key", one).ok());
    ASSERT_TRUE(store_->Get("key", &value).ok());
    EXPECT_EQ(value, one);
    EXPECT_TRUE(store_->Get("key", nullptr).ok());
  }
  EXPECT_TRUE(store_->Erase("key").value_or(false));
  EXPECT_FALSE(store_->Erase("key").value_or(true));
  EXPECT_EQ(store_->Get("key", &value).status().code(), StatusCode::kNotFound);
}

TEST_P(Peer, ForEachShowsEveryKeyOnceWithItsValue) {
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 40; ++i) {  // some open their files for each
    const std::string key = absl::StrCat("key-", i);
    expected[key] = Bytes(static_cast<size_t>(i * 250), static_cast<uint64_t>(i));
    ASSERT_TRUE(store_->Put(key, expected[key]).ok());
  }
  std::map<std::string, std::string> seen;
  ASSERT_TRUE(store_
                  ->ForEach([&](const EntryView& entry) {
                    EXPECT_TRUE(seen.emplace(entry.key, entry.value).second) << entry.key;
                    return true;
                  })
                  .ok());
  EXPECT_EQ(seen, expected);
}

TEST_P(Peer, RefusesWhatItsTraitsSayThatItLacks) {
  const Traits& traits = GetParam()->traits();
  ASSERT_TRUE(store_->Put("key", "value").ok());
  if (!traits.has_compare_and_swap) {
    EXPECT_EQ(store_->CompareAndSwap("key", kAbsent, "x").status().code(),
              StatusCode::kUnimplemented);
  }
  if (!traits.has_pin) {
    EXPECT_EQ(store_->Pin("key").status().code(), StatusCode::kUnimplemented);
  }
  if (!traits.has_draft) {
    EXPECT_EQ(store_->Reserve("key", 8).status().code(), StatusCode::kUnimplemented);
  }
  if (!traits.has_audit) {
    EXPECT_EQ(store_->Audit().status().code(), StatusCode::kUnimplemented);
  }
  EXPECT_EQ(traits.has_versions, *store_->Put("key", "value") != kAbsent);
  if (traits.needs_name) {
    SegmentOptions anonymous = Options();
    anonymous.location = {};
    EXPECT_EQ(GetParam()->Create(anonymous).status().code(), StatusCode::kUnimplemented);
  }
}

TEST_P(Peer, OtherProcessesSeeWhatIsPutAndTheOtherWayRound) {
  ASSERT_TRUE(store_->Put("from parent", "1").ok());
  EXPECT_EQ(InChild([](Store& store) {
              std::string value;
              if (!store.Get("from parent", &value).ok() || value != "1") return 1;
              return store.Put("from child", "2").ok() ? 0 : 2;
            }),
            0);
  std::string value;
  ASSERT_TRUE(store_->Get("from child", &value).ok());
  EXPECT_EQ(value, "2");
}

TEST_P(Peer, HandleInheritedThroughForkIsRefused) {
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = absl::IsFailedPrecondition(store_->Put("key", "x").status()) &&
                         absl::IsFailedPrecondition(store_->Get("key", nullptr).status());
    store_.reset();  // harms nobody
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(store_->Put("key", "still mine").ok());
}

TEST_P(Peer, KeepsItsDataWhenAnIdleProcessDies) {
  EXPECT_EQ(InChild([](Store& store) {
              if (!store.Put("of the dead", "kept").ok()) return 1;
              raise(SIGKILL);
              return 2;
            }),
            128 + SIGKILL);
  std::string value;
  EXPECT_TRUE(store_->Get("of the dead", &value).ok());
  EXPECT_EQ(value, "kept");
}

}  // namespace
}  // namespace kill9
