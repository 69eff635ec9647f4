#include "variants/channels/shared/sleepers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

namespace kill9 {
namespace {

constexpr int64_t kFirstLookNs = 500'000;
constexpr int64_t kLastLookNs = 1'000'000'000;  // two seconds in all
constexpr int64_t kPollNs = 20'000'000;         // without inotify

int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

timespec ToTimespec(int64_t ns) { return {ns / 1'000'000'000, ns % 1'000'000'000}; }

std::string PathOf(const Segment& segment) { return absl::StrCat("/proc/self/fd/", segment.fd()); }

// Reads all that the watch has to say; whether a description was closed.
bool ReadEvents(int fd) {
  constexpr ssize_t kLargestEvent = sizeof(inotify_event) + NAME_MAX + 1;
  bool closed = false;
  alignas(inotify_event) char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) return closed;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      // An overflow may have swallowed a death.
      closed |= (event->mask & (IN_CLOSE_WRITE | IN_Q_OVERFLOW)) != 0;
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    // There was no more than fitted: another event would have.
    if (got + kLargestEvent <= static_cast<ssize_t>(sizeof buffer)) return closed;
  }
}

// Instances of inotify that watch nothing, of this process. A child does not take its parent's: one
// queue would tell both.
class Spares {
 public:
  std::unique_ptr<Descriptor> Take() {
    std::unique_ptr<Descriptor> taken;
    WithList([&taken](List& list) {
      while (!list.empty() && taken == nullptr) {
        if (list.back().owner.mine() && list.back().watch->Intact()) {
          taken = std::move(list.back().watch);
        }
        list.pop_back();
      }
    });
    return taken;
  }
  void Give(std::unique_ptr<Descriptor> watch) {
    constexpr size_t kMost = 16;
    WithList([&watch](List& list) {
      if (list.size() < kMost) list.push_back({ForkGuard(), std::move(watch)});
    });
  }

 private:
  struct Spare {
    ForkGuard owner;
    std::unique_ptr<Descriptor> watch;
  };
  using List = std::vector<Spare>;

  // Never waits: who was forked while another thread was in here finds it busy for ever, and does
  // without.
  void WithList(absl::FunctionRef<void(List&)> use) {
    // Acquire and release: of the list, between threads.
    if (busy_.test_and_set(std::memory_order_acquire)) return;
    use(list_);
    busy_.clear(std::memory_order_release);
  }

  std::atomic_flag busy_;
  List list_;
};

Spares& TheSpares() {
  static auto* spares = new Spares;  // until the process ends
  return *spares;
}

}  // namespace

Sleeper::Sleeper(const Segment& segment, const SleepersPage& page)
    : segment_(segment), page_at_(reinterpret_cast<const char*>(&page) - segment.base()) {
  const int fd = open(PathOf(segment_).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  teller_.emplace(fd);
  void* page_of_file =
      mmap(nullptr, SleepersPage::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page_at_);
  if (page_of_file == MAP_FAILED) return;
  // A child has nothing to tell.
  madvise(page_of_file, SleepersPage::kBytes, MADV_DONTFORK);
  teller_page_ = page_of_file;
}

Sleeper::~Sleeper() {
  // In a child the queue is the parent's, who waits on, and the page is not there.
  if (!guard_.mine()) return;
  if (is_watching()) {
    inotify_rm_watch(watch_->number(), watched_);
    ReadEvents(watch_->number());
    TheSpares().Give(std::move(watch_));
  }
  if (teller_page_ != nullptr) munmap(teller_page_, SleepersPage::kBytes);
}

void Sleeper::WakeAll(SleepersWord& word, uint64_t announced) {
  const bool told =
      teller_.has_value() && teller_->Intact() && pwrite(teller_->number(), "", 1, page_at_) == 1;
  // Without a descriptor, and where the disk is full: a hole in the page is a change, too.
  if (!told && teller_page_ != nullptr) {
    madvise(teller_page_, SleepersPage::kBytes, MADV_REMOVE);
  }
  // dies before -> all were woken, and the announcement stays;  dies after -> all were woken
  // Seq_cst: as in Wake. It fails if somebody has announced since, who may not have been told (W2).
  word.announced.compare_exchange_strong(announced, 0, std::memory_order_seq_cst,
                                         std::memory_order_relaxed);
}

bool Sleeper::Watch() {
  if (is_watching()) return true;
  if (!segment_.has_descriptor()) return false;
  watch_ = TheSpares().Take();
  if (watch_ == nullptr) {
    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return false;
    watch_ = std::make_unique<Descriptor>(fd);
  }
  watched_ =
      inotify_add_watch(watch_->number(), PathOf(segment_).c_str(), IN_MODIFY | IN_CLOSE_WRITE);
  if (watched_ < 0) watch_.reset();
  // Of who is just dying this may have missed the news, and still find it alive: it looks again.
  next_look_ns_ = kFirstLookNs;
  return false;
}

void Sleeper::Announce(SleepersWord& word) {
  // Relaxed: the numbers need only differ.
  const uint64_t mine = word.last.fetch_add(1, std::memory_order_relaxed) + 1;
  // Seq_cst: with Wake's load, and WakeAfterStores' addition (W1).
  word.announced.exchange(mine, std::memory_order_seq_cst);
}

bool Sleeper::Sleep(Deadline deadline) {
  int64_t most_ns = std::numeric_limits<int64_t>::max();
  if (!deadline.forever()) {
    most_ns = deadline.monotonic_ns() - MonotonicNs();
    if (most_ns <= 0) return false;
  }
  if (!is_watching()) {
    const timespec pause = ToTimespec(std::min(most_ns, kPollNs));
    nanosleep(&pause, nullptr);
    return true;
  }
  if (next_look_ns_ != 0) most_ns = std::min(most_ns, next_look_ns_);
  const timespec timeout = ToTimespec(most_ns);
  pollfd watched{watch_->number(), POLLIN, 0};
  const bool forever = most_ns == std::numeric_limits<int64_t>::max();
  const int ready = ppoll(&watched, 1, forever ? nullptr : &timeout, nullptr);
  if (ready == 1) {
    if (ReadEvents(watch_->number())) next_look_ns_ = kFirstLookNs;
  } else if (next_look_ns_ != 0) {
    next_look_ns_ = next_look_ns_ >= kLastLookNs ? 0 : 2 * next_look_ns_;
  }
  return true;
}

void Sleeper::LookAgain() {
  if (next_look_ns_ == 0) next_look_ns_ = kFirstLookNs;
}

void Sleeper::ForgetTold() {
  if (is_watching() && ReadEvents(watch_->number())) next_look_ns_ = kFirstLookNs;
}

int Sleeper::descriptor() {
  Watch();
  return is_watching() ? watch_->number() : -1;
}

}  // namespace kill9
