#include "apps/http_cache/proxy/worker.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <set>

#include "apps/http_cache/proxy/client.h"
#include "apps/server/listener.h"

namespace kill9::http {
namespace {

class Worker {
 public:
  Worker(const WorkerSetup& setup, server::Cluster* stores)
      : setup_(setup),
        cache_(stores, setup.options.max_object_bytes),
        origin_(&loop_, setup.origin, &setup.rows[setup.number]),
        flights_(&loop_, stores, std::chrono::milliseconds(setup.options.lease_ms)) {
    services_.options = &setup.options;
    services_.loop = &loop_;
    services_.cache = &cache_;
    services_.origin = &origin_;
    services_.flights = &flights_;
    services_.counters = &setup.rows[setup.number];
    services_.rows = setup.rows;
    services_.workers = setup.workers;
    services_.about = setup.about;
    loop_.OnTick([this] {
      cache_.DropHeldPieces();
      AskForClient();
      if (!ending_ && connections_ < setup_.options.max_connections) WatchClients(true);
    });
  }

  int Run() {
    std::signal(SIGPIPE, SIG_IGN);
    services_.counters->Add(Counter::kStarts);
    setup_.rows[setup_.number].pid.store(getpid(), std::memory_order_relaxed);
    for (const ListeningSocket& socket : setup_.sockets) {
      acceptors_.push_back({this, socket, nullptr});
    }
    for (Acceptor& acceptor : acceptors_) {
      acceptor.readable =
          event_new(loop_.base(), acceptor.socket.fd, EV_READ | EV_PERSIST, OnClient, &acceptor);
      event_add(acceptor.readable, nullptr);
    }
    event* const term = evsignal_new(loop_.base(), SIGTERM, OnTerm, this);
    event_add(term, nullptr);
    letters_ = event_new(loop_.base(), setup_.hand_over->Inbox(setup_.number), EV_READ | EV_PERSIST,
                         OnLetter, this);
    event_add(letters_, nullptr);
    NoteClients();
    AskForClient();
    loop_.Run();
    event_free(letters_);
    event_free(term);
    for (const Acceptor& acceptor : acceptors_) event_free(acceptor.readable);
    return 0;
  }

 private:
  struct Acceptor {
    Worker* worker;
    ListeningSocket socket;
    event* readable;
  };

  // One client a turn, so that the other workers get theirs.
  static void OnClient(int, short, void* argument) {
    Acceptor& acceptor = *static_cast<Acceptor*>(argument);
    Worker& worker = *acceptor.worker;
    const int fd = server::Accept(acceptor.socket.fd);
    if (fd >= 0) {
      worker.services_.counters->Add(Counter::kConnections);
      return worker.Welcome(fd, acceptor.socket.tls);
    }
    // No descriptor is left: until the next tick, they wait where others may fetch them.
    if (errno == EMFILE || errno == ENFILE) worker.WatchClients(false);
  }

  void Welcome(int fd, bool tls) {
    SSL* const session = tls ? SSL_new(setup_.tls) : nullptr;
    if (tls && session == nullptr) {
      close(fd);
      return;
    }
    if (++connections_ >= setup_.options.max_connections) WatchClients(false);
    NoteClients();
    const auto place = std::make_shared<Client*>(nullptr);
    *place = loop_.Adopt(std::make_unique<Client>(&services_, fd, session, [this, place] {
      clients_.erase(*place);
      Left();
    }));
    clients_.insert(*place);
  }

  void Left() {
    --connections_;
    NoteClients();
    if (ending_) {
      if (connections_ == 0) loop_.Stop();
    } else if (connections_ == setup_.options.max_connections - 1) {
      WatchClients(true);
    }
  }

  // Relaxed, here and below: hints.
  void NoteClients() {
    services_.counters->clients.store(static_cast<uint64_t>(connections_),
                                      std::memory_order_relaxed);
  }

  void AskForClient() {
    if (ending_) return;
    setup_.hand_over->Ask(setup_.number, [this](int worker) {
      return setup_.rows[worker].clients.load(std::memory_order_relaxed);
    });
  }

  void GiveClient(int to) {
    const uint64_t theirs = setup_.rows[to].clients.load(std::memory_order_relaxed);
    if (!ending_) setup_.hand_over->Give(setup_.number, to, clients_, theirs);
  }

  static void OnLetter(int, short, void* self) {
    Worker& worker = *static_cast<Worker*>(self);
    server::HandOver::Letter letter;
    if (!worker.setup_.hand_over->Take(worker.setup_.number, &letter)) return;
    if (letter.connection < 0) return worker.GiveClient(letter.from);
    worker.Welcome(letter.connection, /*tls=*/false);
    worker.AskForClient();
  }

  void WatchClients(bool watch) {
    for (const Acceptor& acceptor : acceptors_) {
      if (watch) {
        event_add(acceptor.readable, nullptr);
      } else {
        event_del(acceptor.readable);
      }
    }
  }

  static void OnTerm(int, short, void* self) {
    Worker& worker = *static_cast<Worker*>(self);
    worker.ending_ = true;
    worker.WatchClients(false);
    event_del(worker.letters_);  // what comes is for the next one in this place
    const std::set<Client*> clients = worker.clients_;
    for (Client* const client : clients) client->Retire();
    if (worker.connections_ == 0) worker.loop_.Stop();
  }

  const WorkerSetup& setup_;
  Cache cache_;
  Loop loop_;
  OriginPool origin_;
  Flights flights_;
  Services services_;
  std::vector<Acceptor> acceptors_;
  event* letters_ = nullptr;
  std::set<Client*> clients_;
  int connections_ = 0;
  bool ending_ = false;
};

}  // namespace

int RunWorker(const WorkerSetup& setup, server::Cluster* stores) {
  return Worker(setup, stores).Run();
}

}  // namespace kill9::http
