// semaphore_vector: a vector of messages in a mapped file, guarded by one unnamed POSIX semaphore
// that lies in the file, too.
//
// Its author's case for it: a message is one copy in and one copy out, the semaphore costs two
// atomic operations where nobody is in the way, and the receiver takes all that waits at once
// (ReceiveAll); it was six times as fast as a Unix socket. The file grows when the vector is full.
// A receiver that finds nothing sleeps a microsecond and looks again, as the original's does.
// Nobody knows of the other members: nobody is told that they have gone.
#include <semaphore.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "variants/channels/copying_channel.h"
#include "variants/receives_all.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

constexpr std::string_view kName = "semaphore_vector";
constexpr uint64_t kFirstBytes = 32 << 10;  // of the vector, when the segment is new

// At the beginning of the segment's body; all of it is read and written inside the semaphore. The
// vector follows it: records, the oldest from `begin` on, to `end`.
struct VectorHeader {
  sem_t semaphore;
  uint64_t begin;  // bytes from the vector's first one
  uint64_t end;
  uint64_t room;  // bytes that the file is long enough for
  uint64_t sent;  // the last message's sequence
  uint64_t waiting;
  uint64_t bytes;
  uint64_t closed;
};

struct Record {
  uint64_t sequence;
  uint64_t size;
  static uint64_t Bytes(uint64_t size) { return sizeof(Record) + (size + 7) / 8 * 8; }
};
static_assert(sizeof(Record) == 16 && sizeof(VectorHeader) % alignof(Record) == 0);

absl::Status Closed() { return absl::OutOfRangeError("the channel is closed"); }

class SemaphoreVector final : public CopyingChannel, public ReceivesAll {
 public:
  SemaphoreVector(std::shared_ptr<Segment> segment, MemberRole role)
      : CopyingChannel(kName, std::move(segment), role),
        header_(*reinterpret_cast<VectorHeader*>(this->segment().body().data())),
        vector_(reinterpret_cast<char*>(&header_ + 1)) {}

  size_t max_message_bytes() const override { return capacity() - sizeof(Record); }

  absl::StatusOr<std::span<const Message>> ReceiveAll(Deadline deadline) override {
    messages_.clear();
    absl::Status status = Until(deadline, "no message", [this]() -> absl::StatusOr<bool> {
      if (header_.waiting == 0) return NothingWaits();
      copy_.assign(vector_ + header_.begin, header_.end - header_.begin);
      messages_.reserve(header_.waiting);
      header_.begin = header_.end = header_.waiting = header_.bytes = 0;
      return true;
    });
    if (!status.ok()) return status;
    for (size_t at = 0; at < copy_.size();) {
      const Record& record = *reinterpret_cast<const Record*>(copy_.data() + at);
      messages_.push_back(
          {{copy_.data() + at + sizeof(Record), record.size}, {.sequence = record.sequence}});
      at += Record::Bytes(record.size);
    }
    return messages_;
  }

 private:
  // Inside the semaphore for as long as it lives.
  class Inside {
   public:
    explicit Inside(VectorHeader& header) : semaphore_(header.semaphore) {
      while (sem_wait(&semaphore_) != 0 && errno == EINTR) {
      }
    }
    ~Inside() { sem_post(&semaphore_); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    sem_t& semaphore_;
  };

  uint64_t capacity() const { return segment().body().size() - sizeof(VectorHeader); }

  absl::StatusOr<bool> NothingWaits() const {
    if (header_.closed != 0) return Closed();
    return false;
  }

  // Tries inside the semaphore, again and again, until it is done, an error, or the deadline.
  absl::Status Until(Deadline deadline, const char* what,
                     absl::FunctionRef<absl::StatusOr<bool>()> attempt) {
    for (;;) {
      {
        const Inside inside(header_);
        const absl::StatusOr<bool> done = attempt();
        if (!done.ok()) return done.status();
        if (*done) return absl::OkStatus();
      }
      if (!deadline.waits() || deadline.monotonic_ns() <= Deadline::After(kTick).monotonic_ns()) {
        return absl::DeadlineExceededError(what);
      }
      const timespec tick{0, kTick.count()};
      nanosleep(&tick, nullptr);
    }
  }

