# Pre-forked web workers that share a Kill9::SharedHash, and are killed: every hit that was
# acknowledged is counted, and none twice. `ruby web_workers_test.rb unicorn|puma DESIGN`.
require "net/http"
require "socket"
require "tmpdir"

server, design = ARGV
KEYS = %w[/a].freeze
KILLS = 20
ADDED = 1000 # by each hit

port = TCPServer.open("127.0.0.1", 0) { |socket| socket.addr[1] }
folder = Dir.mktmpdir
app = File.expand_path("web_app.ru", __dir__)
command =
  if server == "unicorn"
    File.write("#{folder}/unicorn.rb", "worker_processes 3\npreload_app true\n" \
               "listen '127.0.0.1:#{port}'\ntimeout 60\n")
    ["unicorn", "-c", "#{folder}/unicorn.rb", app]
  else
    File.write("#{folder}/puma.rb", "workers 3\nthreads 1, 1\npreload_app!\n" \
               "bind 'tcp://127.0.0.1:#{port}'\n")
    ["puma", "-C", "#{folder}/puma.rb", app]
  end
master = spawn({ "DESIGN" => design, "RACK_ENV" => "production" }, *command,
               chdir: folder, out: "#{folder}/log", err: "#{folder}/log")
at_exit do
  begin
    Process.kill("TERM", master)
    Process.wait(master)
  rescue SystemCallError
    nil
  end
  system("rm", "-rf", folder)
end

# A connection for each request: a kept one would stay with its worker.
def ask(port, method, key)
  Net::HTTP.start("127.0.0.1", port, max_retries: 0, read_timeout: 60) do |http|
    method == :post ? http.post(key, "") : http.get(key)
  end
end

2000.times do
  break if ask(port, :get, KEYS[0]).is_a?(Net::HTTPOK)
rescue SystemCallError, IOError
  begin
    abort File.read("#{folder}/log") if Process.wait(master, Process::WNOHANG)
  rescue Errno::ECHILD
    abort File.read("#{folder}/log")
  end
  sleep 0.02
end

workers = Queue.new
lock = Mutex.new
acknowledged, cut_off = Hash.new(0), Hash.new(0)
finished = false
clients = Array.new(6) do
  Thread.new do
    until finished
      key = KEYS.sample
      begin
        answer = ask(port, :post, key)
        lock.synchronize { acknowledged[key] += 1 } if answer.is_a?(Net::HTTPOK)
        workers << answer["X-Worker"].to_i if workers.empty?
      rescue SystemCallError, IOError, Net::OpenTimeout
        lock.synchronize { cut_off[key] += 1 } # it may have been counted, or not
      end
    end
  end
end
killed = []
while killed.size < KILLS
  worker = workers.pop
  next if killed.include?(worker)
  sleep rand * 0.005
  begin
    Process.kill("KILL", worker)
    killed << worker
  rescue Errno::ESRCH
    next
  end
end
finished = true
clients.each(&:join)

KEYS.each do |key|
  counted = ask(port, :get, key).body.to_i
  right = (ADDED * acknowledged[key])..(ADDED * (acknowledged[key] + cut_off[key]))
  abort "#{key}: #{counted} counted, not in #{right}" unless right.cover?(counted)
  abort "#{key}: nothing was asked" if acknowledged[key].zero?
end
abort "nobody died in a request" if cut_off.values.sum.zero?
puts "#{server}, #{design}: #{killed.size} workers killed, #{acknowledged.values.sum} hits " \
     "acknowledged, #{cut_off.values.sum} cut off: all are counted"
