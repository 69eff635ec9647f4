// kill9-http-cache: a caching reverse proxy whose workers share one store, and may be killed.
//
//     kill9-http-cache --origin=http://127.0.0.1:8080 --listen=8000
//
// docs/apps_http.md tells the rest.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/cluster/cluster.h"
#include "apps/http_cache/proxy/worker.h"
#include "apps/server/disk_writer.h"
#include "apps/server/listener.h"
#include "apps/server/master.h"
#include "variants/registry.h"

namespace {

using namespace kill9;

struct Arguments {
  std::string design = "seqlock_ring";
  std::vector<std::string> files;
  double disk_seconds = 0;
  uint64_t memory_bytes = 256 << 20;
  int workers = 2;
  std::vector<std::string> listen;
  std::vector<std::string> listen_https;
  std::string origin;
  std::string certificate;
  std::string key;
  int64_t client_patience_ms = 20'000;
  bool quiet = false;
  http::ProxyOptions proxy;
};

int Complain(const std::string& what) {
  std::fprintf(stderr, "kill9-http-cache: %s\n", what.c_str());
  return server::kHopeless;
}

void Describe(CLI::App& app, Arguments& arguments) {
  app.add_option("--origin", arguments.origin, "where responses come from: http://HOST:PORT")
      ->required();
  app.add_option("--listen", arguments.listen,
                 "PORT (loopback), HOST:PORT, *:PORT (all addresses) or unix:PATH; repeatable");
  app.add_option("--listen-https", arguments.listen_https, "the same, for HTTPS");
  app.add_option("--cert", arguments.certificate, "PEM file with the chain of certificates");
  app.add_option("--key", arguments.key, "PEM file with the private key");
  app.add_option("--design", arguments.design, "of the store: kill9 list")->capture_default_str();
  app.add_option("--file", arguments.files,
                 "keep the cache in this file: it is warm after any death; else in memory. "
                 "Repeatable: a share of the cache in each");
  app.add_option("--disk-seconds", arguments.disk_seconds,
                 "the disk's copy of --file is never older; 0: as the kernel likes")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--memory", arguments.memory_bytes, "size of the store: 256m, 10g")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--workers", arguments.workers, "processes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--max-object", arguments.proxy.max_object_bytes,
                 "longer bodies are passed on, not stored; default: an eighth of a file; at most "
                 "half of it")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--connections", arguments.proxy.max_connections, "clients of each worker")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--stale-if-error", arguments.proxy.stale_if_error_s,
                 "seconds for which a stale response is used when the origin fails, where the "
                 "response does not say")
      ->capture_default_str();
  app.add_option("--origin-timeout-ms", arguments.proxy.origin_patience_ms,
                 "how long the origin may keep silent")
      ->capture_default_str();
  app.add_option("--client-timeout-ms", arguments.client_patience_ms,
                 "how long a client may take for a request's head, or give and take nothing")
      ->capture_default_str();
  app.add_option("--lease-ms", arguments.proxy.lease_ms,
                 "a worker that fetches for longer than this is not waited for by the others")
      ->capture_default_str();
  app.add_option("--statistics", arguments.proxy.statistics_path,
                 "path of the statistics page; empty: none")
      ->capture_default_str();
  app.add_flag("--statistics-for-all", arguments.proxy.statistics_for_all,
               "show it to clients on other machines, too");
  app.add_flag("--purge-for-all", arguments.proxy.purge_for_all,
               "let clients on other machines PURGE, too");
  app.add_flag("--quiet", arguments.quiet, "do not tell of workers that end");
}

absl::StatusOr<server::ClusterSegments> OpenSegments(const Variant& design,
                                                     const Arguments& arguments) {
  SegmentOptions options;
  options.size_bytes = arguments.memory_bytes;
  options.keeps_terms = design.traits().can_keep_terms;
  options.max_participants = static_cast<uint32_t>(16 + 4 * arguments.workers);
  return server::OpenCluster(design, arguments.files, options);
}

using TlsContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

