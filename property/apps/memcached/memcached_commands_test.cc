// Every command against a running server, over each design that it offers.
#include <string>
#include <vector>

#include "property/apps/memcached/memcached_fixture.h"

namespace kill9 {
namespace {

class MemcachedCommands : public testing::TestWithParam<const char*> {
 protected:
  MemcachedServer server_{{absl::StrCat("--design=", GetParam()), "-m", "8", "-t", "2", "-A", "-I",
                           "64k", "-o", "debugtime"},
                          KILL9_MEMCACHED};
  MemcachedClient client_{server_.path()};

  // Requests and their answers, in their order, in one connection.
  void Expect(std::string_view requests, std::string_view answers) {
    EXPECT_EQ(client_.Ask(requests), answers) << requests;
  }
  // The item's number.
  std::string CasOf(const std::string& key) {
    const std::string answer = client_.Ask(absl::StrCat("mg ", key, " c\r\n"));
    return answer.substr(4, answer.find_first_of(" \r", 4) - 4);
  }
};

TEST_P(MemcachedCommands, StoreAndFetch) {
  Expect("set a 7 0 3\r\nabc\r\nget a\r\n", "STORED\r\nVALUE a 7 3\r\nabc\r\nEND\r\n");
  Expect("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
  Expect("replace b 0 0 1\r\nx\r\nappend b 0 0 1\r\nx\r\nprepend b 0 0 1\r\nx\r\n",
         "NOT_STORED\r\nNOT_STORED\r\nNOT_STORED\r\n");
  Expect("add b 0 0 1\r\nx\r\nreplace b 3 0 1\r\ny\r\n", "STORED\r\nSTORED\r\n");
  Expect("append b 9 9 2\r\n12\r\nprepend b 9 9 2\r\n09\r\nget b a none\r\n",
         "STORED\r\nSTORED\r\nVALUE b 3 5\r\n09y12\r\nVALUE a 7 3\r\nabc\r\nEND\r\n");
  Expect("set e 0 0 0\r\n\r\nget e\r\n", "STORED\r\nVALUE e 0 0\r\n\r\nEND\r\n");
  Expect("set n 0 0 4 noreply\r\nab\r\n\r\nget n\r\n", "VALUE n 0 4\r\nab\r\n\r\nEND\r\n");
  Expect("delete a\r\ndelete a\r\nget a\r\n", "DELETED\r\nNOT_FOUND\r\nEND\r\n");
}

TEST_P(MemcachedCommands, CompareAndSwapKnowsAnItemFromEveryOther) {
  Expect("cas a 0 0 1 5\r\nx\r\nset a 0 0 1\r\n1\r\n", "NOT_FOUND\r\nSTORED\r\n");
  const std::string cas = CasOf("a");
  Expect("set other 0 0 1\r\n1\r\n", "STORED\r\n");
  EXPECT_NE(CasOf("other"), cas) << "programs expect that the numbers of two keys differ";
  Expect("touch a 100\r\n", "TOUCHED\r\n");
  EXPECT_EQ(CasOf("a"), cas) << "touch keeps the number";
  Expect(absl::StrCat("cas a 0 0 1 ", cas, "\r\n2\r\ncas a 0 0 1 ", cas, "\r\n3\r\nget a\r\n"),
         "STORED\r\nEXISTS\r\nVALUE a 0 1\r\n2\r\nEND\r\n");
  // Deleted and set to the same again: another item.
  const std::string second = CasOf("a");
  Expect("delete a\r\nset a 0 0 1\r\n2\r\n", "DELETED\r\nSTORED\r\n");
  Expect(absl::StrCat("cas a 0 0 1 ", second, "\r\n3\r\n"), "EXISTS\r\n");
  Expect(absl::StrCat("md a C", second, "\r\nmd a C", CasOf("a"), "\r\nmd a\r\n"),
         "EX\r\nHD\r\nNF\r\n");
}

TEST_P(MemcachedCommands, Numbers) {
  Expect("incr n 1\r\ndecr n 1\r\nset n 5 0 2\r\n10\r\n", "NOT_FOUND\r\nNOT_FOUND\r\nSTORED\r\n");
  Expect("incr n 5\r\ndecr n 7\r\ndecr n 100\r\n", "15\r\n8\r\n0\r\n");
  Expect("incr n 18446744073709551615\r\nincr n 1\r\nget n\r\n",
         "18446744073709551615\r\n0\r\nVALUE n 5 1\r\n0\r\nEND\r\n");
  Expect("set t 0 0 1\r\nx\r\nincr t 1\r\n",
         "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
  Expect("ma v N0 J13 v\r\nma v D30 v\r\nma v MD v\r\nma none\r\n",
         "VA 2\r\n13\r\nVA 2\r\n43\r\nVA 2\r\n42\r\nNF\r\n");
}

TEST_P(MemcachedCommands, WhatHasExpiredOrWasFlushedNeverComesBack) {
  Expect("set a 0 10 1\r\nx\r\nset b 0 -1 1\r\nx\r\nset c 0 0 1\r\nx\r\nget a b c\r\n",
         "STORED\r\nSTORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nVALUE c 0 1\r\nx\r\nEND\r\n");
  Expect("debugtime 11\r\nget a\r\ntouch a 0\r\nappend a 0 0 1\r\ny\r\ndelete a\r\n",
         "OK\r\nEND\r\nNOT_FOUND\r\nNOT_STORED\r\nNOT_FOUND\r\n");
  Expect("gat 5 c\r\ndebugtime 6\r\nget c\r\n", "VALUE c 0 1\r\nx\r\nEND\r\nOK\r\nEND\r\n");
  Expect("set d 0 0 1\r\nx\r\nflush_all\r\nget d\r\nreplace d 0 0 1\r\ny\r\nadd d 0 0 1\r\nz\r\n",
         "STORED\r\nOK\r\nEND\r\nNOT_STORED\r\nSTORED\r\n");
  Expect("flush_all 10\r\nget d\r\ndebugtime 11\r\nget d\r\nset d 0 0 1\r\nw\r\nget d\r\n",
         "OK\r\nVALUE d 0 1\r\nz\r\nEND\r\nOK\r\nEND\r\nSTORED\r\nVALUE d 0 1\r\nw\r\nEND\r\n");
}

TEST_P(MemcachedCommands, OneClientIsChosenToMakeAnItemAnew) {
  Expect("mg a v\r\nmg a v N30 t\r\nmg a v N30\r\n", "EN\r\nVA 0 t30 W\r\n\r\nVA 0 Z\r\n\r\n");
  Expect("ms a 1 T100\r\n1\r\nmg a v R30\r\nmg a v R200\r\nmg a v R200\r\n",
         "HD\r\nVA 1\r\n1\r\nVA 1 W\r\n1\r\nVA 1 Z\r\n1\r\n");
  Expect("ms a 1 T0\r\n2\r\nmd a I T30\r\nmg a v t\r\nmg a v\r\n",
         "HD\r\nHD\r\nVA 1 t30 W X\r\n2\r\nVA 1 X Z\r\n2\r\n");
  // An older client's value is kept as stale only where it says so.
  Expect("ms a 1 C1\r\n3\r\nms a 1 C1 I\r\n4\r\nmg a v\r\n", "EX\r\nHD\r\nVA 1 X Z\r\n4\r\n");
  Expect(absl::StrCat("ms a 1 C", CasOf("a"), "\r\n5\r\nmg a v\r\n"), "HD\r\nVA 1\r\n5\r\n");
}

TEST_P(MemcachedCommands, MetaFlagsComeBackInTheirOrder) {
  Expect("ms a 2 F9 T0 k Oid\r\nhi\r\nmg a s v f t k Oid\r\n",
         "HD ka Oid\r\nVA 2 s2 f9 t-1 ka Oid\r\nhi\r\n");
  Expect("mg a h\r\nmg a h l\r\nmg a u h\r\n", "HD h0\r\nHD h1 l0\r\nHD h1\r\n");
  Expect("mg none q\r\nmd none q\r\nms a 1 q\r\nx\r\nmg a v q\r\nmg none k Oid\r\n",
         "VA 1\r\nx\r\nEN knone Oid\r\n");
  Expect("ms YSBi 1 b\r\nx\r\nmg YSBi b v k\r\n", "HD b\r\nVA 1 b kYSBi\r\nx\r\n");
  Expect("ms m 1 ME\r\n1\r\nms m 1 ME\r\n2\r\nms m 1 MA\r\n3\r\nms m 1 MP\r\n4\r\nmg m v\r\n",
         "HD\r\nNS\r\nHD\r\nHD\r\nVA 3\r\n413\r\n");
}

TEST_P(MemcachedCommands, LongValuesAndManyKeysAreAnswered) {
  const std::string value(60000, 'v');
  std::string stores, keys = "get", expected;
  for (int i = 0; i < 20; ++i) {
    stores += absl::StrCat("set k", i, " 0 0 60000 noreply\r\n", value, "\r\n");
    keys += absl::StrCat(" k", i);
    expected += absl::StrCat("VALUE k", i, " 0 60000\r\n", value, "\r\n");
  }
  Expect(stores, "");
  // More than the server answers at once, twice: it goes on where it was.
  EXPECT_EQ(client_.Ask(keys + "\r\n" + keys + "\r\n"),
            expected + "END\r\n" + expected + "END\r\n");
  Expect(absl::StrCat("set k0 0 0 70000\r\n", std::string(70000, 'w'), "\r\nget k0\r\n"),
         "SERVER_ERROR object too large for cache\r\nEND\r\n");
}

TEST_P(MemcachedCommands, GarbageIsAnsweredOrCutOff) {
  Expect("bogus\r\n\r\nset a 0 0 3\r\nabcdef\r\nget a\r\n",
         "ERROR\r\nERROR\r\nCLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n");
  for (const std::string& garbage :
       {std::string("\x80\x00\x00\x00", 4), std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string(100000, 'x')}) {
    MemcachedClient other(server_.path());
    other.Send(garbage);
    other.ReadUntil("never");
    EXPECT_TRUE(other.closed());
  }
  Expect("version\r\nverbosity 1\r\n", "VERSION 1.6.18-kill9-" KILL9_VERSION "\r\nOK\r\n");
  EXPECT_EQ(server_.Workers().size(), 2u) << "nobody has died of it";
}

TEST_P(MemcachedCommands, StatisticsAndItsEnd) {
  Expect("set a 0 0 1\r\nx\r\nget a\r\nget b\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nEND\r\n");
  const std::string stats = client_.Ask("stats\r\n");
  for (const char* line : {"STAT cmd_get 2\r\n", "STAT get_hits 1\r\n", "STAT get_misses 1\r\n",
                           "STAT curr_items 1\r\n", "STAT cmd_set 1\r\n", "STAT threads 2\r\n"}) {
    EXPECT_NE(stats.find(line), std::string::npos) << line << stats;
  }
  Expect("stats reset\r\n", "RESET\r\n");
  EXPECT_NE(client_.Ask("stats\r\n").find("STAT cmd_get 0\r\n"), std::string::npos);
  EXPECT_NE(client_.Ask("stats settings\r\n").find("STAT maxconns 1024\r\n"), std::string::npos);
  client_.Send("quit\r\n");
  EXPECT_EQ(client_.ReadUntil("never"), "");
  EXPECT_TRUE(client_.closed());
  MemcachedClient other(server_.path());
  other.Send("shutdown\r\n");
  EXPECT_TRUE(Eventually([&] { return server_.Workers().empty(); }));
}

INSTANTIATE_TEST_SUITE_P(Designs, MemcachedCommands,
                         testing::Values("seqlock_ring", "cas_slots", "striped_locks",
                                         "global_mutex"),
                         [](const auto& design) { return std::string(design.param); });

}  // namespace
}  // namespace kill9
