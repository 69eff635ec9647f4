// What the kernel passes messages with: Unix sockets, a pipe, a POSIX message queue. A stream has a
// length before each message, as the original's test wrote it.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "stress/benchmarks/channels/transport.h"

namespace kill9::transports {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMostBatch = 64;

// Two descriptors, of which one end is the sender's and one the receiver's. Both stay open in all
// processes: the end of one is not the end of the stream.
class TwoEnds final : public Transport {
 public:
  using Opener = std::unique_ptr<Port> (*)(int fd, size_t largest_bytes);
  TwoEnds(int sends, int receives, size_t largest_bytes, Opener opener)
      : sends_(sends), receives_(receives), largest_bytes_(largest_bytes), opener_(opener) {}
  ~TwoEnds() override {
    close(sends_);
    if (receives_ != sends_) close(receives_);
  }
  std::unique_ptr<Port> Open(Side side, Wait) override {
    return opener_(side == Side::kSends ? sends_ : receives_, largest_bytes_);
  }

 private:
  const int sends_, receives_;
  const size_t largest_bytes_;
  const Opener opener_;
};

class StreamPort final : public PortOf<StreamPort> {
 public:
  StreamPort(int fd, size_t largest_bytes)
      : fd_(fd), buffer_(std::max(kReadBytes, 2 * (largest_bytes + sizeof(uint32_t)))) {}

  void Send(std::string_view message) override {
    Add(message);
    Flush();
  }
  void SendBatch(const Load& load, size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count; ++i) Add(load.message(i));
    Flush();
  }
  void Flush() {
    for (std::string_view rest = out_; !rest.empty();) {
      const ssize_t written = write(fd_, rest.data(), rest.size());
      if (written <= 0) Die("write failed");
      rest.remove_prefix(static_cast<size_t>(written));
    }
    out_.clear();
  }
  void Receive(std::string* message) override {
    const std::string_view found = Next();
    message->assign(found.data(), found.size());
  }
  template <typename See>
  size_t ReceiveBatch(size_t most, See see) {
    if (most == 1) return PortOf::ReceiveBatch(1, see);
    see(Next());
    size_t count = 1;
    for (; count < most && HasNext(); ++count) see(Next());
    return count;
  }

 private:
  using Size = uint32_t;

  void Add(std::string_view message) {
    const Size size = static_cast<Size>(message.size());
    out_.append(reinterpret_cast<const char*>(&size), sizeof size);
    out_.append(message);
  }
  bool HasNext() const {
    if (end_ - begin_ < sizeof(Size)) return false;
    Size size = 0;
    std::memcpy(&size, buffer_.data() + begin_, sizeof size);
    return end_ - begin_ >= sizeof(Size) + size;
  }
  std::string_view Next() {
    while (!HasNext()) {
      std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
      // Who reads in the middle of a message may wait for one that is longer than any.
      if (end_ == buffer_.size()) end_ = 0;
      const ssize_t got = read(fd_, buffer_.data() + end_, buffer_.size() - end_);
      if (got <= 0) Die("read failed");
      end_ += static_cast<size_t>(got);
    }
    Size size = 0;
    std::memcpy(&size, buffer_.data() + begin_, sizeof size);
    const std::string_view message(buffer_.data() + begin_ + sizeof size, size);
    begin_ += sizeof size + size;
    return message;
  }

  const int fd_;
  std::string out_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
};