// Null if the certificate or its key cannot be used.
TlsContext MakeTls(const Arguments& arguments) {
  TlsContext tls(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!tls) return tls;
  SSL_CTX_set_min_proto_version(tls.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(tls.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (SSL_CTX_use_certificate_chain_file(tls.get(), arguments.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls.get(), arguments.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    tls.reset();
  }
  return tls;
}

// As many descriptors as the administrator allows: one a client, and some.
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Work(const Variant& design, const std::vector<std::shared_ptr<Segment>>& segments,
         http::WorkerSetup setup, int number, double disk_seconds) {
  setup.number = number;
  std::vector<std::unique_ptr<server::DiskWriter>> disk_writers;
  for (const std::shared_ptr<Segment>& segment : segments) {
    if (disk_seconds <= 0) break;
    auto opened = server::DiskWriter::Open(segment->fd());
    if (!opened.ok()) {
      return Complain(absl::StrCat("--disk-seconds: ", std::string(opened.status().message())));
    }
    disk_writers.push_back(*std::move(opened));
    disk_writers.back()->Begin(disk_seconds, /*written=*/nullptr);
  }
  const auto stores = server::Cluster::Attach(design, segments);
  if (!stores.ok()) {
    Complain(stores.status().ToString());
    return 1;
  }
  // What the one before held is given back before it is missed.
  if (const absl::Status recovered = (*stores)->Recover(); !recovered.ok())
    Complain(recovered.ToString());
  return http::RunWorker(setup, stores->get());
}

int Run(Arguments arguments) {
  const Variant* const design = FindStoreDesign(arguments.design);
  if (design == nullptr) return Complain(absl::StrCat("no design ", arguments.design));
  const Traits& traits = design->traits();
  if (!traits.has_compare_and_swap || !traits.has_versions || !traits.has_pin)
    return Complain(absl::StrCat(arguments.design, " has no compare-and-swap, versions or pins"));
  if (!arguments.listen_https.empty() && (arguments.certificate.empty() || arguments.key.empty()))
    return Complain("--listen-https needs --cert and --key");
  if (arguments.listen.empty() && arguments.listen_https.empty())
    arguments.listen.push_back("8000");

  RaiseDescriptorLimit();
  arguments.proxy.head_patience_ms = arguments.client_patience_ms;
  arguments.proxy.stall_patience_ms = arguments.client_patience_ms;
  http::WorkerSetup setup;
  setup.options = arguments.proxy;
  setup.workers = arguments.workers;
  absl::StatusOr<http::OriginAddress> origin = http::ResolveOrigin(arguments.origin);
  if (!origin.ok()) return Complain(origin.status().ToString());
  setup.origin = *std::move(origin);
  TlsContext tls(nullptr, SSL_CTX_free);
  if (!arguments.certificate.empty()) {
    tls = MakeTls(arguments);
    setup.tls = tls.get();
    if (!tls) return Complain("the certificate or its key cannot be used");
  }
  for (const bool secure : {false, true}) {
    for (const std::string& address : secure ? arguments.listen_https : arguments.listen) {
      const absl::StatusOr<std::vector<int>> fds =
          server::OnceFree([&address] { return server::Listen(address); });
      if (!fds.ok()) return Complain(std::string(fds.status().message()));
      for (const int fd : *fds) setup.sockets.push_back({fd, secure});
    }
  }
  const absl::StatusOr<server::ClusterSegments> opened = OpenSegments(*design, arguments);
  if (!opened.ok()) return Complain(opened.status().ToString());
  for (const std::string& said : opened->said) Complain(said);
  uint64_t& longest = setup.options.max_object_bytes;
  if (longest == 0) longest = opened->least_bytes() / 8;
  longest = std::min(longest, opened->least_bytes() / 2);
  const size_t rows_bytes = sizeof(http::CounterRow) * static_cast<size_t>(arguments.workers);
  void* const rows =
      mmap(nullptr, rows_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (rows == MAP_FAILED) return Complain("no memory for the counters");
  setup.rows = static_cast<http::CounterRow*>(rows);
  setup.about = absl::StrCat("origin ", setup.origin.authority, "; store: ", arguments.design, ", ",
                             opened->bytes() >> 20, " MiB", arguments.files.empty() ? "" : ", in ",
                             absl::StrJoin(arguments.files, ", "));

  const auto hand_over = server::HandOver::Make(arguments.workers);
  if (!hand_over.ok()) return Complain(hand_over.status().ToString());
  setup.hand_over = hand_over->get();

  server::MasterOptions master;
  master.workers = arguments.workers;
  master.work = [&](int number) {
    return Work(*design, opened->segments, setup, number,
                arguments.files.empty() ? 0 : arguments.disk_seconds);
  };
  if (!arguments.quiet) {
    master.ended = [](int number, int pid, int status) {
      std::fprintf(stderr, "kill9-http-cache: worker %d (%d) ended: %s %d\n", number + 1, pid,
                   WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    };
  }
  return server::RunMaster(master);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("A caching reverse proxy whose workers share one store, and may be killed.",
               "kill9-http-cache");
  Describe(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : server::kHopeless;
  }
  return Run(std::move(arguments));
}
