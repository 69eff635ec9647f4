# A counter of hits that pre-forked web workers share (web_workers_test.rb): made in the master,
# inherited by its workers. POST /key adds one a thousand times, and keeps a page of some size,
# which it pins; GET /key tells how many.
require "kill9"

HITS = Kill9::SharedHash.new(design: ENV.fetch("DESIGN"), bytes: 4 << 20)

app = lambda do |environment|
  key = environment["PATH_INFO"]
  if environment["REQUEST_METHOD"] == "POST"
    1000.times do
      loop do
        value, version = HITS.versioned(key)
        break if HITS.compare_and_swap(key, version, (value.to_i + 1).to_s)
      end
    end
    10.times { HITS["page of #{key}"] = key * 50_000 }
    page = HITS.pin("page of #{key}")
    raise "torn: #{page.size}" unless page == key * 50_000
  end
  [200, { "Content-Type" => "text/plain", "X-Worker" => Process.pid.to_s }, [HITS[key].to_s]]
end
run app
