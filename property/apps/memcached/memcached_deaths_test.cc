// What deaths, limits and a full cache do to clients of kill9-memcached; and what it says when it
// cannot begin.
#include <sys/wait.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "property/apps/memcached/memcached_fixture.h"
#include "variants/registry.h"

namespace kill9 {
namespace {

std::string PathFor(const char* what) {
  return absl::StrCat(testing::TempDir(), "/kill9-memcached-", what, "-", getpid());
}

// The program's last words, and its exit code.
std::string Says(const std::string& arguments, int* code) {
  FILE* pipe = popen(absl::StrCat(KILL9_MEMCACHED, " ", arguments, " 2>&1").c_str(), "r");
  std::string text;
  for (char buffer[4096]; size_t got = fread(buffer, 1, sizeof buffer, pipe);) {
    text.append(buffer, got);
  }
  *code = WEXITSTATUS(pclose(pipe));
  return text;
}

class MemcachedDeaths : public testing::Test {
 protected:
  ~MemcachedDeaths() override { unlink(file_.c_str()); }
  const std::string file_ = PathFor("file");
};

TEST_F(MemcachedDeaths, AllAreKilledAndTheNextServerIsWarm) {
  MemcachedServer server({"-e", file_, "-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  EXPECT_EQ(server.Ask("set flushed 0 0 1\r\nx\r\nflush_all\r\nset kept 3 0 4\r\nwarm\r\n"
                       "set mortal 0 2 1\r\nx\r\nset removed 0 0 1\r\nx\r\ndelete removed\r\n"),
            "STORED\r\nOK\r\nSTORED\r\nSTORED\r\nSTORED\r\nDELETED\r\n");
  server.Kill();
  server.Start();
  EXPECT_EQ(server.Ask("get flushed kept removed\r\n"), "VALUE kept 3 4\r\nwarm\r\nEND\r\n");
  server.Kill();
  // A deadline goes on while nobody is there.
  EXPECT_TRUE(Eventually([begun = time(nullptr)] { return time(nullptr) >= begun + 3; }));
  server.Start();
  EXPECT_EQ(server.Ask("get mortal kept\r\n"), "VALUE kept 3 4\r\nwarm\r\nEND\r\n");
  EXPECT_EQ(server.End(SIGTERM), 0);
}

TEST_F(MemcachedDeaths, ADamagedFileOfSeveralCostsItsShareOnly) {
  constexpr int kKeys = 40;
  const std::string other = PathFor("other");
  MemcachedServer server({"-e", file_, "-e", other, "-m", "16", "-t", "2"}, KILL9_MEMCACHED);
  std::string sets, stored, get = "get", values;
  for (int i = 0; i < kKeys; ++i) {
    absl::StrAppend(&sets, "set key", i, " 0 0 1\r\nx\r\n");
    absl::StrAppend(&stored, "STORED\r\n");
    absl::StrAppend(&get, " key", i);
    absl::StrAppend(&values, "VALUE key", i, " 0 1\r\nx\r\n");
  }
  EXPECT_EQ(server.Ask(sets), stored);
  EXPECT_EQ(server.Ask(get + "\r\n"), values + "END\r\n") << "in the order of the request";
  server.Kill();
  server.Start();
  EXPECT_EQ(server.Ask(get + "\r\n"), values + "END\r\n");
  server.Kill();
  ASSERT_EQ(truncate(other.c_str(), 5000), 0);
  server.Start();
  const std::string left = server.Ask(get + "\r\n");
  EXPECT_GT(left.size(), std::string("END\r\n").size()) << "all is cold";
  EXPECT_LT(left.size(), values.size()) << "nothing was damaged";
  EXPECT_EQ(server.Ask(sets), stored);
  EXPECT_EQ(server.Ask("flush_all\r\n" + get + "\r\n"), "OK\r\nEND\r\n");
  EXPECT_EQ(server.End(SIGTERM), 0);
  unlink(other.c_str());
  unlink((other + ".damaged").c_str());
}

TEST_F(MemcachedDeaths, OneWorkerWritesTheFileToTheDiskAndAnotherWhenItDies) {
  const auto writes_of = [](const MemcachedServer& server) {
    const std::string stats = MemcachedClient(server.path()).Ask("stats\r\n");
    const size_t at = stats.find("STAT disk_writes ");
    EXPECT_NE(at, std::string::npos) << stats;
    return std::atoi(stats.c_str() + at + sizeof "STAT disk_writes");
  };
  {
    MemcachedServer server({"-e", file_, "-m", "8", "-t", "2"}, KILL9_MEMCACHED);
    EXPECT_EQ(writes_of(server), 0) << "nobody asked for it";
  }
  MemcachedServer server({"-e", file_, "-m", "8", "-t", "2", "--disk-seconds=1"}, KILL9_MEMCACHED);
  EXPECT_TRUE(Eventually([&] { return writes_of(server) >= 2; }));
  const std::vector<pid_t> workers = server.Workers();
  ASSERT_EQ(workers.size(), 2u);
  for (const pid_t worker : workers) kill(worker, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return MemcachedClient(server.path()).Ask("mn\r\n") == "MN\r\n"; }));
  const int before = writes_of(server);
  EXPECT_TRUE(Eventually([&] { return writes_of(server) >= before + 2; }));
  EXPECT_EQ(server.End(SIGTERM), 0);
}

