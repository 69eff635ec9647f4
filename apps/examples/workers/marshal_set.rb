#!/usr/bin/env ruby
# A worker of kill9 (docs/bring_your_own.md): a set in a file, under a lock. The file is written
# beside the old one and renamed over it; written in place (argument "in_place") it is empty at
# first, and who dies then has lost all members.
#     kill9 torture --worker='ruby marshal_set.rb' --model=set
#     kill9 torture --worker='ruby marshal_set.rb in_place' --model=set
require "json"
require "set"

in_place = ARGV == ["in_place"]
file = lock = nil
$stdout.sync = true
$stdin.each_line do |line|
  call = JSON.parse(line)
  answer = { id: call["id"], type: "ok" }
  if call["f"] == "init"
    file = call["state"] + "/set"
    lock = File.open(call["state"] + "/lock", File::RDWR | File::CREAT)
  else
    lock.flock(File::LOCK_EX)
    bytes = File.exist?(file) ? File.binread(file) : ""
    set = bytes.empty? ? Set.new : Marshal.load(bytes)
    case call["f"]
    when "add" then answer[:value] = !set.add?(call["key"]).nil?
    when "remove" then answer[:value] = !set.delete?(call["key"]).nil?
    when "contains" then answer[:value] = set.include?(call["key"])
    end
    if call["f"] != "contains"
      written = in_place ? file : "#{file}.new"
      File.binwrite(written, Marshal.dump(set))
      File.rename(written, file) unless in_place
    end
    lock.flock(File::LOCK_UN)
  end
  puts JSON.generate(answer)
end
