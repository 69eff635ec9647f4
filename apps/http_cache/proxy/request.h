// A client's request, and what all who work on it share.
#ifndef KILL9_APPS_HTTP_CACHE_PROXY_REQUEST_H_
#define KILL9_APPS_HTTP_CACHE_PROXY_REQUEST_H_

#include <memory>
#include <string>

#include "apps/http_cache/cache/cache.h"
#include "apps/http_cache/http/parser.h"
#include "apps/http_cache/net/counters.h"
#include "apps/http_cache/net/fetch.h"
#include "apps/http_cache/net/loop.h"
#include "apps/http_cache/proxy/flight.h"
#include "apps/http_cache/proxy/options.h"
#include "apps/http_cache/rules/freshness.h"

namespace kill9::http {

// What a worker has of each kind.
struct Services {
  const ProxyOptions* options = nullptr;
  Loop* loop = nullptr;
  Cache* cache = nullptr;
  OriginPool* origin = nullptr;
  Flights* flights = nullptr;
  CounterRow* counters = nullptr;  // this worker's
  const CounterRow* rows = nullptr;
  int workers = 1;
  std::string about;  // for the statistics page
};

struct Request {
  std::string bytes;  // its head, which the rest views
  RequestHead head;
  RequestFacts facts;
  std::string authority;  // "example.org:8080", in lower case
  std::string_view path;  // "/a?b"
  std::string resource;   // the key of what it names
  std::string peer;       // the client's address
  bool tls = false;

  bool Is(std::string_view method) const { return head.method == method; }
};
using SharedRequest = std::shared_ptr<Request>;

// Fills in what follows from `bytes`. Returns 0 or the status of the refusal.
int ReadRequest(Request* request, const std::string& default_authority);
// The key of another resource that a response of this request's origin names, by a URI or a
// reference; empty if it is another host's.
std::string ResourceOf(const Request& request, std::string_view reference);

// The request as the origin gets it. `stored`: it is to be validated, instead of what the client
// asks for. `whole`: no conditions and no ranges of the client's.
std::string OriginHead(const Request& request, const Record* stored, bool whole);

}  // namespace kill9::http

#endif  // KILL9_APPS_HTTP_CACHE_PROXY_REQUEST_H_
