#include "stress/benchmarks/channels/measure.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>

#include "harness/base/pin_to_core.h"
#include "harness/base/process_end/die_with_parent.h"
#include "harness/base/shared_mapping.h"
#include "harness/torture/control.h"

namespace kill9::transports {
namespace {

constexpr uint64_t kStandStillNs = 60'000'000'000;
constexpr unsigned kMostProcesses = 64;

struct Meeting {
  std::atomic<unsigned> ready;
  std::atomic<bool> go;
  std::atomic<uint64_t> done_ns[kMostProcesses];
  std::atomic<uint64_t> cpu_ns;
};

uint64_t CpuNs() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void End(const std::vector<pid_t>& children) {
  for (const pid_t child : children) kill(child, SIGKILL);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
}

// One of a set of processes, from its fork to its end.
[[noreturn]] void Live(Meeting& meeting, pid_t parent, unsigned number,
                       const std::function<Work()>& process) {
  DieWithParent(parent);
  PinToCore(number);
  {
    const Work work = process();
    meeting.ready.fetch_add(1);
    // More processes than cores: whoever waits lets the others get ready.
    while (!meeting.go.load()) sched_yield();
    const uint64_t begin_ns = CpuNs();
    work();
    meeting.cpu_ns.fetch_add(CpuNs() - begin_ns);
    meeting.done_ns[number].store(MonotonicNs());
  }
  _exit(0);
}

}  // namespace

Took RunTogether(const std::vector<std::function<Work()>>& processes) {
  if (processes.size() > kMostProcesses) Die("too many processes");
  Meeting& meeting = *reinterpret_cast<Meeting*>(MapShared(sizeof(Meeting), sizeof(Meeting)));
  const pid_t parent = getpid();
  std::vector<pid_t> children;
  for (unsigned i = 0; i < processes.size(); ++i) {
    const pid_t child = fork();
    if (child < 0) Die("fork failed");
    if (child == 0) Live(meeting, parent, i, processes[i]);
    children.push_back(child);
  }
  const uint64_t forked_ns = MonotonicNs();
  bool failed = false;
  uint64_t begin_ns = 0;
  size_t ended = 0;
  while (ended < processes.size() && !failed) {
    if (begin_ns == 0 && meeting.ready.load() == processes.size()) {
      begin_ns = MonotonicNs();
      meeting.go.store(true);
    }
    int status = 0;
    for (pid_t& child : children) {
      if (child < 0 || waitpid(child, &status, WNOHANG) != child) continue;
      child = -1;
      ++ended;
      failed |= status != 0;
    }
    failed |= MonotonicNs() - std::max(begin_ns, forked_ns) > kStandStillNs;
    usleep(begin_ns == 0 ? 50 : 1000);
  }
  std::erase(children, -1);
  End(children);
  uint64_t end_ns = begin_ns;
  for (const std::atomic<uint64_t>& done : meeting.done_ns) {
    end_ns = std::max(end_ns, done.load());
  }
  Took took;
  if (!failed) {
    took = {static_cast<double>(end_ns - begin_ns) / 1e9,
            static_cast<double>(meeting.cpu_ns.load()) / 1e9};
  }
  munmap(&meeting, sizeof(Meeting));
  return took;
}

SharedHistogram::SharedHistogram()
    : histogram_(reinterpret_cast<Histogram*>(MapShared(sizeof(Histogram), sizeof(Histogram)))) {
  if (histogram_ == nullptr) Die("no room for a histogram");
}
SharedHistogram::~SharedHistogram() { munmap(histogram_, sizeof(Histogram)); }

Took Stream(const TransportKind& kind, const Load& load, size_t batch, unsigned senders,
            unsigned receivers) {
  const std::unique_ptr<Transport> transport = kind.make(load.largest_bytes());
  const Wait wait = kind.sleeps ? Wait::kSleeping : Wait::kSpinning;
  const bool in_order = senders == 1 && receivers == 1;
  std::vector<std::function<Work()>> processes;
  const auto add = [&](Side side, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      const size_t begin = load.count() * i / count;
      const Part part{begin, load.count() * (i + 1) / count - begin, batch, in_order};
      processes.push_back([&, side, part]() -> Work {
        const std::shared_ptr<Port> port = transport->Open(side, wait);
        return [&load, port, side, part] {
          if (side == Side::kSends) {
            port->SendPart(load, part);
          } else {
            port->ReceivePart(load, part);
          }
        };
      });
    }
  };
  add(Side::kReceives, receivers);
  add(Side::kSends, senders);
  return RunTogether(processes);
}

