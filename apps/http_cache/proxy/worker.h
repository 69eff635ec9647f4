// One worker process of the cache: accepts clients, and serves them until it is asked to end.
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_WORKER_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_WORKER_H_

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "apps/cluster/cluster.h"
#include "apps/http_cache/proxy/request.h"
#include "apps/server/hand_over.h"

namespace kill9::http {

struct ListeningSocket {
  int fd = -1;
  bool tls = false;
};

struct WorkerSetup {
  ProxyOptions options;
  OriginAddress origin;
  std::vector<ListeningSocket> sockets;
  SSL_CTX* tls = nullptr;
  CounterRow* rows = nullptr;  // of all workers
  const server::HandOver* hand_over = nullptr;
  int workers = 1;
  int number = 0;  // which of them this is
  std::string about;
};

// Runs until SIGTERM, then until the last client has its answer. Returns the exit status.
int RunWorker(const WorkerSetup& setup, server::Cluster* stores);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_WORKER_H_
