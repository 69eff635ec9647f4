#!/usr/bin/env perl
# A map for kill9: a file for each key, and a lock that the kernel takes from a dead holder.
# With the argument "faulty" a file is written where it is: who dies then leaves it cut short.
use strict;
use warnings;
use Fcntl ":flock";
use JSON::PP;

my $faulty = "@ARGV" eq "faulty";
my ($state, $lock);
$| = 1;
while (my $line = <STDIN>) {
    my $call = decode_json($line);
    my $answer = { id => $call->{id}, type => "ok" };
    if ($call->{f} eq "init") {
        $state = $call->{state};
        open($lock, "+>>", "$state/lock") or die "lock: $!";
    } else {
        my $path = "$state/$call->{key}";
        flock($lock, LOCK_EX) or die "flock: $!";
        my $there = -e $path;
        if ($call->{f} eq "put") {
            my $written = $faulty ? $path : "$path.new";
            open(my $file, ">", $written) or die "$written: $!";
            print $file $call->{value};
            close($file) or die "$written: $!";
            rename($written, $path);    # in one step: the old value, or the new one
        } elsif ($call->{f} eq "get") {
            $answer->{value} = undef;
            if ($there) {
                open(my $file, "<", $path) or die "$path: $!";
                $answer->{value} = join("", <$file>);
            }
        } elsif ($call->{f} eq "erase") {
            $answer->{value} = $there && unlink($path) ? JSON::PP::true : JSON::PP::false;
        }
        flock($lock, LOCK_UN);
    }
    print encode_json($answer), "\n";
}
