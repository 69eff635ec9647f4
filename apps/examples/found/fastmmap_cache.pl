#!/usr/bin/env perl
# A worker of kill9 (docs/found.md): Cache::FastMmap, a cache in a mapped file, whose pages are
# locked by fcntl.
#     kill9 torture --worker='perl fastmmap_cache.pl' --model=cache
use strict;
use warnings;
use Cache::FastMmap;
use JSON::PP;

my $cache;
$| = 1;
while (my $line = <STDIN>) {
  my $call = decode_json($line);
  my %answer = (id => $call->{id}, type => "ok");
  my ($f, $key) = ($call->{f}, $call->{key});
  if ($f eq "init") {
    $cache = Cache::FastMmap->new(
      share_file => "$call->{state}/cache", init_file => $call->{first} ? 1 : 0,
      unlink_on_exit => 0, serializer => "", num_pages => 3, page_size => "64k");
  } elsif ($f eq "get") {
    $answer{value} = $cache->get($key);
  } elsif ($f eq "put") {
    $answer{type} = "fail" unless $cache->set($key, $call->{value});
  } elsif ($f eq "erase") {
    $cache->remove($key);
  }
  print encode_json(\%answer), "\n";
}
