// From bytes to requests: what each line becomes, however its bytes arrive.
#include <random>
#include <string>
#include <vector>

#include "apps/memcached/protocol/parser.h"
#include "gtest/gtest.h"

namespace kill9::memcached {
namespace {

constexpr size_t kValueBytesMost = 1000;

struct Told {
  ParseOutcome outcome;
  size_t consumed;
  size_t skip;
  std::string answer;
};

Told Parse(std::string_view input) {
  Request request;
  const Parsed parsed = ParseRequest(input, kValueBytesMost, &request);
  return {parsed.outcome, parsed.consumed, parsed.skip, std::string(parsed.answer)};
}

TEST(MemcachedParser, SaysWhatIsWrongWithALine) {
  const struct {
    std::string_view line;
    std::string_view answer;
  } kRefused[] = {
      {"bogus", "ERROR"},
      {"", "ERROR"},
      {" ", "ERROR"},
      {"get", "ERROR"},
      {"get ", "ERROR"},
      {"GETS a", "ERROR"},
      {"gat", "ERROR"},
      {"gat x a", "CLIENT_ERROR invalid exptime argument"},
      {"set a 0 0", "ERROR"},
      {"set a x 0 1", "CLIENT_ERROR bad command line format"},
      {"set a 0 x 1", "CLIENT_ERROR bad command line format"},
      {"set a 0 0 -1", "CLIENT_ERROR bad command line format"},
      {"set a 0 0 4294967295", "CLIENT_ERROR bad command line format"},
      {"set a 4294967296 0 1", "CLIENT_ERROR bad command line format"},
      {"cas a 0 0 1", "ERROR"},
      {"cas a 0 0 1 x", "CLIENT_ERROR bad command line format"},
      {"incr a", "ERROR"},
      {"incr a x", "CLIENT_ERROR invalid numeric delta argument"},
      {"decr a -1", "CLIENT_ERROR invalid numeric delta argument"},
      {"touch a x", "CLIENT_ERROR invalid exptime argument"},
      {"delete", "ERROR"},
      {"delete a 5", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"},
      {"delete a 5 noreply", ""},
      {"flush_all x", "CLIENT_ERROR invalid exptime argument"},
      {"verbosity", "ERROR"},
      {"verbosity 1 2 3", "ERROR"},
      {"flush_all 0 0 0", "ERROR"},
      {"incr a 1 2 3", "ERROR"},
      {"touch a 1 2 3", "ERROR"},
      {"mg", "CLIENT_ERROR bad command line format"},
      {"mg a v v", "CLIENT_ERROR duplicate flag"},
      {"mg a m", "CLIENT_ERROR invalid flag"},
      {"mg a Nx", "CLIENT_ERROR bad token in command line format"},
      {"mg *** b", "CLIENT_ERROR error decoding key"},
      {"ms a", "CLIENT_ERROR bad command line format"},
      {"ms a 2 MZ", "CLIENT_ERROR invalid mode for command"},
      {"ma a Dx", "CLIENT_ERROR invalid numeric delta argument"},
  };
  for (const auto& [line, answer] : kRefused) {
    const Told told = Parse(std::string(line) + "\r\n");
    EXPECT_EQ(told.outcome, ParseOutcome::kRefused) << line;
    EXPECT_EQ(told.answer, answer) << line;
    EXPECT_EQ(told.consumed, line.size() + 2) << line;
  }
  const std::string long_key(kKeyBytesMost + 1, 'k');
  for (const std::string& line : {"get a " + long_key, "delete " + long_key,
                                  "set " + long_key + " 0 0 3", "mg " + long_key}) {
    EXPECT_EQ(Parse(line + "\r\n").answer, "CLIENT_ERROR bad command line format") << line;
  }
}

TEST(MemcachedParser, TakesNoDataForCommands) {
  // Whatever else is wrong: the data that the line announces are passed over.
  const std::string long_key(kKeyBytesMost + 1, 'k');
  EXPECT_EQ(Parse("set " + long_key + " 0 0 30\r\n").skip, 32u);
  EXPECT_EQ(Parse("ms a 30 MZ\r\n").skip, 32u);
  EXPECT_EQ(Parse("set a 0 0 1001\r\n").skip, 1003u);
  EXPECT_EQ(Parse("set a 0 0 1001\r\n").answer, "SERVER_ERROR object too large for cache");
  EXPECT_EQ(Parse("set a 0 0 1001 noreply\r\n").answer, "");
  const Told bad = Parse("set a 0 0 3\r\nabcdeflush_all\r\n");
  EXPECT_EQ(bad.answer, "CLIENT_ERROR bad data chunk");
}

TEST(MemcachedParser, HangsUpOnOtherProtocols) {
  for (const std::string_view line :
       {"GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "\x80\x01\r\n", "\x16\x03\x01\r\n"}) {
    EXPECT_EQ(Parse(line).outcome, ParseOutcome::kHangUp) << line;
  }
}

TEST(MemcachedParser, BoundsLinesWithoutEnd) {
  EXPECT_EQ(Parse(std::string(kLineBytesMost, 'a')).outcome, ParseOutcome::kNeedMore);
  EXPECT_EQ(Parse(std::string(kLineBytesMost + 1, 'a')).outcome, ParseOutcome::kHangUp);
  std::string keys = "get ";
  while (keys.size() < kKeysLineBytesMost) keys += "key ";
  keys.resize(kKeysLineBytesMost);
  EXPECT_EQ(Parse(keys).outcome, ParseOutcome::kNeedMore);
  EXPECT_EQ(Parse(keys + "k").outcome, ParseOutcome::kHangUp);
}

TEST(MemcachedParser, ReadsWhatAMetaCommandSays) {
  Request request;
  ASSERT_EQ(
      ParseRequest("ms Zm9v 2 b T90 C7 F5 I q k Oopaque MA\r\nhi\r\n", 1000, &request).outcome,
      ParseOutcome::kRequest);
  EXPECT_EQ(request.key, "foo");
  EXPECT_EQ(request.key_as_sent, "Zm9v");
  EXPECT_EQ(request.data, "hi");
  EXPECT_EQ(request.exptime, 90);
  EXPECT_TRUE(request.has_exptime && request.has_cas && request.noreply);
  EXPECT_EQ(request.cas, 7u);
  EXPECT_EQ(request.client_flags, 5u);
  EXPECT_EQ(request.mode, 'A');
  EXPECT_TRUE(request.flags.Has('I'));
  ASSERT_EQ(request.flags.all().size(), 9u);
  EXPECT_EQ(request.flags.all()[7].token, "opaque");
}

std::vector<Told> ParseAll(std::string_view input, const std::vector<size_t>& cuts) {
  std::vector<Told> all;
  std::string waiting;
  size_t from = 0, skip = 0;
  for (size_t cut : cuts) {
    waiting.append(input.substr(from, cut - from));
    from = cut;
    for (;;) {
      const size_t passed = std::min(skip, waiting.size());
      waiting.erase(0, passed);
      skip -= passed;
      const Told told = Parse(waiting);
      if (told.outcome == ParseOutcome::kNeedMore || skip > 0) break;
      all.push_back(told);
      if (told.outcome == ParseOutcome::kHangUp) return all;
      waiting.erase(0, told.consumed);
      skip = told.skip;
    }
  }
  return all;
}

// Lines of the protocol with bytes changed, dropped and repeated, cut anywhere.
TEST(MemcachedParser, SaysTheSameHoweverTheBytesArrive) {
  const std::string_view kLines[] = {"get a b c\r\n",           "set a 1 2 5\r\nhello\r\n",
                                     "mg k v t N30\r\n",        "cas a 0 0 0 9 noreply\r\n\r\n",
                                     "ms k 3 T0 MR\r\nabc\r\n", "incr n 18446744073709551615\r\n",
                                     "delete a 0 noreply\r\n",  "stats items\r\n",
                                     "ma n D2 MD v\r\n",        "verbosity 1\r\n"};
  std::mt19937_64 random(9);
  size_t requests = 0, refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string input;
    for (int i = 0; i < 5; ++i) input += kLines[random() % std::size(kLines)];
    for (uint64_t i = random() % 4; i > 0; --i) {
      const size_t at = random() % input.size();
      switch (random() % 3) {
        case 0:
          input[at] = static_cast<char>(random());
          break;
        case 1:
          input.erase(at, 1);
          break;
        default:
          input.insert(at, input.substr(at, random() % 20));
      }
    }
    std::vector<size_t> cuts = {random() % input.size(), random() % input.size(), input.size()};
    std::sort(cuts.begin(), cuts.end());
    const std::vector<Told> whole = ParseAll(input, {input.size()}), cut = ParseAll(input, cuts);
    ASSERT_EQ(whole.size(), cut.size()) << input;
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(whole[i].outcome, cut[i].outcome) << input;
      EXPECT_EQ(whole[i].answer, cut[i].answer) << input;
      (whole[i].outcome == ParseOutcome::kRequest ? requests : refused) += 1;
    }
  }
  EXPECT_GT(requests, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace kill9::memcached
