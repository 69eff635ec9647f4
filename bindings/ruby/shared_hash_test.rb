# Kill9::SharedHash: what docs/bindings.md promises. Of plain Ruby: `ruby shared_hash_test.rb`.
require "kill9"

DESIGNS = %w[global_mutex striped_locks cas_slots seqlock_ring].freeze

def expect(what, is)
  abort "not so: #{what} (#{caller(1..1).first})" unless is
end

def raises?(error)
  yield
  false
rescue error
  true
end

# Runs the block in a child, which must end well.
def in_child
  child = fork do
    yield
    exit!(0)
  end
  _, status = Process.wait2(child)
  expect "the child ends well: #{status}", status.success?
end

def test_insert_in_the_child_and_in_the_parent(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  in_child { hash["of the child"] = "1" }
  hash["of the parent"] = "2"
  both = { "of the child" => "1", "of the parent" => "2" }
  expect "the parent shows both", hash.to_h == both
  in_child { exit!(1) unless hash.to_h == both }
  expect "whole", hash.audit.nil?
end

def test_answers_as_a_hash_does(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  hash["a"] = "ä\0b"
  expect "value", hash["a"] == "ä\0b"
  expect "absent", hash["b"].nil?
  expect "fetch", hash.fetch("a") == "ä\0b"
  expect "default", hash.fetch("b", 7) == 7 && hash.fetch("b", nil).nil?
  expect "block", hash.fetch("b") { |key| key * 2 } == "bb"
  expect "KeyError", raises?(KeyError) { hash.fetch("b") }
  expect "deleted", hash.delete("a") && !hash.delete("a") && hash["a"].nil?
  expect "an empty key", raises?(ArgumentError) { hash[""] = "x" }
  expect "not text", raises?(TypeError) { hash["x"] = 1 }
  100.times { |n| hash["key #{n}"] = n.to_s }
  expect "each", hash.each.to_a.size == 100 && hash.to_a.include?(["key 7", "7"])
  expect "break", hash.each { |key, _| break key }.start_with?("key ")
end

def test_swaps_the_version_that_was_read(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  expect "absent", hash.versioned("a") == [nil, 0]
  first = hash.compare_and_swap("a", 0, "1")
  expect "made", hash.versioned("a") == ["1", first]
  expect "not twice", hash.compare_and_swap("a", 0, "2").nil?
  expect "next", hash.compare_and_swap("a", first, "2") > first
end

def test_pinned_string_stays(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  hash["a"] = "old" * 100
  pinned = hash.pin("a")
  expect "absent", hash.pin("b").nil?
  expect "frozen", pinned.frozen? && raises?(FrozenError) { pinned << "x" }
  rest, copy, key = pinned[200..], pinned.dup, { pinned => 1 }
  pinned = nil
  50.times { hash["a"] = "new" * 100 }
  GC.start
  50.times { |n| hash["other #{n}"] = "new" * 100 }
  expect "its bytes stay", rest == ("old" * 100)[200..] && copy == "old" * 100
  expect "as a key, too", key["old" * 100] == 1
  copy << "x"
  expect "a copy is written to", copy.end_with?("oldx") && rest.end_with?("old")
end

# Many more than one participant can hold: who is short of room has the collector look for some.
def test_collected_pins_are_given_back(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  hash["a"] = "x" * 100
  500.times { expect "pinned", hash.pin("a") == "x" * 100 }
  kept = []
  short = raises?(Kill9::Error) { 5000.times { kept << hash.pin("a") } }
  expect "as many as there is room for", short && kept.size >= 25
  kept = nil
  GC.start
  expect "whole", hash["a"] && hash.audit.nil?
end

def test_pin_of_the_parent_is_nothing_to_the_child(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  hash["a"] = "old" * 100
  pinned = hash.pin("a")
  in_child do
    hash["b"] = "1" # the child attaches by itself
    pinned = nil
    GC.start
    hash["a"] = "new" * 100
  end
  expect "the parent's stays", pinned == "old" * 100
  expect "whole", hash.audit.nil?
end

def test_survivors_go_on_after_a_kill(design)
  hash = Kill9::SharedHash.new(design: design, bytes: 4 << 20)
  10.times do
    victim = fork { loop { hash["k#{rand(8)}"] = "v" * rand(2000) } }
    sleep 0.01
    Process.kill("KILL", victim)
    Process.wait(victim)
    expect "one died", hash.recover <= 1
    8.times { |n| hash["k#{n}"] = "after" }
    expect "all are there", (0...8).all? { |n| hash["k#{n}"] == "after" }
    expect "whole", hash.audit.nil?
  end
end

def test_named(design)
  name = "kill9-ruby-test-#{Process.pid}"
  first = Kill9::SharedHash.new(name: name, design: design, bytes: 4 << 20)
  second = Kill9::SharedHash.new(name: name)
  first["a"] = "1"
  expect "the same", second["a"] == "1"
  refused = raises?(Kill9::Error) do
    Kill9::SharedHash.new(name: name, design: (DESIGNS - [design]).first)
  end
  expect "another design", refused
  expect "unlinked", Kill9::SharedHash.unlink(name) && !Kill9::SharedHash.unlink(name)
end

DESIGNS.each do |design|
  private_methods(false).grep(/\Atest_/).each { |test| send(test, design) }
end
expect "an unknown design", raises?(ArgumentError) { Kill9::SharedHash.new(design: "none") }
puts "all as expected"
