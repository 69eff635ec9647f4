// The stores' interface in C (include/kill9/store.h), from libkill9-store as others link it.
#include <kill9/store.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "property/scaffold/children.h"

namespace kill9 {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Designs() {
  std::vector<std::string> designs;
  for (uint32_t n = 0; kill9_store_design(n) != nullptr; ++n) {
    designs.emplace_back(kill9_store_design(n));
  }
  return designs;
}

class StoreInterface : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const kill9_store_options options = {.struct_size = sizeof options,
                                         .name = nullptr,
                                         .design = GetParam().c_str(),
                                         .bytes = 4 << 20,
                                         .entries = 0,
                                         .participants = 0};
    ASSERT_EQ(kill9_store_create(&options, &store_), KILL9_STORE_OK) << kill9_store_message();
  }
  void TearDown() override { kill9_store_close(store_); }

  int Put(std::string_view key, std::string_view value) {
    return kill9_store_put(store_, key.data(), key.size(), value.data(), value.size(), nullptr);
  }
  std::string Get(std::string_view key) {
    kill9_store_value value = {};
    value.struct_size = sizeof value;
    const int outcome = kill9_store_get(store_, key.data(), key.size(), &value);
    return outcome == KILL9_STORE_OK ? std::string(value.bytes, value.size) : "(absent)";
  }
  std::string Broken() {
    kill9_store_account account = {};
    account.struct_size = sizeof account;
    if (kill9_store_audit(store_, &account) != KILL9_STORE_OK) return kill9_store_message();
    if (account.leaked_blocks != 0 || account.doubly_owned_blocks != 0) return "leaked";
    return account.violation;
  }
  // How many pins one participant can have.
  int HoldsOfAParticipant() {
    std::vector<kill9_store_value> held;
    for (;;) {
      kill9_store_value value = {};
      value.struct_size = sizeof value;
      if (kill9_store_pin(store_, "key", 3, &value) != KILL9_STORE_OK) break;
      held.push_back(value);
    }
    for (kill9_store_value& value : held) kill9_store_release(&value);
    return static_cast<int>(held.size());
  }
  // In a child, which ends with 0 if this says true.
  template <typename Work>
  void InChild(const Work& work) {
    Child child([&](Line&) { return work() ? 0 : 1; });
    EXPECT_EQ(child.ExitStatus(), 0);
  }

  kill9_store* store_ = nullptr;
};

TEST_P(StoreInterface, ChildGoesOnWithTheHandleThatItInherited) {
  ASSERT_EQ(Put("parent", "1"), KILL9_STORE_OK);
  InChild([&] { return Get("parent") == "1" && Put("child", "2") == KILL9_STORE_OK; });
  EXPECT_EQ(Get("child"), "2");
  kill9_store_account account = {};
  account.struct_size = sizeof account;
  InChild([&] {  // as a participant of its own
    return Put("child", "3") == KILL9_STORE_OK &&
           kill9_store_audit(store_, &account) == KILL9_STORE_OK && account.participants >= 2;
  });
  EXPECT_EQ(Broken(), "");
}

TEST_P(StoreInterface, PinOfTheParentIsNothingToTheChild) {
  const std::string old(1000, 'o'), later(1000, 'l');
  ASSERT_EQ(Put("key", old), KILL9_STORE_OK);
  kill9_store_value pinned = {};
  pinned.struct_size = sizeof pinned;
  const int holds = HoldsOfAParticipant();
  ASSERT_GT(holds, 1);
  ASSERT_EQ(kill9_store_pin(store_, "key", 3, &pinned), KILL9_STORE_OK);
  InChild([&] {
    kill9_store_value own = {};  // of the child's own participant: its first, as the parent's was
    own.struct_size = sizeof own;
    if (kill9_store_pin(store_, "key", 3, &own) != KILL9_STORE_OK) return false;
    kill9_store_release(&pinned);
    if (pinned.pin != nullptr) return false;
    // Had that ended the child's own, it would have room for one more.
    return Put("key", later) == KILL9_STORE_OK && HoldsOfAParticipant() == holds - 1;
  });
  EXPECT_EQ(std::string(pinned.bytes, pinned.size), old);
  kill9_store_release(&pinned);
  kill9_store_release(&pinned);  // of nothing: nothing
  EXPECT_EQ(Get("key"), later);
  EXPECT_EQ(Broken(), "");
}

TEST_P(StoreInterface, DeathIsRecoveredFrom) {
  ASSERT_EQ(Put("key", "old"), KILL9_STORE_OK);
  Child child([&](Line& parent) {
    kill9_store_value pinned = {};
    pinned.struct_size = sizeof pinned;
    CHILD_REQUIRE(kill9_store_pin(store_, "key", 3, &pinned) == KILL9_STORE_OK);
    parent.Tell();
    parent.Await();
    return 0;
  });
  ASSERT_TRUE(child.Await()) << "the child ended before it had pinned anything";
  child.KillAndReap();
  kill9_store_recovered recovered = {};
  recovered.struct_size = sizeof recovered;
  ASSERT_EQ(kill9_store_recover(store_, &recovered), KILL9_STORE_OK);
  EXPECT_EQ(recovered.participants, 1u);
  EXPECT_EQ(Put("key", "new"), KILL9_STORE_OK);
  EXPECT_EQ(Broken(), "");
}

