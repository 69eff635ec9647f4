// A record is overwritten while it is read: before each of the reader's accesses to it, and so far
// that each word of the record's head is the last one to go. The record's page is closed, so that
// every access faults; the fault's handler is the writer, opens the page for the one instruction
// (the processor's trap flag), and the trap's handler closes it again. So each schedule of the two
// runs once.
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"
#include "variants/stores/seqlock_ring/seqlock_ring.h"

namespace kill9::ring {
namespace {

#if defined(__x86_64__)

constexpr uint64_t kPageBytes = 4096;
constexpr greg_t kTrapFlag = 0x100;

// What the handlers work with. Only one thread runs, so nothing here is atomic.
struct {
  char* record;
  uint64_t words;  // to overwrite
  uint64_t before_access;
  uint64_t accesses;
  bool done;
} stepped_writer;

void ProtectRecord(int protection) {
  const auto page = reinterpret_cast<uintptr_t>(stepped_writer.record) / kPageBytes * kPageBytes;
  mprotect(reinterpret_cast<void*>(page), kPageBytes, protection);
}

void WriteThenOpenThePage(int, siginfo_t*, void* context) {
  ProtectRecord(PROT_READ | PROT_WRITE);
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= kTrapFlag;
  if (++stepped_writer.accesses != stepped_writer.before_access) return;
  for (uint64_t word = 0; word < stepped_writer.words; ++word)
    StoreWord(stepped_writer.record + word * kWord, 0);
  stepped_writer.done = true;
}

void CloseThePage(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  if (!stepped_writer.done) ProtectRecord(PROT_NONE);
}

class OverwrittenWhileRead : public ::testing::Test {
 protected:
  static constexpr uint64_t kWordsOfHead = kRecordHeaderBytes / kWord;

  void SetUp() override {
    SegmentOptions options;
    options.size_bytes = 64 << 10;
    options.max_participants = 2;
    auto segment = CreateSegment(options);
    ASSERT_TRUE(segment.ok()) << segment.status();
    store_ = *RingStore::Attach(*segment);
    // The record's page is nothing else's: neither the index's nor the chunks'.
    ASSERT_TRUE(store_->Put("before", std::string(kPageBytes, 'b')).ok());
    ASSERT_TRUE(*store_->Erase("before"));
    auto version = store_->Put(key_, value_);
    ASSERT_TRUE(version.ok());
    version_ = *version;
    const uint64_t hash = (*segment)->Hash(key_);
    const Found found = Find(store_->geometry().BucketOf(hash), TagOfHash(hash));
    ASSERT_TRUE(found);
    stepped_writer.record = AddressOf(store_->geometry(), found.word);
    whole_.assign(stepped_writer.record, kUnitBytes);
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = CloseThePage;
    sigaction(SIGTRAP, &action, &trap_before_);
    action.sa_sigaction = WriteThenOpenThePage;
    sigaction(SIGSEGV, &action, &fault_before_);
  }
  void TearDown() override {
    sigaction(SIGTRAP, &trap_before_, nullptr);
    sigaction(SIGSEGV, &fault_before_, nullptr);
  }

  // Runs `read` once for each of its accesses to the record and each number of words that the
  // writer overwrites there. `read` judges what it has read, and says whether it found the record.
  void ReadAtEachAccess(absl::FunctionRef<bool()> read) {
    uint64_t found = 0;
    uint64_t runs = 0;
    for (uint64_t words = 1; words <= kWordsOfHead; ++words) {
      stepped_writer = {stepped_writer.record, words, 0, 0, true};
      while (stepped_writer.done) {
        std::memcpy(stepped_writer.record, whole_.data(), kUnitBytes);
        stepped_writer = {stepped_writer.record, words, stepped_writer.before_access + 1, 0, false};
        ProtectRecord(PROT_NONE);
        found += read();
        ProtectRecord(PROT_READ | PROT_WRITE);
        ++runs;
        ASSERT_FALSE(HasFailure()) << words << " words were overwritten before access "
                                   << stepped_writer.before_access << " of the reader";
      }
    }
    EXPECT_GT(runs, kWordsOfHead * 6) << "a reader has more accesses: vacuous";
    EXPECT_GE(found, kWordsOfHead) << "no reader came before the writer: vacuous";
    EXPECT_LT(found, runs) << "no writer came before the reader: vacuous";
  }
  void Judge(std::string_view value, Version version) const {
    EXPECT_EQ(value, value_);
    EXPECT_EQ(version, version_);
  }

  const std::string key_ = "key";
  const std::string value_ = std::string(20, 'v');
  Version version_ = kAbsent;
  std::unique_ptr<RingStore> store_;
  std::string whole_;
  struct sigaction trap_before_ {};
  struct sigaction fault_before_ {};
};

TEST_F(OverwrittenWhileRead, GetReturnsTheValueOrNothing) {
  std::string value(value_.size(), ' ');
  ReadAtEachAccess([&] {
    const auto version = store_->Get(key_, &value);
    if (version.ok()) Judge(value, *version);
    return version.ok();
  });
}

TEST_F(OverwrittenWhileRead, PinShowsTheValueOrNothing) {
  ReadAtEachAccess([&] {
    const auto pin = store_->Pin(key_);
    // Its bytes are not looked at: this writer, unlike any of the ring's, ignores holds.
    if (pin.ok()) {
      EXPECT_EQ(pin->version(), version_);
    }
    return pin.ok();
  });
}

TEST_F(OverwrittenWhileRead, ForEachShowsTheValueOrNothing) {
  ReadAtEachAccess([&] {
    uint64_t seen = 0;
    (void)store_->ForEach([&](const EntryView& entry) {
      ++seen;
      Judge(entry.value, entry.version);
      EXPECT_EQ(entry.key, key_);
      return true;
    });
    EXPECT_LE(seen, 1u);
    return seen == 1;
  });
}

#else
TEST(OverwrittenWhileRead, NeedsATrapFlag) { GTEST_SKIP() << "this processor has none"; }
#endif

}  // namespace
}  // namespace kill9::ring