Took ToAll(const TransportKind& kind, const Load& load, unsigned receivers, uint64_t* received) {
  std::vector<std::unique_ptr<Transport>> transports;
  for (unsigned i = 0; i < (kind.broadcasts ? 1 : receivers); ++i) {
    transports.push_back(kind.make(load.largest_bytes()));
  }
  auto& got =
      *reinterpret_cast<std::atomic<uint64_t>*>(MapShared(sizeof *received, sizeof *received));
  std::vector<std::function<Work()>> processes;
  for (unsigned i = 0; i < receivers; ++i) {
    processes.push_back([&, i]() -> Work {
      const std::shared_ptr<Port> port =
          transports[i % transports.size()]->Open(Side::kReceives, Wait::kSleeping);
      return [&load, &got, port] {
        std::string message;
        uint64_t number = 0;
        for (; number + port->missed() < load.count(); ++number) {
          port->Receive(&message);
          load.Check(number + port->missed(), message);
        }
        got.fetch_add(number);
      };
    });
  }
  processes.push_back([&]() -> Work {
    auto ports = std::make_shared<std::vector<std::unique_ptr<Port>>>();
    for (const auto& transport : transports) {
      ports->push_back(transport->Open(Side::kSends, Wait::kSleeping));
    }
    return [&load, ports] {
      for (size_t i = 0; i < load.count(); ++i) {
        for (const auto& port : *ports) port->Send(load.message(i));
      }
    };
  });
  const Took took = RunTogether(processes);
  *received = got.load();
  munmap(&got, sizeof *received);
  return took;
}

Took InPlace(const TransportKind& kind, size_t bytes, size_t count) {
  const std::unique_ptr<Transport> transport = kind.make(bytes);
  const Wait wait = kind.sleeps ? Wait::kSleeping : Wait::kSpinning;
  return RunTogether({[&]() -> Work {
                        const std::shared_ptr<Port> port = transport->Open(Side::kReceives, wait);
                        return [port, count] { port->ReceiveInPlace(count); };
                      },
                      [&]() -> Work {
                        const std::shared_ptr<Port> port = transport->Open(Side::kSends, wait);
                        return [port, bytes, count] { port->SendInPlace(bytes, count); };
                      }});
}

bool Echo(const TransportKind& kind, size_t bytes, size_t count, Wait wait, unsigned rest_us,
          Histogram* nanoseconds, size_t burst) {
  const std::unique_ptr<Transport> there = kind.make(bytes), back = kind.make(bytes);
  struct Ends {
    std::unique_ptr<Port> out, in;
  };
  const auto first = [&]() -> Work {
    // The receiving ends first, on both sides: a sender may have to wait for one.
    auto in = back->Open(Side::kReceives, wait);
    auto ends = std::make_shared<Ends>(Ends{there->Open(Side::kSends, wait), std::move(in)});
    return [=] {
      const std::string message(bytes, 'm');
      std::string answer;
      for (size_t i = 0; i < count; ++i) {
        const uint64_t rested_ns = MonotonicNs() + uint64_t{rest_us} * 1000;
        uint64_t begin_ns = MonotonicNs();
        for (; begin_ns < rested_ns; begin_ns = MonotonicNs()) CpuRelax();
        for (size_t sent = 0; sent < burst; ++sent) ends->out->Send(message);
        ends->in->Receive(&answer);
        nanoseconds->Add(MonotonicNs() - begin_ns);
      }
    };
  };
  const auto second = [&]() -> Work {
    auto in = there->Open(Side::kReceives, wait);
    auto ends = std::make_shared<Ends>(Ends{back->Open(Side::kSends, wait), std::move(in)});
    return [=] {
      std::string message;
      for (size_t i = 0; i < count; ++i) {
        for (size_t got = 0; got < burst; ++got) ends->in->Receive(&message);
        ends->out->Send(message);
      }
    };
  };
  return RunTogether({first, second}).seconds >= 0;
}

}  // namespace kill9::transports
