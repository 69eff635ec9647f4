// Bugs of those who sleep until others wake them, as small programs. The sleeper watches a file by
// inotify and sleeps in poll(2); whoever has something for it writes to the file.
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "property/explore/programs/programs.h"

namespace kill9::explore {
namespace {

struct Mailbox {
  std::atomic<uint64_t> message, announced;
};

constexpr char kFile[] = "/proc/self/fd/0";
constexpr int64_t kHourNs = 3'600'000'000'000;

Mailbox& MailboxIn(char* memory) { return *reinterpret_cast<Mailbox*>(memory); }

// What a sleeper has: its instance of inotify.
int Watch(uint32_t what) {
  const int watch = inotify_init1(IN_NONBLOCK);
  inotify_add_watch(watch, kFile, what);
  return watch;
}

// Sleeps until it is told of something, an hour at most; and fails if what it waited for was there.
void SleepUntilTold(const Mailbox& mailbox, int watch) {
  const timespec hour = {kHourNs / 1'000'000'000, 0};
  const int64_t until_ns = Machine::Get().now_ns() + kHourNs;
  pollfd watched = {watch, POLLIN, 0};
  ppoll(&watched, 1, &hour, nullptr);
  if (mailbox.message.load(std::memory_order_seq_cst) == 0) return;
  if (Machine::Get().Overslept(until_ns)) Machine::Get().Fail(Verdict::kStuck, "it has overslept");
}

void Tell(Mailbox& mailbox, int teller) {
  mailbox.message.store(1, std::memory_order_seq_cst);
  if (mailbox.announced.load(std::memory_order_seq_cst) != 0) pwrite(teller, "", 1, 0);
}

// ---- The last look comes before the announcement ------------------------------------------------

Program LooksBeforeItAnnounces(bool repaired) {
  Program program;
  program.name = "looks_before_it_announces";
  program.run = [repaired](char* memory, int participant, uint64_t*) {
    Mailbox& mailbox = MailboxIn(memory);
    if (participant == 1) return Tell(mailbox, open(kFile, O_RDWR));
    const int watch = Watch(IN_MODIFY);
    const auto look = [&mailbox] { return mailbox.message.load(std::memory_order_seq_cst) != 0; };
    const auto announce = [&mailbox] { mailbox.announced.store(1, std::memory_order_seq_cst); };
    if (repaired) announce();
    if (look()) return;
    if (!repaired) announce();
    SleepUntilTold(mailbox, watch);
  };
  return program;
}

// ---- Who is to wake dies before it does ---------------------------------------------------------

Program DeathsAreNoNews(bool repaired) {
  Program program;
  program.name = "deaths_are_no_news";
  program.run = [repaired](char* memory, int participant, uint64_t*) {
    Mailbox& mailbox = MailboxIn(memory);
    if (participant == 1) return Tell(mailbox, open(kFile, O_RDWR));
    const int watch = Watch(repaired ? IN_MODIFY | IN_CLOSE_WRITE : IN_MODIFY);
    mailbox.announced.store(1, std::memory_order_seq_cst);
    if (mailbox.message.load(std::memory_order_seq_cst) == 0) SleepUntilTold(mailbox, watch);
  };
  return program;
}

}  // namespace

const std::vector<PublicBug>& WaitingBugs() {
  static const std::vector<PublicBug>* const bugs = new std::vector<PublicBug>{
      {"looks_before_it_announces", "a sleeper's last look comes before its announcement", 0,
       MemoryModel::kSc, LooksBeforeItAnnounces},
      {"deaths_are_no_news", "who is to wake a sleeper dies before, and nobody else does", 1,
       MemoryModel::kSc, DeathsAreNoNews},
  };
  return *bugs;
}

}  // namespace kill9::explore
