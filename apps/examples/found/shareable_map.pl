#!/usr/bin/env perl
# A worker of kill9 (docs/found.md): a hash of IPC::Shareable, tied to a segment of System V, under
# its own lock.
#     kill9 torture --worker='perl shareable_map.pl' --model=map
use strict;
use warnings;
use IPC::Shareable qw(:lock);
use JSON::PP;

my (%map, $tied);
$| = 1;
while (my $line = <STDIN>) {
  my $call = decode_json($line);
  my %answer = (id => $call->{id}, type => "ok");
  my ($f, $key) = ($call->{f}, $call->{key});
  if ($f eq "init") {
    $tied = tie %map, "IPC::Shareable",
      {key => "kil9", create => 1, destroy => 0, size => 262144};
  } else {
    # Who was stopped while it waited, as by a pause of the machine, does not have it.
    until ($tied->lock(LOCK_EX)) { $!{EINTR} or die "lock: $!" }
    if ($f eq "get") { $answer{value} = $map{$key} }
    if ($f eq "put") { $map{$key} = $call->{value} }
    if ($f eq "erase") { $answer{value} = delete $map{$key} ? JSON::PP::true : JSON::PP::false }
    $tied->unlock;
  }
  print encode_json(\%answer), "\n";
}
