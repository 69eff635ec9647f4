#!/usr/bin/env perl
# A worker of kill9 (docs/found.md): a map that Perl's Storable keeps in a file, with its own
# lock_store and lock_retrieve; who reads and writes holds a lock of the kernel's besides.
#     kill9 torture --worker='perl storable_map.pl' --model=map --kill-at=syscalls
use strict;
use warnings;
use Fcntl ":flock";
use JSON::PP;
use Storable qw(lock_retrieve lock_store);

my ($file, $lock);
$| = 1;
while (my $line = <STDIN>) {
  my $call = decode_json($line);
  my %answer = (id => $call->{id}, type => "ok");
  my ($f, $key) = ($call->{f}, $call->{key});
  if ($f eq "init") {
    $file = "$call->{state}/map";
    open($lock, ">>", "$call->{state}/lock") or die;
    lock_store({}, $file) if $call->{first};
  } else {
    flock($lock, LOCK_EX);
    my $map = lock_retrieve($file);
    if ($f eq "get") { $answer{value} = $map->{$key} }
    if ($f eq "put") { $map->{$key} = $call->{value} }
    if ($f eq "erase") { $answer{value} = delete $map->{$key} ? JSON::PP::true : JSON::PP::false }
    lock_store($map, $file) if $f ne "get";
    flock($lock, LOCK_UN);
  }
  print encode_json(\%answer), "\n";
}
