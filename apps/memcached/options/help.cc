#include "apps/memcached/options/options.h"

namespace kill9::memcached {

std::string HelpText() {
  return R"(kill9-memcached [OPTIONS]
A cache that speaks memcached's text protocol. Its workers share one segment; any of them may be
killed at any moment, and with --file the cache is warm again after kill -9 of all.

What is kept, and where
  -e, --file=PATH           keep the cache in this file; begun anew, it is warm. Several, each
                            given so, have a share each: a damaged one costs its share
      --disk-seconds=N      the disk's copy of the file is never older (0: as the kernel likes)
  -m, --memory=SIZE         of the cache (64m); of a file that exists, its own size counts
  -I, --max-item-size=SIZE  longest value (1m; 1k to 128m)
      --design=NAME         seqlock_ring: old entries give way (the default); cas_slots,
                            striped_locks, global_mutex: nothing does, and a full cache refuses
  -M, --disable-evictions   the same as --design=cas_slots
      --expected-entries=N  sizes the index (by the memory)
  -C, --disable-cas         items have no numbers; `cas` is refused

Who may come
  -p, --port=N              TCP port (11211); 0: none
  -l, --listen=ADDRESS      addresses, with ports or without, separated by commas (127.0.0.1)
  -s, --unix-socket=PATH    a Unix socket instead of TCP
  -a, --unix-mask=MODE      of the socket (0700)
  -c, --conn-limit=N        connections at a time (1024)
  -b, --listen-backlog=N    (1024)
  -U, --udp-port=0          UDP is not served

Workers
  -t, --workers=N           processes (as many as cores, 4 at most)
  -R, --max-reqs-per-event=N  requests of one connection before others have their turn (1000)
      --idle-seconds=N      close who is silent for so long (0: never); also -o idle_timeout=N
      --stall-seconds=N     close who stops in the middle of a request or an answer (60)
      --buffers=SIZE        of each worker, for unfinished requests and unread answers (256m)

The process
  -d, --daemon              go into the background
  -P, --pidfile=PATH
  -u, --user=NAME           become this user, if started as root
  -A, --enable-shutdown     allow the command `shutdown`
  -F, --disable-flush-all
  -B, --protocol=auto|ascii  the binary protocol is not served
  -o, --extended=LIST       memcached's other settings: idle_timeout, read_buf_mem_limit; what tunes
                            slabs and the like is accepted, and does nothing
  -v, --verbose             say when workers come and go
  -V, --version
  -h, --help
)";
}

}  // namespace kill9::memcached