// Each write is a message, and so is each read; many by sendmmsg and recvmmsg.
class PacketPort final : public PortOf<PacketPort> {
 public:
  PacketPort(int fd, size_t largest_bytes) : fd_(fd), largest_bytes_(largest_bytes) {
    room_.resize(largest_bytes * kMostBatch);
    for (size_t i = 0; i < kMostBatch; ++i) {
      parts_[i] = {room_.data() + i * largest_bytes, largest_bytes};
      heads_[i].msg_hdr = {};
      heads_[i].msg_hdr.msg_iov = &parts_[i];
      heads_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  void Send(std::string_view message) override {
    if (send(fd_, message.data(), message.size(), 0) < 0) Die("send failed");
  }
  void SendBatch(const Load& load, size_t begin, size_t count) {
    if (count == 1) return Send(load.message(begin));
    for (size_t i = 0; i < count; ++i) {
      const std::string_view message = load.message(begin + i);
      parts_[i] = {const_cast<char*>(message.data()), message.size()};
    }
    for (size_t sent = 0; sent < count;) {
      const int more = sendmmsg(fd_, heads_ + sent, static_cast<unsigned>(count - sent), 0);
      if (more <= 0) Die("sendmmsg failed");
      sent += static_cast<size_t>(more);
    }
  }
  void Receive(std::string* message) override {
    const ssize_t got = recv(fd_, room_.data(), largest_bytes_, 0);
    if (got <= 0) Die("recv failed");
    message->assign(room_.data(), static_cast<size_t>(got));
  }
  template <typename See>
  size_t ReceiveBatch(size_t most, See see) {
    if (most == 1) return PortOf::ReceiveBatch(1, see);
    const unsigned count = static_cast<unsigned>(std::min(most, kMostBatch));
    const int got = recvmmsg(fd_, heads_, count, MSG_WAITFORONE, nullptr);
    if (got <= 0) Die("recvmmsg failed");
    for (int i = 0; i < got; ++i) {
      see(std::string_view(static_cast<char*>(parts_[i].iov_base), heads_[i].msg_len));
    }
    return static_cast<size_t>(got);
  }

 private:
  const int fd_;
  const size_t largest_bytes_;
  std::string room_;
  iovec parts_[kMostBatch];
  mmsghdr heads_[kMostBatch];
};

class QueuePort final : public PortOf<QueuePort> {
 public:
  QueuePort(int queue, size_t largest_bytes) : queue_(queue), room_(largest_bytes, '\0') {}

  void Send(std::string_view message) override {
    if (mq_send(queue_, message.data(), message.size(), 0) != 0) Die("mq_send failed");
  }
  void Receive(std::string* message) override {
    const ssize_t got = mq_receive(queue_, room_.data(), room_.size(), nullptr);
    if (got < 0) Die("mq_receive failed");
    message->assign(room_.data(), static_cast<size_t>(got));
  }

 private:
  const int queue_;
  std::string room_;
};

template <typename Kind>
std::unique_ptr<Port> OpenPort(int fd, size_t largest_bytes) {
  return std::make_unique<Kind>(fd, largest_bytes);
}

template <typename Kind>
std::unique_ptr<Transport> MakeSocket(int type, size_t largest_bytes) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) Die("socketpair failed");
  return std::make_unique<TwoEnds>(ends[1], ends[0], largest_bytes, &OpenPort<Kind>);
}

std::unique_ptr<Transport> MakePipe(size_t largest_bytes) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Die("pipe failed");
  return std::make_unique<TwoEnds>(ends[1], ends[0], largest_bytes, &OpenPort<StreamPort>);
}

constexpr size_t kQueueMessages = 10;        // fs.mqueue.msg_max, as the system comes
constexpr size_t kQueueMessageBytes = 8192;  // fs.mqueue.msgsize_max

std::unique_ptr<Transport> MakeQueue(size_t largest_bytes) {
  static int made = 0;
  const std::string name = absl::StrCat("/kill9-benchmark-", getpid(), "-", ++made);
  mq_attr attributes{};
  attributes.mq_maxmsg = kQueueMessages;
  attributes.mq_msgsize = static_cast<long>(largest_bytes);
  const mqd_t queue = mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue < 0) Die(absl::StrCat("mq_open failed: ", std::strerror(errno)));
  mq_unlink(name.c_str());
  return std::make_unique<TwoEnds>(queue, queue, largest_bytes, &OpenPort<QueuePort>);
}

}  // namespace

std::vector<TransportKind> KernelTransports() {
  return {{.name = "unix_stream",
           .role = "peer",
           .batches = true,
           .sleeps = true,
           .make = [](size_t bytes) { return MakeSocket<StreamPort>(SOCK_STREAM, bytes); }},
          {.name = "unix_seqpacket",
           .role = "peer",
           .most_bytes = 100 << 10,  // a packet must fit into the socket's buffer
           .batches = true,
           .many = true,
           .sleeps = true,
           .make = [](size_t bytes) { return MakeSocket<PacketPort>(SOCK_SEQPACKET, bytes); }},
          {.name = "pipe", .role = "peer", .batches = true, .sleeps = true, .make = &MakePipe},
          {.name = "posix_message_queue",
           .role = "peer",
           .most_bytes = kQueueMessageBytes,
           .many = true,
           .sleeps = true,
           .make = &MakeQueue}};
}

}  // namespace kill9::transports
