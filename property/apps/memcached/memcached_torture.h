// Clients of a kill9-memcached whose processes are killed, and what they were told, as a history.
//
// An operation whose connection died with its worker counts as crashed: it has happened before its
// client knew, or never. Everything that was answered is held against the model.
#ifndef KILL9_PROPERTY_APPS_MEMCACHED_MEMCACHED_TORTURE_H_
#define KILL9_PROPERTY_APPS_MEMCACHED_MEMCACHED_TORTURE_H_

#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "harness/checker/checker.h"
#include "harness/checker/models/checkers.h"
#include "harness/history/history.h"
#include "property/apps/memcached/memcached_fixture.h"
#include "property/scaffold/children.h"

namespace kill9 {

struct MemcachedTorture {
  int clients = 4;
  int keys = 6;
  int kills = 0;
  int master_kill_every = 0;  // 0: never
  uint64_t operations = 0;    // of each client, at least; it goes on until all kills are done
};

class TortureClient {
 public:
  TortureClient(MemcachedServer& server, int number, int keys, std::atomic<uint32_t>& processes)
      : server_(server), number_(number), keys_(keys), processes_(processes) {
    random_.seed(TestSeed() + static_cast<uint64_t>(number));
  }

  std::vector<Operation> history;
  uint64_t wrong_values = 0;

  void Run(uint64_t operations, const std::atomic<bool>& goes_on) {
    for (uint64_t i = 0; i < operations || goes_on; ++i) {
      if (connection_ == nullptr) Connect();
      Step();
    }
  }
  void ReadAll() {
    Connect();
    for (int key = 0; key < keys_; ++key) Read(static_cast<uint64_t>(key));
  }

