#!/usr/bin/env ruby
# A fork server of kill9 (docs/bring_your_own.md): a byte in a pipe, made before the fork, as a
# lock: who has read it holds the lock, and writes it back. Who is killed in between takes it along,
# and the others wait for ever. With the argument "flock" a file's lock takes the pipe's place,
# which the kernel gives back.
#     kill9 torture --fork-server='ruby pipe_mutex_server.rb' --model=mutex --watchdog=1
#     kill9 torture --fork-server='ruby pipe_mutex_server.rb flock' --model=mutex
require "json"
require "socket"

uses_flock = ARGV == ["flock"]
token, giver = IO.pipe
giver.write("t")
Signal.trap("CHLD", "IGNORE")
listener = UNIXServer.for_fd(3)
loop do
  connection = listener.accept
  child = fork do
    # Opened behind the fork: such a lock is of who opened the file.
    file = File.open("#{ENV.fetch("KILL9_STATE")}/lock", File::RDWR | File::CREAT)
    connection.each_line do |line|
      call = JSON.parse(line)
      case call["f"]
      when "acquire" then uses_flock ? file.flock(File::LOCK_EX) : token.readpartial(1)
      when "release" then uses_flock ? file.flock(File::LOCK_UN) : giver.write("t")
      end
      connection.write(JSON.generate(id: call["id"], type: "ok") + "\n")
    end
  end
  Process.detach(child)
  connection.close
end
