#!/usr/bin/env ruby
# A map for kill9: a file for each key, and a lock that the kernel takes from a dead holder.
# With the argument "faulty" a file is written where it is: who dies then leaves it cut short.
require "json"

faulty = ARGV == ["faulty"]
state = lock = nil
$stdout.sync = true
$stdin.each_line do |line|
  call = JSON.parse(line)
  answer = { id: call["id"], type: "ok" }
  if call["f"] == "init"
    state = call["state"]
    lock = File.open(state + "/lock", File::RDWR | File::CREAT)
  else
    path = "#{state}/#{call["key"]}"
    lock.flock(File::LOCK_EX)
    there = File.exist?(path)
    case call["f"]
    when "put"
      written = faulty ? path : path + ".new"
      File.write(written, call["value"])
      File.rename(written, path) # in one step: the old value, or the new one
    when "get"
      answer[:value] = there ? File.read(path) : nil
    when "erase"
      answer[:value] = there
      File.delete(path) if there
    end
    lock.flock(File::LOCK_UN)
  end
  puts JSON.generate(answer)
end