TEST_P(StoreInterface, SaysWhatAnswersMean) {
  uint64_t first = 0, second = 0;
  EXPECT_EQ(kill9_store_compare_and_swap(store_, "k", 1, 0, "1", 1, &first), KILL9_STORE_OK);
  EXPECT_NE(first, 0u);
  EXPECT_EQ(kill9_store_compare_and_swap(store_, "k", 1, 0, "2", 1, &second), KILL9_STORE_MISMATCH);
  EXPECT_EQ(second, first);
  EXPECT_EQ(kill9_store_erase(store_, "k", 1), KILL9_STORE_OK);
  EXPECT_EQ(kill9_store_erase(store_, "k", 1), KILL9_STORE_ABSENT);
  EXPECT_EQ(Put("", "x"), KILL9_STORE_INVALID);
  EXPECT_THAT(kill9_store_message(), HasSubstr("key"));
  EXPECT_EQ(Put("k", std::string(64 << 20, 'x')), KILL9_STORE_INVALID);
  for (int n = 0; n < 5; ++n) ASSERT_EQ(Put("key " + std::to_string(n), "v"), KILL9_STORE_OK);
  int seen = 0;
  const auto count = [](void* receiver, const char*, size_t, const char*, size_t, uint64_t) {
    return ++*static_cast<int*>(receiver) < 3 ? 1 : 0;
  };
  EXPECT_EQ(kill9_store_each(store_, count, &seen), KILL9_STORE_OK);
  EXPECT_EQ(seen, 3);
}

// A caller of an earlier version, which had fewer fields, and of a later one.
TEST_P(StoreInterface, StructuresOfOtherVersionsAreTaken) {
  ASSERT_EQ(Put("key", "value"), KILL9_STORE_OK);
  struct {
    kill9_store_value known;
    uint64_t of_later = 42;
  } later = {};
  later.known.struct_size = sizeof later;
  later.of_later = 42;
  ASSERT_EQ(kill9_store_get(store_, "key", 3, &later.known), KILL9_STORE_OK);
  EXPECT_EQ(later.known.struct_size, sizeof later);
  EXPECT_EQ(later.of_later, 42u);
  kill9_store_value earlier = {};
  earlier.struct_size = offsetof(kill9_store_value, version);
  earlier.version = 42;
  ASSERT_EQ(kill9_store_get(store_, "key", 3, &earlier), KILL9_STORE_OK);
  EXPECT_EQ(std::string(earlier.bytes, earlier.size), "value");
  EXPECT_EQ(earlier.version, 42u) << "a field that the caller does not have is not written";
}

TEST_P(StoreInterface, NamedStoreIsFoundByItsName) {
  const std::string name = "kill9-interface-test-" + std::to_string(getpid()) + "-" + GetParam();
  kill9_store_options options = {.struct_size = sizeof options,
                                 .name = name.c_str(),
                                 .design = GetParam().c_str(),
                                 .bytes = 4 << 20,
                                 .entries = 0,
                                 .participants = 0};
  kill9_store *made = nullptr, *opened = nullptr, *none = nullptr;
  EXPECT_EQ(kill9_store_open(&options, &none), KILL9_STORE_ABSENT);
  ASSERT_EQ(kill9_store_open_or_create(&options, &made), KILL9_STORE_OK);
  EXPECT_EQ(kill9_store_create(&options, &none), KILL9_STORE_EXISTS);
  EXPECT_EQ(none, nullptr);
  options.design = nullptr;
  ASSERT_EQ(kill9_store_open_or_create(&options, &opened), KILL9_STORE_OK);
  EXPECT_EQ(kill9_store_put(made, "k", 1, "v", 1, nullptr), KILL9_STORE_OK);
  EXPECT_EQ(kill9_store_erase(opened, "k", 1), KILL9_STORE_OK);
  options.design = GetParam() == "cas_slots" ? "global_mutex" : "cas_slots";
  EXPECT_EQ(kill9_store_open(&options, &none), KILL9_STORE_REFUSED);
  kill9_store_close(made);
  kill9_store_close(opened);
  EXPECT_EQ(kill9_store_unlink(name.c_str()), KILL9_STORE_OK);
  EXPECT_EQ(kill9_store_unlink(name.c_str()), KILL9_STORE_ABSENT);
}

INSTANTIATE_TEST_SUITE_P(Designs, StoreInterface, ::testing::ValuesIn(Designs()),
                         [](const auto& design) { return design.param; });

}  // namespace
}  // namespace kill9
