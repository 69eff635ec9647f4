// Waiting for what other processes do to a segment, without polling, and so that no death swallows
// a wake-up.
//
// A sleeper watches the segment's file (inotify) and sleeps in poll(2). Two things wake it:
//
//   a wake-up      whoever changes what others may wait for writes to the file (IN_MODIFY); all
//                  sleepers are told, each by a queue of its own, so that none depends on another
//   a death        the kernel closes the description that proved a participant's life
//                  (participants.h), however its process ended (IN_CLOSE_WRITE)
//
// So a process that dies between a change and its wake-up, or that was woken and dies, takes
// nothing with it: its death is itself a wake-up of all. The means is also the descriptor that
// epoll takes.
//
// W1  Who is about to sleep announces it, looks once more, and only then sleeps. Who changes
//     something looks for an announcement after the change. So one of the two sees the other.
// W2  An announcement is taken back only by who has woken the sleepers since it was made: a waker
//     that is stopped, or dies, between the two leaves it to the next. (Each announcement is a
//     number of its own; the counter has 64 bits.)
//
// The kernel tells of a closed description a moment before it drops its lock, which is what proves
// the death. So after such news the sleeper looks again, each time after twice as long, until two
// seconds are over. Other than that it does nothing until it is woken.
//
// To close an instance of inotify, the kernel waits for all processors, on a busy machine for
// seconds. So nobody who leaves closes one: his process keeps it for its next handle.
//
// Where there is no inotify (its instances are used up, the program has closed the descriptors), a
// sleeper looks every 20 ms: polling, but nobody is forgotten.
#ifndef KILL9_VARIANTS_CHANNELS_SHARED_SLEEPERS_H_
#define KILL9_VARIANTS_CHANNELS_SHARED_SLEEPERS_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "variants/channel.h"
#include "variants/segment.h"
#include "variants/segment/descriptor.h"
#include "variants/segment/participants.h"

namespace kill9 {

// The part of it in the segment: of nobody else, since the last resort of Wake makes a hole of it.
struct SleepersPage {
  static constexpr size_t kBytes = 4096;
  char bytes[kBytes];
};

struct SleepersWord {
  std::atomic<uint64_t> announced;  // 0: nobody sleeps. Written by sleepers and wakers, read by all
  std::atomic<uint64_t> last;       // the last announcement. Written and read by sleepers
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// A process's part: of one handle, used by one thread at a time. A segment may have several words,
// for those who wait for different things.
class Sleeper {
 public:
  // `page` lies in the segment, at a multiple of its size. REQUIRES: the segment has its
  // descriptor, as who has just attached knows; without it nobody else is woken by this one.
  Sleeper(const Segment& segment, const SleepersPage& page);
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // Wakes all who sleep, if anybody has announced it. After the change. PROGRESS: wait-free.
  // ON CRASH: all who sleep are woken by the death.
  void Wake(SleepersWord& word) {
    // Seq_cst: with Announce's exchange; of the change and the announcement one is seen (W1).
    const uint64_t announced = word.announced.load(std::memory_order_seq_cst);
    if (announced != 0) [[unlikely]]
      WakeAll(word, announced);
  }

  // The same after plain stores: the last step of the change need not be a read-modify-write.
  void WakeAfterStores(SleepersWord& word) {
    // Seq_cst: with Announce's exchange. Of the two, who comes second sees what the other did
    // before it: the announcement, or the change (W1).
    const uint64_t announced = word.announced.fetch_add(0, std::memory_order_seq_cst);
    if (announced != 0) [[unlikely]]
      WakeAll(word, announced);
  }

  // Makes ready for waiting; before Announce. What happened before may be told, or not. False: of
  // deaths since the last look nobody may have told.
  bool Watch();
  // Says that this one is going to sleep. After it, the caller looks once more (W1).
  void Announce(SleepersWord& word);
  // Sleeps until something may have changed, or the deadline. False: the deadline is over.
  bool Sleep(Deadline deadline);
  // Forgets what has been told so far: the descriptor is not readable until there is more.
  void ForgetTold();
  // What may change will tell nobody: as after a death, the next sleeps are short.
  void LookAgain();
  // Whether a description was closed a moment ago: somebody may be dead who did not look so.
  bool death_is_near() const { return next_look_ns_ != 0; }

  // Readable when something may have changed; -1 if there is no inotify.
  int descriptor();

 private:
  void WakeAll(SleepersWord& word, uint64_t announced);
  bool is_watching() const { return watch_ != nullptr && watch_->Intact(); }

  const Segment& segment_;
  const off_t page_at_;
  const ForkGuard guard_;
  // A description of the file that tells of what is done to it (that of a memfd does not), by a
  // descriptor, and by a mapping of the page, which is left if the program closes the descriptor.
  std::optional<Descriptor> teller_;
  void* teller_page_ = nullptr;
  std::unique_ptr<Descriptor> watch_;
  int watched_ = -1;          // what is watched, as inotify numbers it
  int64_t next_look_ns_ = 0;  // how long the next sleep may last after a death's news; 0: no such
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_CHANNELS_SHARED_SLEEPERS_H_
