// iceoryx 2.0: chunks from pools in shared memory that a daemon (RouDi) makes and cleans, and a
// queue of them for each subscriber. Here: one publisher, one subscriber; a full queue blocks the
// publisher, so that nothing is dropped.
#include "stress/benchmarks/channels/transport.h"

#ifdef KILL9_HAVE_ICEORYX
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/process_end/kill_and_reap.h"
#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

namespace kill9::transports {
namespace {

constexpr uint64_t kQueuedMessages = 256;

// The daemon, as long as this process lives.
class Daemon {
 public:
  static void Start() { static Daemon daemon; }

 private:
  Daemon() : started_by_(getpid()) {
    int ready[2];
    if (pipe(ready) != 0) Die("pipe failed");
    pid_ = fork();
    if (pid_ < 0) Die("fork failed");
    if (pid_ == 0) {
      DieWithParent(started_by_);
      dup2(ready[1], STDOUT_FILENO);
      dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
      execlp("iox-roudi", "iox-roudi", "--kill-delay", "1", nullptr);
      _exit(1);
    }
    close(ready[1]);
    // "RouDi is ready for clients"
    std::string told;
    char part[256];
    while (told.find("ready") == std::string::npos) {
      const ssize_t got = read(ready[0], part, sizeof part);
      if (got <= 0) Die("iox-roudi did not start (the package iceoryx)");
      told.append(part, static_cast<size_t>(got));
    }
    unread_ = ready[0];
  }
  ~Daemon() {
    if (getpid() != started_by_) return;
    // It ends who is registered with it; by then it has struck off all who are dead.
    usleep(kUntilTheDeadAreStruckOffUs);
    kill(pid_, SIGTERM);
    int status = 0;
    for (int look = 0; look < kLooks && waitpid(pid_, &status, WNOHANG) == 0; ++look) {
      usleep(kLookUs);
    }
    KillAndReap(pid_, &status);
    close(unread_);
  }

  static constexpr useconds_t kUntilTheDeadAreStruckOffUs = 2'500'000, kLookUs = 10'000;
  static constexpr int kLooks = 500;
  const pid_t started_by_;
  pid_t pid_ = -1;
  int unread_ = -1;
};

iox::capro::IdString_t Id(const std::string& text) {
  return iox::capro::IdString_t(iox::cxx::TruncateToCapacity, text);
}

class PublisherPort final : public PortOf<PublisherPort> {
 public:
  explicit PublisherPort(const iox::capro::ServiceDescription& service)
      : publisher_(service, Options()) {
    while (!publisher_.hasSubscribers()) usleep(100);
  }

  void Send(std::string_view message) override {
    Publish(message.size(),
            [&](void* place) { std::memcpy(place, message.data(), message.size()); });
  }
  void Receive(std::string*) override { Die("a publisher receives nothing"); }
  void SendInPlace(size_t bytes, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      Publish(bytes, [i](void* place) { *static_cast<char*>(place) = static_cast<char>(i); });
    }
  }

 private:
  static iox::popo::PublisherOptions Options() {
    iox::popo::PublisherOptions options;
    options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    return options;
  }
  template <typename Fill>
  void Publish(size_t bytes, Fill fill) {
    publisher_.loan(static_cast<uint32_t>(bytes))
        .and_then([&](auto& place) {
          fill(place);
          publisher_.publish(place);
        })
        .or_else([](auto&) { Die("iceoryx has no chunk left"); });
  }

  iox::popo::UntypedPublisher publisher_;
};

class SubscriberPort final : public PortOf<SubscriberPort> {
 public:
  SubscriberPort(const iox::capro::ServiceDescription& service, Wait wait)
      : subscriber_(service, Options()), sleeps_(wait == Wait::kSleeping) {
    waits_.attachState(subscriber_, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) {
      Die("cannot attach to a wait set");
    });
  }

  void Send(std::string_view) override { Die("a subscriber sends nothing"); }
  void Receive(std::string* message) override {
    Next([message](const void* bytes, size_t size) {
      message->assign(static_cast<const char*>(bytes), size);
    });
  }
  void ReceiveInPlace(size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      Next([i](const void* bytes, size_t) {
        if (*static_cast<const char*>(bytes) != static_cast<char>(i)) Die("a wrong message came");
      });
    }
  }

 private:
  static iox::popo::SubscriberOptions Options() {
    iox::popo::SubscriberOptions options;
    options.queueCapacity = kQueuedMessages;
    options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    return options;
  }
  template <typename See>
  void Next(See see) {
    for (bool got = false; !got;) {
      subscriber_.take().and_then([&](const void* bytes) {
        see(bytes, iox::mepoo::ChunkHeader::fromUserPayload(bytes)->userPayloadSize());
        subscriber_.release(bytes);
        got = true;
      });
      if (got) return;
      if (sleeps_) {
        waits_.wait();
      } else {
        CpuRelax();
      }
    }
  }

  iox::popo::UntypedSubscriber subscriber_;
  iox::popo::WaitSet<> waits_;
  const bool sleeps_;
};

class IceoryxTransport final : public Transport {
 public:
  IceoryxTransport() : name_(absl::StrCat(getpid(), "-", ++made_)) { Daemon::Start(); }
  std::unique_ptr<Port> Open(Side side, Wait wait) override {
    static bool is_known = false;  // to the daemon; a process of the daemon's is one for ever
    if (!std::exchange(is_known, true)) {
      iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
          iox::log::LogLevel::kError, iox::log::LogLevelOutput::kHideLogLevel);
      const std::string process = absl::StrCat("kill9-", getpid());
      iox::runtime::PoshRuntime::initRuntime(
          iox::RuntimeName_t(iox::cxx::TruncateToCapacity, process));
    }
    const iox::capro::ServiceDescription service(Id("kill9"), Id("benchmark"), Id(name_));
    if (side == Side::kSends) return std::make_unique<PublisherPort>(service);
    return std::make_unique<SubscriberPort>(service, wait);
  }

 private:
  inline static int made_ = 0;
  const std::string name_;
};

}  // namespace

std::vector<TransportKind> Iceoryx() {
  return {{.name = "iceoryx",
           .role = "peer",
           .most_bytes = 4 << 20,
           .spins = true,
           .sleeps = true,
           .in_place = true,
           .make = [](size_t) { return std::make_unique<IceoryxTransport>(); }}};
}

}  // namespace kill9::transports
#else
namespace kill9::transports {
std::vector<TransportKind> Iceoryx() { return {}; }
}  // namespace kill9::transports
#endif
