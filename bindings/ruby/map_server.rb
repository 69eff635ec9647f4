#!/usr/bin/env ruby
# A fork server of kill9 (docs/bring_your_own.md): Kill9::SharedHash, of the design that the
# argument names; a map, or of seqlock_ring a cache.
#     kill9 torture --fork-server='ruby map_server.rb cas_slots' --model=map
require "json"
require "kill9"
require "socket"

SHARED = Kill9::SharedHash.new(design: ARGV[0], bytes: 4 << 20)

def answer(call)
  key, value = call.values_at("key", "value")
  return { audit: true, functions: FUNCTIONS } if call["f"] == "init"
  SHARED.recover
  case call["f"]
  when "audit" then (broken = SHARED.audit) ? { type: "fail", reason: broken } : {}
  when "get" then { value: SHARED.pin(key) }
  when "put" then SHARED[key] = value and {}
  when "erase" then { value: SHARED.delete(key) }
  when "cas"
    old, version = SHARED.versioned(key)
    old == call["expected"] && SHARED.compare_and_swap(key, version, value) ? {} : { type: "fail" }
  end
end

FUNCTIONS = %w[put get erase] + (ARGV[0] == "seqlock_ring" ? [] : ["cas"])
trap("CHLD", "IGNORE")
listener = UNIXServer.for_fd(3)
loop do
  stream = listener.accept
  fork do
    listener.close
    stream.each_line do |line|
      call = JSON.parse(line)
      stream.puts JSON.generate({ id: call["id"], type: "ok" }.merge(answer(call)))
    end
    exit!(0)
  end
  stream.close
end
