"""pymemcache against a server at a port: all that it offers."""
import sys

from pymemcache.client.base import Client, PooledClient

port = int(sys.argv[1])
client = Client(("127.0.0.1", port), default_noreply=False, key_prefix=b"py:")
client.flush_all()


def expect(got, wanted):
    if got != wanted:
        sys.exit(f"got {got!r}, not {wanted!r}")
    print("ok", wanted)


expect(client.set("a", "1", flags=7), True)
expect(client.get("a"), b"1")
expect(client.add("a", "2"), False)
expect(client.add("b", "2"), True)
expect(client.replace("none", "2"), False)
expect(client.append("b", "3"), True)
expect(client.prepend("b", "1"), True)
expect(client.get_many(["a", "b", "none"]), {"a": b"1", "b": b"123"})
expect(client.set_many({"c": "x" * 5000, "d": ""}), [])
expect(len(client.get("c")), 5000)
value, cas = client.gets("a")
expect(client.cas("a", "5", cas), True)
expect(client.cas("a", "6", cas), False)
expect(client.cas("none", "6", cas), None)
expect(client.incr("a", 3), 8)
expect(client.decr("a", 20), 0)
expect(client.incr("none", 1), None)
expect(client.touch("a", 100), True)
expect(client.delete("a"), True)
expect(client.delete("a"), False)
expect(client.delete_many(["b", "c"]), True)
expect(client.get("a", "default"), "default")
expect(client.flush_all(), True)
expect(client.get("d"), None)
expect(isinstance(client.stats()[b"pid"], int), True)
expect(b"-kill9-" in client.version(), True)
pool = PooledClient(("127.0.0.1", port), max_pool_size=4)
pool.set("pooled", "1")
expect(pool.get("pooled"), b"1")
client.quit()
