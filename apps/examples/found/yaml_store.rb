#!/usr/bin/env ruby
# A program for kill9 run (docs/found.md): three transactions of Ruby's YAML::Store. "check" reads
# the store, which must be as it was before or after one of them. "safe" asks for ultra_safe.
#     kill9 run --check='ruby yaml_store.rb check' -- ruby yaml_store.rb
require "yaml/store"

store = YAML::Store.new("accounts.yaml")
store.ultra_safe = ARGV.include?("safe")
states = [{}, { "alice" => 1, "bob" => "open" * 12, "carol" => "a: b" },
          { "alice" => 1, "bob" => "paid", "carol" => "a: b" }, { "alice" => 2, "carol" => "a: b" }]
unless ARGV.include?("check")
  states.drop(1).each do |state|
    store.transaction do
      (store.roots - state.keys).each { |name| store.delete(name) }
      state.each { |name, value| store[name] = value }
    end
  end
  exit
end
found = store.transaction(true) { store.roots.to_h { |name| [name, store[name]] } }
exit if states.include?(found)
puts "the store holds #{found}"
exit 1