  // Room behind the last message. False: there is none. What waits is moved to the front only where
  // that wins much: it is copied inside the semaphore.
  absl::StatusOr<bool> MakeRoom(uint64_t bytes) {
    if (header_.end + bytes > capacity() && header_.begin >= capacity() / 4) {
      std::memmove(vector_, vector_ + header_.begin, header_.end - header_.begin);
      header_.end -= header_.begin;
      header_.begin = 0;
    }
    if (header_.end + bytes > capacity()) return false;
    if (header_.end + bytes > header_.room) {
      const uint64_t room = std::min(std::max(header_.end + bytes, 2 * header_.room), capacity());
      const uint64_t offset = static_cast<uint64_t>(vector_ - segment().base());
      absl::Status status = segment().Grow(offset + header_.room, offset + room);
      if (!status.ok()) return status;
      header_.room = room;
    }
    return true;
  }

  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) override {
    Sequence sequence = 0;
    absl::Status status = Until(deadline, "no room", [&]() -> absl::StatusOr<bool> {
      if (header_.closed != 0) return Closed();
      const uint64_t bytes = Record::Bytes(message.size());
      absl::StatusOr<bool> room = MakeRoom(bytes);
      if (!room.ok() || !*room) return room;
      Record& record = *reinterpret_cast<Record*>(vector_ + header_.end);
      record = {.sequence = sequence = ++header_.sent, .size = message.size()};
      message.copy(reinterpret_cast<char*>(&record + 1), message.size());
      header_.end += bytes;
      ++header_.waiting;
      header_.bytes += message.size();
      return true;
    });
    if (!status.ok()) return status;
    return sequence;
  }

  absl::StatusOr<MessageInfo> DoReceive(std::string* message, Deadline deadline) override {
    MessageInfo info;
    absl::Status status = Until(deadline, "no message", [&]() -> absl::StatusOr<bool> {
      if (header_.waiting == 0) return NothingWaits();
      const Record& record = *reinterpret_cast<const Record*>(vector_ + header_.begin);
      info.sequence = record.sequence;
      message->assign(reinterpret_cast<const char*>(&record + 1), record.size);
      header_.begin += Record::Bytes(record.size);
      header_.bytes -= record.size;
      if (--header_.waiting == 0) header_.begin = header_.end = 0;
      return true;
    });
    if (!status.ok()) return status;
    return info;
  }

  absl::Status DoClose() override {
    const Inside inside(header_);
    header_.closed = 1;
    return absl::OkStatus();
  }

  absl::StatusOr<Occupancy> DoLook() override {
    const Inside inside(header_);
    Occupancy occupancy;
    occupancy.waiting = header_.waiting;
    occupancy.bytes = header_.bytes;
    occupancy.capacity_bytes = capacity();
    occupancy.closed = header_.closed != 0;
    return occupancy;
  }

  static constexpr std::chrono::nanoseconds kTick{1000};

  VectorHeader& header_;
  char* const vector_;
  // What ReceiveAll has taken out, and what it shows of it.
  std::string copy_;
  std::vector<Message> messages_;
};

class SemaphoreVectorDesign final : public ChannelDesign {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "a vector of messages that grows, under one unnamed POSIX semaphore";
  }
  Role role() const override { return Role::kBaseline; }
  std::string_view expected_verdict() const override { return "stuck"; }
  std::string_view shown_by() const override {
    return "sweep --operation=send,receive --state=several";
  }
  const ChannelTraits& traits() const override {
    static const ChannelTraits traits = [] {
      ChannelTraits own = CopyingChannelTraits("nobody", "there is none");
      own.grows = true;
      return own;
    }();
    return traits;
  }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    SegmentLayout layout = Layout();
    layout.first_body_bytes = sizeof(VectorHeader) + kFirstBytes;
    return Segment::Create(options, layout, [](Segment& segment, SegmentHeader&) {
      VectorHeader& header = *reinterpret_cast<VectorHeader*>(segment.body().data());
      header.room = std::min(kFirstBytes, segment.body().size() - sizeof(VectorHeader));
      sem_init(&header.semaphore, /*pshared=*/1, 1);
      return absl::OkStatus();
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, Layout());
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, Layout());
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    return std::make_unique<SemaphoreVector>(std::move(segment), membership.role);
  }

 private:
  static SegmentLayout Layout() { return {.design = kName, .grows = true}; }
};

}  // namespace

const ChannelDesign& VectorUnderASemaphore();
const ChannelDesign& VectorUnderASemaphore() {
  static const SemaphoreVectorDesign design;
  return design;
}

}  // namespace kill9