TEST_F(MemcachedDeaths, TheNextServerBeginsBeforeTheWorkersOfTheDeadOneHaveEnded) {
  MemcachedServer server({"-e", file_, "-m", "8", "-t", "4"}, KILL9_MEMCACHED);
  server.Ask("set a 0 0 1\r\nx\r\n");
  for (int i = 0; i < 10; ++i) {
    server.KillMaster();
    server.Start();
    // Who answers may still be one of the old workers, which is to die.
    EXPECT_TRUE(Eventually([&] {
      return server.Workers().size() == 4 &&
             server.Ask("get a\r\n") == "VALUE a 0 1\r\nx\r\nEND\r\n";
    }));
  }
}

// Asks until the answer comes: the server learns of a connection's end a moment later.
bool Answers(MemcachedClient& client, std::string_view request, std::string_view answer) {
  return Eventually([&] { return client.Ask(request) == answer; });
}

TEST_F(MemcachedDeaths, WhatAClientWasToMakeAnewIsAnothersWhenItsConnectionEnds) {
  MemcachedServer server({"-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  MemcachedClient other(server.path());
  other.Ask("set stale 7 0 1\r\ns\r\nmd stale I\r\nms old 1 T100\r\no\r\nset made 0 0 1\r\nm\r\n");
  const std::string number = other.Ask("gets stale\r\n");
  {
    MemcachedClient winner(server.path());
    EXPECT_EQ(winner.Ask("mg new v N30\r\nmg stale v\r\nmg old v R200\r\nmg made v\r\n"),
              "VA 0 W\r\n\r\nVA 1 W X\r\ns\r\nVA 1 W\r\no\r\nVA 1\r\nm\r\n");
    // Neither a touch nor an append lets another have it, nor does it let go of it.
    EXPECT_EQ(winner.Ask("append new 0 0 0\r\n\r\n"), "STORED\r\n");
    EXPECT_EQ(other.Ask("touch stale 100\r\nappend old 0 0 1\r\n+\r\ntouch new 100\r\n"),
              "TOUCHED\r\nSTORED\r\nTOUCHED\r\n");
    EXPECT_EQ(other.Ask("mg new v N30\r\nmg stale v\r\nmg old v R200\r\n"),
              "VA 0 Z\r\n\r\nVA 1 X Z\r\ns\r\nVA 2 Z\r\no+\r\n");
  }
  EXPECT_TRUE(Answers(other, "mg new v N30\r\n", "VA 0 W\r\n\r\n"));
  EXPECT_TRUE(Answers(other, "mg stale v\r\n", "VA 1 W X\r\ns\r\n"));
  EXPECT_TRUE(Answers(other, "mg old v R200\r\n", "VA 2 W\r\no+\r\n"));
  EXPECT_EQ(other.Ask("gets stale\r\n"), number) << "to be told so is no change of the item";
  EXPECT_EQ(other.Ask("mg new v N30\r\nmg stale v\r\nmg old v R200\r\n"),
            "VA 0 Z\r\n\r\nVA 1 X Z\r\ns\r\nVA 2 Z\r\no+\r\n");
}

TEST_F(MemcachedDeaths, WhoHasSetWhatItWasToMakeTakesNothingAlongWhenItGoes) {
  MemcachedServer server({"-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  MemcachedClient second(server.path()), other(server.path());
  {
    MemcachedClient first(server.path());
    EXPECT_EQ(first.Ask("mg a N30\r\nms a 1 T100\r\n1\r\n"), "HD W\r\nHD\r\n");
    EXPECT_EQ(second.Ask("mg a R200\r\n"), "HD W\r\n");
    // Another one's set ends what this one was told.
    EXPECT_EQ(first.Ask("mg b N30\r\n"), "HD W\r\n");
    EXPECT_EQ(other.Ask("ms b 1 T100\r\n1\r\n"), "HD\r\n");
    EXPECT_EQ(second.Ask("mg b R200\r\n"), "HD W\r\n");
  }
  EXPECT_TRUE(Eventually([&] {
    return other.Ask("stats\r\n").find("STAT curr_connections 2\r\n") != std::string::npos;
  }));
  EXPECT_EQ(other.Ask("mg a R200\r\nmg b R200\r\n"), "HD Z\r\nHD Z\r\n");
}

TEST_F(MemcachedDeaths, WhatAClientWasToMakeAnewIsAnothersWhenItsWorkerDies) {
  MemcachedServer server({"-e", file_, "-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  MemcachedClient winner(server.path());
  const std::string won = winner.Ask("mg a c N30\r\n");
  EXPECT_TRUE(won.starts_with("HD c") && won.ends_with(" W\r\n")) << won;
  const std::vector<pid_t> before = server.Workers();
  for (const pid_t worker : before) kill(worker, SIGKILL);
  for (const pid_t worker : before) {
    EXPECT_TRUE(Eventually([&] { return MemcachedServer::HasEnded(worker); }));
  }
  MemcachedClient second(server.path()), third(server.path());
  EXPECT_EQ(second.Ask("mg a N30\r\n"), "HD W\r\n");
  EXPECT_EQ(third.Ask("mg a N30\r\n"), "HD Z\r\n");
  server.Kill();
  server.Start();
  MemcachedClient fourth(server.path());
  EXPECT_EQ(fourth.Ask("mg a N30\r\nmg a N30\r\n"), "HD W\r\nHD Z\r\n");
  EXPECT_EQ(fourth.Ask("ms a 4\r\nmade\r\n"), "HD\r\n");
  // What comes late of the first one's work is refused, by its number.
  const std::string number = won.substr(4, won.find(' ', 4) - 4);
  EXPECT_EQ(fourth.Ask(absl::StrCat("ms a 4 C", number, "\r\nlate\r\nmg a v\r\n")),
            "EX\r\nVA 4\r\nmade\r\n");
}

TEST_F(MemcachedDeaths, TakesNoFileThatKeepsNoTerms) {
  SegmentOptions options;
  options.location = {.kind = SegmentKind::kFile, .name = file_};
  options.size_bytes = 1 << 20;
  ASSERT_TRUE(FindStoreDesign("seqlock_ring")->Create(options).ok());
  int code = 0;
  const std::string text = Says("-e " + file_ + " -s " + PathFor("s"), &code);
  EXPECT_EQ(code, 1);
  EXPECT_NE(text.find("choose another by --file"), std::string::npos) << text;
}

TEST_F(MemcachedDeaths, AWorkerThatIsKilledIsReplacedAndTheOthersGoOn) {
  MemcachedServer server({"-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  std::vector<std::unique_ptr<MemcachedClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<MemcachedClient>(server.path()));
    EXPECT_EQ(clients.back()->Ask("set a 0 0 1\r\nx\r\n"), "STORED\r\n");
  }
  // How many of them the first worker has, when whoever looked whether it serves has gone.
  const auto served = [&](int worker) {
    const std::string conns = clients.front()->Ask("stats conns\r\n");
    const std::string name = absl::StrCat("STAT ", worker, ":connections ");
    return std::atoi(conns.c_str() + conns.find(name) + name.size());
  };
  EXPECT_TRUE(Eventually([&] { return served(0) + served(1) == 8; }));
  const std::vector<pid_t> before = server.Workers();
  ASSERT_EQ(before.size(), 2u);
  const int victims = served(0);
  kill(before[0], SIGKILL);
  EXPECT_TRUE(Eventually([&] {
    const std::vector<pid_t> now = server.Workers();
    return now.size() == 2 && now[0] != before[0] && now[1] != before[0];
  }));
  int closed = 0;
  for (const auto& client : clients) {
    client->Ask("get a\r\n");
    closed += client->closed() ? 1 : 0;
  }
  EXPECT_EQ(closed, victims);
  EXPECT_TRUE(victims > 0 && victims < 8) << victims << ": one worker had all clients";
  EXPECT_EQ(server.Ask("get a\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\n");
  EXPECT_NE(server.Ask("stats\r\n").find("STAT worker_restarts 1\r\n"), std::string::npos);
}

TEST_F(MemcachedDeaths, AWorkerThatBeginsIsGivenClientsThatNoticeNothing) {
  MemcachedServer server({"-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  std::vector<std::unique_ptr<MemcachedClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<MemcachedClient>(server.path()));
    EXPECT_EQ(clients.back()->Ask("mn\r\n"), "MN\r\n");
  }
  // One of them has begun a request, one was told to make an item: they stay where they are.
  clients[0]->Send("set half 0 0 4\r\nva");
  EXPECT_EQ(clients[1]->Ask("mg lease N30\r\n"), "HD W\r\n");
  const auto counts = [&](MemcachedClient& client) {
    const std::string conns = client.Ask("stats conns\r\n");
    std::vector<int> of_workers;
    for (const char* name : {"STAT 0:connections ", "STAT 1:connections "}) {
      of_workers.push_back(std::atoi(conns.c_str() + conns.find(name) + strlen(name)));
    }
    return of_workers;
  };
  EXPECT_TRUE(Eventually([&] {
    const std::vector<int> now = counts(*clients.back());
    return now[0] + now[1] == 8 && now[0] > 0 && now[1] > 0;
  }));
  kill(server.Workers().front(), SIGKILL);
  std::vector<MemcachedClient*> left;
  for (size_t i = 1; i < clients.size(); ++i) {
    clients[i]->Ask("mn\r\n");
    if (!clients[i]->closed()) left.push_back(clients[i].get());
  }
  ASSERT_GE(left.size(), 2u);
  EXPECT_TRUE(Eventually([&] {
    const std::vector<int> now = counts(*left.back());
    return std::abs(now[0] - now[1]) <= 1 && now[0] > 0 && now[1] > 0;
  }));
  for (MemcachedClient* client : left) EXPECT_EQ(client->Ask("get none\r\n"), "END\r\n");
  clients[0]->Send("l1\r\n");
  const std::string answer = clients[0]->ReadUntil("\r\n");
  EXPECT_TRUE(answer == "STORED\r\n" || clients[0]->closed()) << answer;
  if (!clients[1]->closed()) {
    EXPECT_EQ(left.back()->Ask("mg lease N30\r\n"), "HD Z\r\n");
  }
}

TEST_F(MemcachedDeaths, AStoppedWorkerKeepsNoNewClientWaiting) {
  MemcachedServer server({"-m", "8", "-t", "2"}, KILL9_MEMCACHED);
  MemcachedClient first(server.path());
  EXPECT_EQ(first.Ask("version\r\n").substr(0, 7), "VERSION");
  // Whoever has no client is stopped: the busy one must take all that come.
  pid_t idle = 0;
  EXPECT_TRUE(Eventually([&] {
    const std::string conns = first.Ask("stats conns\r\n");
    for (const char* number : {"0", "1"}) {
      if (conns.find(absl::StrCat(number, ":connections 0\r")) == conns.npos) continue;
      idle = std::atoi(conns.c_str() + conns.find(absl::StrCat(number, ":pid ")) + 6);
    }
    return idle > 0;
  }));
  kill(idle, SIGSTOP);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(server.Ask("mn\r\n").substr(0, 4), "MN\r\n");
  kill(idle, SIGCONT);
}

TEST_F(MemcachedDeaths, AFullCacheRefusesAndTakesBackWhatHasExpired) {
  MemcachedServer server({"--design=cas_slots", "-m", "1", "-t", "1", "-o", "debugtime"},
                         KILL9_MEMCACHED);
  const std::string value(8000, 'v');
  std::string answers = "STORED\r\n";
  int stored = 0;
  for (; answers == "STORED\r\n" && stored < 1000; ++stored) {
    answers = server.Ask(absl::StrCat("set k", stored, " 0 60 8000\r\n", value, "\r\n"));
  }
  EXPECT_EQ(answers, "SERVER_ERROR out of memory storing object\r\n");
  EXPECT_GT(stored, 20);
  EXPECT_EQ(server.Ask(absl::StrCat("debugtime 61\r\nset new 0 0 8000\r\n", value, "\r\n")),
            "OK\r\nSTORED\r\n");
}

TEST_F(MemcachedDeaths, LimitsAreKept) {
  MemcachedServer server({"-m", "64", "-I", "32m", "-t", "1", "-c", "4", "--buffers=1"},
                         KILL9_MEMCACHED);
  MemcachedClient one(server.path()), two(server.path()), three(server.path());
  for (MemcachedClient* client : {&one, &two, &three}) client->Ask("mn\r\n");
  {
    MemcachedClient fourth(server.path()), fifth(server.path());
    EXPECT_EQ(fourth.Ask("get a\r\n"), "END\r\n");
    EXPECT_EQ(fifth.ReadUntil("\r\n"), "ERROR Too many open connections\r\n");
  }
  // A value that is never finished may not take more than all buffers together.
  one.Send("set a 0 0 30000000\r\n");
  one.Send(std::string(4 << 20, 'x'));
  EXPECT_EQ(one.ReadUntil("\r\n"), "SERVER_ERROR out of memory reading request\r\n");
  // Who asks and does not read is not read from; the others are served.
  EXPECT_EQ(two.Ask(absl::StrCat("set big 0 0 500000\r\n", std::string(500000, 'b'), "\r\n")),
            "STORED\r\n");
  std::string gets;
  for (int i = 0; i < 100; ++i) gets += "get big\r\n";
  two.Send(gets);
  EXPECT_EQ(three.Ask("get none\r\n"), "END\r\n");
  const std::string one_answer =
      absl::StrCat("VALUE big 0 500000\r\n", std::string(500000, 'b'), "\r\nEND\r\n");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(two.ReadBytes(one_answer.size()), one_answer) << i;
}

TEST_F(MemcachedDeaths, SaysWhatIsWrongAndWhatToDo) {
  const std::string foreign = PathFor("foreign");
  std::ofstream(foreign) << std::string(100000, 'x');
  MemcachedServer server({"-m", "8", "-t", "1"}, KILL9_MEMCACHED);
  const struct {
    std::string arguments;
    std::string_view says;
    int code;
  } kCases[] = {
      {"--nonsense", "'--nonsense' is not known", 2},
      {"-p 70000", "a number from 0 to 65535", 2},
      {"-t 0", "-t is '0'", 2},
      {"-I 1000", "-I is '1000'; it must be a size from 1024", 2},
      {"-B binary", "the binary protocol is not served", 2},
      {"-o nonsense", "-o nonsense is not known", 2},
      {"-U 11211", "UDP is not served", 2},
      {"stray", "'stray' is no option", 2},
      {"-s " + server.path(), "another server has it", 1},
      {"-l nowhere.invalid", "not an address: nowhere.invalid", 1},
      {"-p 0", "nobody could come", 1},
      {"--design=lmdb -s " + PathFor("s"), "it must be seqlock_ring", 1},
      {"-e " + foreign + " -s " + PathFor("s"), "move it away", 1},
      {"-e /nowhere/file -s " + PathFor("s"), "/nowhere/file", 1},
      {"-m 2 -I 64m -s " + PathFor("s"), "make -m larger", 1},
  };
  for (const auto& [arguments, says, code] : kCases) {
    int exit_code = 0;
    const std::string text = Says(arguments, &exit_code);
    EXPECT_EQ(exit_code, code) << arguments << ": " << text;
    EXPECT_NE(text.find(says), std::string::npos) << arguments << ": " << text;
  }
  unlink(foreign.c_str());
}

}  // namespace
}  // namespace kill9
