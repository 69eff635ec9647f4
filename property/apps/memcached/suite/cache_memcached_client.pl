# Cache::Memcached against a server at a port.
use strict;
use warnings;
use Cache::Memcached;

my $cache = Cache::Memcached->new({servers => ["127.0.0.1:$ARGV[0]"], namespace => "perl:"});
my $wrong = 0;
sub is {
  my ($got, $wanted, $what) = @_;
  my $same = (defined $got ? $got : 'undef') eq (defined $wanted ? $wanted : 'undef');
  print $same ? "ok $what\n" : "not ok $what\n";
  $wrong++ unless $same;
}
$cache->flush_all;
is($cache->set("a", "1"), 1, "set");
is($cache->get("a"), "1", "get");
is($cache->add("a", "2") ? 1 : 0, 0, "add");
is($cache->replace("none", "2") ? 1 : 0, 0, "replace");
is($cache->append("a", "2") ? 1 : 0, 1, "append");
is($cache->prepend("a", "0") ? 1 : 0, 1, "prepend");
is($cache->get("a"), "012", "joined");
$cache->set("n", 5);
is($cache->incr("n", 3), 8, "incr");
is($cache->decr("n", 10), 0, "decr");
$cache->set("hash", {list => [1, 2, 3]});
is($cache->get("hash")->{list}[2], 3, "a structure");
$cache->set("long", "x" x 20000);
is(length $cache->get("long"), 20000, "a long value");
my $many = $cache->get_multi("a", "n", "none");
is(join(",", sort keys %$many), "a,n", "get_multi");
is($cache->delete("a") ? 1 : 0, 1, "delete");
is($cache->get("a"), undef, "deleted");
is($cache->stats->{total}{cmd_get} > 0 ? 1 : 0, 1, "stats");
exit($wrong > 0);
