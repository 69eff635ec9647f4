#!/usr/bin/env perl
# A fork server of kill9 (docs/bring_your_own.md): a System V semaphore as a lock, made before the
# fork. The kernel undoes what a dead process has done to it (SEM_UNDO). With the argument "plain"
# it does not: who is killed while it holds the lock leaves it held for ever.
#     kill9 torture --fork-server='perl semop_mutex_server.pl' --model=mutex
#     kill9 torture --fork-server='perl semop_mutex_server.pl plain' --model=mutex --watchdog=1
use strict;
use warnings;
use IO::Handle;
use IO::Socket::UNIX;
use IPC::SysV qw(IPC_PRIVATE SEM_UNDO SETVAL);
use JSON::PP;

my $flags = "@ARGV" eq "plain" ? 0 : SEM_UNDO;
my $semaphore = semget(IPC_PRIVATE, 1, 0600) // die "semget: $!";
semctl($semaphore, 0, SETVAL, 1);

sub serve {
    my ($stream) = @_;
    while (my $line = <$stream>) {
        my $call = decode_json($line);
        my $change = { acquire => -1, release => 1 }->{ $call->{f} };
        if ($change) {
            # Who was stopped while it waited, as by a pause of the machine, waits anew.
            until (semop($semaphore, pack("s!3", 0, $change, $flags))) {
                $!{EINTR} or die "semop: $!";
            }
        }
        $stream->print(encode_json({ id => $call->{id}, type => "ok" }), "\n");
        $stream->flush;
    }
}

$SIG{CHLD} = "IGNORE";
my $listener = IO::Socket::UNIX->new_from_fd(3, "r+") or die "socket: $!";
while (my $connection = $listener->accept) {
    if (fork() == 0) {
        serve($connection);
        exit 0;
    }
    close($connection);
}