 private:
  static uint64_t Now() {
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  void Connect() {
    process_ = processes_++;
    EXPECT_TRUE(Eventually([&] {
      connection_ = std::make_unique<MemcachedClient>(server_.path());
      return connection_->connected();
    }));
  }

  void Step() {
    const uint64_t key = random_() % static_cast<uint64_t>(keys_);
    switch (random_() % 8) {
      case 0:
      case 1: {
        const uint64_t id = NewValue();
        Store(key, id, Function::kPut, 0, absl::StrCat("set k", key, " 0 0 "));
        break;
      }
      case 2:
        Erase(key);
        break;
      case 3:
      case 4:
        if (const uint64_t seen = Read(key); seen != kNothing) {
          Store(key, NewValue(), Function::kCompareAndSwapValue, seen,
                absl::StrCat("cas k", key, " 0 0 "));
        }
        break;
      default:
        Read(key);
    }
  }

  // Tells itself: its number, and a filler made of it, of any length.
  static std::string TextOf(uint64_t id) {
    std::string text = absl::StrCat("v", id, ".");
    const size_t length = (id * 2654435761u >> 7) % (id % 16 == 0 ? 40000 : 300);
    for (size_t i = 0; i < length; ++i) text.push_back(static_cast<char>('a' + (id + i) % 26));
    return text;
  }
  uint64_t NewValue() { return static_cast<uint64_t>(number_) << 40 | ++values_; }

  Operation& Begin(uint64_t key, Function function) {
    Operation& operation = history.emplace_back();
    operation.process = process_;
    operation.function = function;
    operation.key = key;
    operation.outcome = Outcome::kCrashed;
    operation.invoke = Now();
    return operation;
  }
  // The answer up to `end`, or to an error's line. Empty: the worker has died.
  std::string Exchange(Operation& operation, const std::string& request) {
    connection_->Send(request);
    std::string answer = connection_->ReadUntil("\r\n");
    if (answer.starts_with("VALUE ") && !answer.ends_with("\r\nEND\r\n")) {
      answer += connection_->ReadUntil("END\r\n");
    }
    operation.finish = Now();
    if (connection_->closed()) {
      connection_ = nullptr;
      return "";
    }
    operation.outcome = Outcome::kOk;
    return answer;
  }

  void Store(uint64_t key, uint64_t id, Function function, uint64_t expected,
             const std::string& command) {
    const std::string text = TextOf(id);
    const std::string cas = function == Function::kPut ? "" : absl::StrCat(" ", cas_);
    Operation& operation = Begin(key, function);
    operation.argument = id;
    operation.expected = expected;
    const std::string answer =
        Exchange(operation, absl::StrCat(command, text.size(), cas, "\r\n", text, "\r\n"));
    if (answer.empty() || answer == "STORED\r\n") return;
    const bool missed = answer == "EXISTS\r\n" || answer == "NOT_FOUND\r\n";
    operation.outcome = missed ? Outcome::kFail : Outcome::kRefused;
    if (!missed || function == Function::kPut) ADD_FAILURE() << answer;
  }

  void Erase(uint64_t key) {
    Operation& operation = Begin(key, Function::kErase);
    const std::string answer = Exchange(operation, absl::StrCat("delete k", key, "\r\n"));
    operation.result = answer == "DELETED\r\n" ? 1 : 0;
    EXPECT_TRUE(answer.empty() || answer == "DELETED\r\n" || answer == "NOT_FOUND\r\n") << answer;
  }

  // The id of the value, whose number is then in cas_.
  uint64_t Read(uint64_t key) {
    Operation& operation = Begin(key, Function::kGet);
    const std::string answer = Exchange(operation, absl::StrCat("gets k", key, "\r\n"));
    if (answer.empty() || answer == "END\r\n") return kNothing;
    const size_t line = answer.find("\r\n");
    cas_ = answer.substr(answer.rfind(' ', line) + 1, line - answer.rfind(' ', line) - 1);
    const std::string text = answer.substr(line + 2, answer.size() - line - 2 - 7);
    const uint64_t id = std::strtoull(text.c_str() + 1, nullptr, 10);
    if (text != TextOf(id)) {
      ++wrong_values;
      ADD_FAILURE() << "a torn value: " << answer.substr(0, 100);
    }
    operation.result = id;
    return id;
  }

  MemcachedServer& server_;
  const int number_;
  const int keys_;
  std::atomic<uint32_t>& processes_;
  std::mt19937_64 random_;
  std::unique_ptr<MemcachedClient> connection_;
  uint32_t process_ = 0;
  uint64_t values_ = 0;
  std::string cas_;
};

struct TortureResult {
  CheckOutcome outcome;
  uint64_t crashed = 0;
  uint64_t master_deaths = 0;
};

// Kills a worker at a time, or the master with all of them, at random moments.
inline TortureResult TortureMemcached(MemcachedServer& server, const MemcachedTorture& torture,
                                      std::string_view model) {
  std::atomic<uint32_t> processes{1};
  std::atomic<bool> goes_on{true};
  std::vector<std::unique_ptr<TortureClient>> clients;
  std::vector<std::thread> threads;
  for (int i = 0; i < torture.clients; ++i) {
    clients.push_back(std::make_unique<TortureClient>(server, i, torture.keys, processes));
    threads.emplace_back(
        [&, client = clients.back().get()] { client->Run(torture.operations, goes_on); });
  }
  TortureResult result;
  std::mt19937_64 random(TestSeed());
  for (int i = 1; i <= torture.kills; ++i) {
    SleepMicroseconds(random() % 20000);
    if (torture.master_kill_every > 0 && i % torture.master_kill_every == 0) {
      server.Kill();
      server.Start();
      ++result.master_deaths;
    } else if (const std::vector<pid_t> workers = server.Workers(); !workers.empty()) {
      kill(workers[random() % workers.size()], SIGKILL);
    }
  }
  goes_on = false;
  for (std::thread& thread : threads) thread.join();
  clients.front()->ReadAll();
  std::vector<Operation> history;
  for (const auto& client : clients) {
    history.insert(history.end(), client->history.begin(), client->history.end());
  }
  for (const Operation& one : history) result.crashed += one.outcome == Outcome::kCrashed ? 1 : 0;
  auto outcome = CheckHistory(*FindModel(model), history, {.condition = Condition::kStrict});
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  if (outcome.ok()) result.outcome = *std::move(outcome);
  return result;
}

}  // namespace kill9

#endif  // KILL9_PROPERTY_APPS_MEMCACHED_MEMCACHED_TORTURE_H_
