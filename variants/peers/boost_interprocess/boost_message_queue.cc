// Boost.Interprocess's message_queue: messages of a bounded size, in slots of that size, under one
// interprocess_mutex and two conditions, none of them robust; there is no recovery to call.
//
// The library keeps a queue in shared memory of a name, or, where it is told that there is none, in
// a mapped file in a folder of the program's choice. Here it is the latter: the folder is the
// anchor's (peer.h), so that nothing is left when the segment's name is removed.
#include <boost/interprocess/detail/workaround.hpp>
#undef BOOST_INTERPROCESS_POSIX_SHARED_MEMORY_OBJECTS
#define BOOST_INTERPROCESS_SHARED_DIR_FUNC
#include <algorithm>
#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "variants/channels/copying_channel.h"
#include "variants/peers/peer.h"

namespace kill9 {
namespace {

// Where the library looks for its files; set before each call that opens one.
thread_local std::string shared_directory;

}  // namespace
}  // namespace kill9

namespace boost::interprocess::ipcdetail {

// The library asks for it.
void get_shared_dir(std::string& directory) { directory = kill9::shared_directory; }

}  // namespace boost::interprocess::ipcdetail

namespace kill9 {
namespace {

namespace ip = boost::interprocess;

constexpr std::string_view kName = "boost_message_queue";
constexpr char kFile[] = "queue";
constexpr uint64_t kLeastMessageBytes = 32 << 10;
constexpr uint64_t kMostMessages = 64;

// Each slot has room for the largest message: few large ones, or many small ones.
uint64_t MessageBytes(const SegmentOptions& options) {
  if (options.expected_entries != 0) return options.size_bytes / options.expected_entries;
  return std::max(kLeastMessageBytes, options.size_bytes / kMostMessages);
}

boost::posix_time::ptime TimeOf(Deadline deadline) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t left_ns =
      deadline.monotonic_ns() - (now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec);
  return boost::posix_time::microsec_clock::universal_time() +
         boost::posix_time::microseconds(std::max<int64_t>(left_ns / 1000, 0));
}

class BoostQueue final : public CopyingChannel {
 public:
  BoostQueue(std::shared_ptr<Segment> segment, MemberRole role)
      : CopyingChannel(kName, std::move(segment), role), queue_(ip::open_only, kFile) {
    read_.resize(queue_.get_max_msg_size());
  }

  size_t max_message_bytes() const override { return queue_.get_max_msg_size(); }

 private:
  absl::StatusOr<Sequence> DoSend(std::string_view message, Deadline deadline) override {
    bool sent = true;
    if (deadline.forever()) {
      queue_.send(message.data(), message.size(), 0);
    } else if (deadline.waits()) {
      sent = queue_.timed_send(message.data(), message.size(), 0, TimeOf(deadline));
    } else {
      sent = queue_.try_send(message.data(), message.size(), 0);
    }
    if (!sent) return absl::DeadlineExceededError("no room");
    return 0;
  }

  absl::StatusOr<MessageInfo> DoReceive(std::string* message, Deadline deadline) override {
    ip::message_queue::size_type size = 0;
    unsigned priority = 0;
    bool received = true;
    if (deadline.forever()) {
      queue_.receive(read_.data(), read_.size(), size, priority);
    } else if (deadline.waits()) {
      received = queue_.timed_receive(read_.data(), read_.size(), size, priority, TimeOf(deadline));
    } else {
      received = queue_.try_receive(read_.data(), read_.size(), size, priority);
    }
    if (!received) return absl::DeadlineExceededError("no message");
    message->assign(read_.data(), size);
    return MessageInfo{};
  }

  absl::Status DoClose() override { return Lacks("Close"); }

  absl::StatusOr<Occupancy> DoLook() override {
    Occupancy occupancy;
    occupancy.waiting = queue_.get_num_msg();
    occupancy.capacity_bytes = queue_.get_max_msg() * queue_.get_max_msg_size();
    return occupancy;
  }

  ip::message_queue queue_;
  std::string read_;
};

class BoostQueueDesign final : public ChannelDesign {
 public:
  std::string_view name() const override { return kName; }
  std::string_view summary() const override {
    return "Boost.Interprocess's message_queue: slots of one size under a mutex that is not robust";
  }
  Role role() const override { return Role::kPeer; }
  const ChannelTraits& traits() const override {
    static const ChannelTraits traits = [] {
      ChannelTraits own =
          CopyingChannelTraits("none: the mutex is not robust", "nothing: nothing is repaired");
      own.needs_name = true;
      own.has_sequences = false;
      return own;
    }();
    return traits;
  }

  absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options) const override {
    return peers::CreateAnchor(options, kName, [&](const peers::Anchor& anchor) -> absl::Status {
      const uint64_t message_bytes = MessageBytes(options);
      try {
        shared_directory = anchor.directory;
        ip::message_queue(ip::create_only, kFile, options.size_bytes / message_bytes,
                          message_bytes);
        return absl::OkStatus();
      } catch (const std::exception& error) {
        return absl::ResourceExhaustedError(absl::StrCat("no queue: ", error.what()));
      }
    });
  }
  absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location) const override {
    return Segment::Open(location, {.design = kName});
  }
  absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd) const override {
    return Segment::FromFd(fd, {.design = kName});
  }
  absl::StatusOr<std::unique_ptr<Channel>> Attach(std::shared_ptr<Segment> segment,
                                                  const Membership& membership) const override {
    try {
      shared_directory = peers::AnchorOf(*segment).directory;
      return std::make_unique<BoostQueue>(std::move(segment), membership.role);
    } catch (const std::exception& error) {
      return absl::DataLossError(error.what());
    }
  }
};

}  // namespace

const ChannelDesign& BoostMessageQueue();
const ChannelDesign& BoostMessageQueue() {
  static const BoostQueueDesign design;
  return design;
}

}  // namespace kill9
