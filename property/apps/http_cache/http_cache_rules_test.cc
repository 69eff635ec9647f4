// The rules of a shared HTTP cache, without a socket: freshness, Cache-Control, Vary, ranges,
// dates, and where messages end.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/http_cache/cache/record.h"
#include "apps/http_cache/http/http_date.h"
#include "apps/http_cache/http/parser.h"
#include "apps/http_cache/rules/freshness.h"
#include "apps/http_cache/rules/selection.h"

namespace kill9::http {
namespace {

constexpr int64_t kNow_ms = 1'700'000'000'000;

ResponseHead Response(Fields fields, int status = 200) {
  ResponseHead head;
  head.status = status;
  head.fields = std::move(fields);
  return head;
}

struct Judged {
  Keep keep;
  Life life;
};

Judged Judge(const Fields& response, const Fields& request = {}, int status = 200) {
  Judged judged;
  judged.keep =
      MayKeep(FactsOf(request), Response(response, status), kNow_ms, kNow_ms, &judged.life);
  return judged;
}

Use UseAfter(int64_t seconds, const Fields& response, const Fields& request = {}) {
  const Judged judged = Judge(response);
  EXPECT_EQ(judged.keep, Keep::kYes);
  return MayUse(FactsOf(request), judged.life, kNow_ms + seconds * 1000);
}

TEST(HttpCacheFreshness, SharedLifetimeGoesBeforePrivateOneAndThatBeforeExpires) {
  const std::string expires = FormatDate(kNow_ms / 1000 + 5);
  EXPECT_EQ(Judge({{"Expires", expires}, {"ETag", "\"a\""}}).life.lifetime_ms, 5000);
  EXPECT_EQ(Judge({{"Expires", expires}, {"Cache-Control", "max-age=7"}}).life.lifetime_ms, 7000);
  EXPECT_EQ(Judge({{"Cache-Control", "max-age=7, s-maxage=9"}}).life.lifetime_ms, 9000);
}

TEST(HttpCacheFreshness, TheLastMomentIsFreshAndTheNextIsNot) {
  const Fields response = {{"Cache-Control", "max-age=10"}};
  EXPECT_EQ(UseAfter(9, response), Use::kFresh);
  EXPECT_EQ(UseAfter(10, response), Use::kAfterValidation);
}

TEST(HttpCacheFreshness, AgeThatIsNoSingleNumberMakesItOld) {
  const auto left = [](std::string_view age) {
    return Judge({{"Cache-Control", "max-age=100"}, {"Age", age}, {"ETag", "\"a\""}})
        .life.LeftMs(kNow_ms);
  };
  EXPECT_EQ(left("40"), 60'000);
  for (const std::string_view age : {"-1", "1.0", "0, 0", "x", "1;a", "999999999999999999999"})
    EXPECT_LE(left(age), 0) << age;
}

TEST(HttpCacheFreshness, HeuristicIsATenthOfTheTimeSinceItsChangeAndADayAtMost) {
  const std::string then = FormatDate(kNow_ms / 1000 - 1000);
  EXPECT_EQ(Judge({{"Last-Modified", then}}).life.lifetime_ms, 100'000);
  const std::string long_ago = FormatDate(kNow_ms / 1000 - 100'000'000);
  EXPECT_EQ(Judge({{"Last-Modified", long_ago}}).life.lifetime_ms, 24 * 3600 * 1000);
  EXPECT_EQ(Judge({{"Last-Modified", then}}, {}, 201).keep, Keep::kNotOfUse);
}

TEST(HttpCacheFreshness, WhatMustNotBeKeptIsNot) {
  const auto keep = [](std::string_view control) {
    return Judge({{"Cache-Control", control}}).keep;
  };
  EXPECT_EQ(keep("max-age=9"), Keep::kYes);
  EXPECT_EQ(keep("max-age=9, NO-Store"), Keep::kNoStore);
  EXPECT_EQ(keep("max-age=9, private=\"x\""), Keep::kNoStore);
  EXPECT_EQ(keep("max-age=0"), Keep::kNotOfUse);
  EXPECT_EQ(Judge({{"Cache-Control", "max-age=9"}, {"Vary", "a, *"}}).keep, Keep::kVaries);
  EXPECT_EQ(Judge({{"Cache-Control", "max-age=9"}}, {{"Cache-Control", "no-store"}}).keep,
            Keep::kNoStore);
  EXPECT_EQ(Judge({{"Cache-Control", "max-age=9"}}, {}, 206).keep, Keep::kNotOfUse);
}

TEST(HttpCacheFreshness, ResponsesToAuthorizedRequestsNeedPermission) {
  const Fields authorized = {{"Authorization", "x"}};
  const auto keep = [&](std::string_view control) {
    return Judge({{"Cache-Control", control}}, authorized).keep;
  };
  EXPECT_EQ(keep("max-age=9"), Keep::kNoStore);
  for (const std::string_view control :
       {"max-age=9, public", "s-maxage=9", "max-age=9, must-revalidate"}) {
    EXPECT_EQ(keep(control), Keep::kYes) << control;
  }
}

TEST(HttpCacheFreshness, RequestsMayAskForMoreOrLess) {
  const Fields response = {{"Cache-Control", "max-age=10, stale-while-revalidate=5"}};
  const auto use = [&](int64_t after, std::string_view control) {
    return UseAfter(after, response, {{"Cache-Control", control}});
  };
  EXPECT_EQ(use(5, "max-age=4"), Use::kAfterValidation);
  EXPECT_EQ(use(5, "max-age=5"), Use::kFresh);
  EXPECT_EQ(use(5, "min-fresh=6"), Use::kAfterValidation);
  EXPECT_EQ(use(5, "no-cache"), Use::kAfterValidation);
  EXPECT_EQ(use(12, "x"), Use::kWhileRevalidate);
  EXPECT_EQ(use(20, "x"), Use::kAfterValidation);
  EXPECT_EQ(use(20, "max-stale=10"), Use::kStale);
  EXPECT_EQ(use(21, "max-stale=10"), Use::kAfterValidation);
  EXPECT_EQ(use(99, "max-stale"), Use::kStale);
  const Fields strict = {{"Cache-Control", "max-age=10, must-revalidate"}};
  EXPECT_EQ(UseAfter(20, strict, {{"Cache-Control", "max-stale"}}), Use::kAfterValidation);
}

TEST(HttpCacheFreshness, StaleOnErrorOnlyWithinItsWindow) {
  const Life life = Judge({{"Cache-Control", "max-age=10, stale-if-error=5"}}).life;
  EXPECT_TRUE(MayUseOnError({}, life, kNow_ms + 14'000));
  EXPECT_FALSE(MayUseOnError({}, life, kNow_ms + 15'000));
}

TEST(HttpCacheFreshness, DirectivesInQuotedTextAreNone) {
  const CacheControl control =
      ParseCacheControl({{"Cache-Control", "a=\"no-store, max-age=1\", max-age=5"}});
  EXPECT_FALSE(control.no_store);
  EXPECT_EQ(control.max_age_s, 5);
  EXPECT_EQ(ParseCacheControl({{"Cache-Control", "max-age='5'"}}).max_age_s, 0);
  EXPECT_EQ(
      ParseCacheControl({{"Cache-Control", "max-age=9"}, {"Cache-Control", "max-age=4"}}).max_age_s,
      4);
  EXPECT_EQ(ParseCacheControl({{"Cache-Control", "max-age=99999999999"}}).max_age_s,
            int64_t{1} << 31);
}

TEST(HttpCacheSelection, VaryComparesWhatListsSayAndNotHowTheyAreCut) {
  const std::string names = VaryNames({{"Vary", "B, a"}, {"Vary", "b"}});
  EXPECT_EQ(names, "a,b");
  EXPECT_EQ(VaryValues(names, {{"A", "1,  2"}}), VaryValues(names, {{"a", "1"}, {"A", "2"}}));
  EXPECT_NE(VaryValues(names, {{"A", "1"}}), VaryValues(names, {{"A", "2"}}));
  EXPECT_NE(VaryValues(names, {{"A", ""}}), VaryValues(names, {}));
  EXPECT_NE(VaryValues("a,b", {{"A", "x"}}), VaryValues("a,b", {{"B", "x"}}));
  EXPECT_EQ(VaryValues("accept-language", {{"Accept-Language", "de, EN;q=0.5"}}),
            VaryValues("accept-language", {{"Accept-Language", "en;q=0.5,de"}}));
}

TEST(HttpCacheSelection, ConditionsCompareTagsBeforeDates) {
  Validators stored;
  stored.etag = "\"a\"";
  stored.last_modified_s = 1000;
  EXPECT_TRUE(NotModified({{"If-None-Match", "\"b\", W/\"a\""}}, stored));
  EXPECT_TRUE(NotModified({{"If-None-Match", "*"}}, stored));
  EXPECT_TRUE(NotModified({{"If-Modified-Since", FormatDate(1000)}}, stored));
  EXPECT_FALSE(NotModified({{"If-Modified-Since", FormatDate(999)}}, stored));
  EXPECT_FALSE(
      NotModified({{"If-None-Match", "\"b\""}, {"If-Modified-Since", FormatDate(2000)}}, stored));
}

TEST(HttpCacheSelection, RangesAreCutToTheBodyOrRefused) {
  const auto part = [](std::string_view range, std::string_view if_range = "") {
    Validators stored;
    stored.etag = "\"a\"";
    Fields fields = {{"Range", range}};
    if (!if_range.empty()) fields.push_back({"If-Range", if_range});
    const ByteRange got = SelectRange(fields, stored, 100);
    if (got.kind == ByteRange::Kind::kWhole) return std::string("whole");
    if (got.kind == ByteRange::Kind::kNotSatisfiable) return std::string("none");
    return std::to_string(got.first) + "+" + std::to_string(got.bytes);
  };
  EXPECT_EQ(part("bytes=0-0"), "0+1");
  EXPECT_EQ(part("bytes=90-200"), "90+10");
  EXPECT_EQ(part("bytes=99-"), "99+1");
  EXPECT_EQ(part("bytes=-5"), "95+5");
  EXPECT_EQ(part("bytes=-500"), "0+100");
  EXPECT_EQ(part("bytes=100-"), "none");
  EXPECT_EQ(part("bytes=-0"), "none");
  EXPECT_EQ(part("bytes=5-18446744073709551615"), "5+95");
  for (const std::string_view range : {"bytes=5-4", "bytes=-", "bytes=a-b", "lines=1-2",
                                       "bytes=1-2,5-6", "bytes=99999999999999999999-"}) {
    EXPECT_EQ(part(range), "whole") << range;
  }
  EXPECT_EQ(part("bytes=0-0", "\"a\""), "0+1");
  EXPECT_EQ(part("bytes=0-0", "W/\"a\""), "whole");
}

TEST(HttpCacheDates, ThreeFormsAreReadAndNonsenseIsNot) {
  EXPECT_EQ(FormatDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const std::string_view date :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(ParseDate(date), 784111777) << date;
  }
  for (const std::string_view date :
       {"0", "", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 46 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT "}) {
    EXPECT_EQ(ParseDate(date), std::nullopt) << date;
  }
}

TEST(HttpCacheMessages, ChunksArriveByteByByteOrAtOnce) {
  const std::string sent = "3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\nnext";
  for (size_t step = 1; step <= sent.size(); ++step) {
    BodyReader reader(Framing{Framing::Kind::kChunked, 0});
    std::string body;
    std::string waiting;
    for (size_t at = 0; at < sent.size(); at += step) {
      waiting += sent.substr(at, step);
      waiting.erase(0, reader.Read(waiting, [&](std::string_view part) { body += part; }));
    }
    EXPECT_TRUE(reader.done()) << step;
    EXPECT_EQ(body, "abc0123456789") << step;
    EXPECT_EQ(waiting, "next") << step;
  }
}

TEST(HttpCacheMessages, ARequestThatEndsInTwoPlacesIsRefused) {
  const auto status = [](const std::string& fields) {
    RequestHead head;
    const std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
    return ParseRequest(bytes, &head);
  };
  EXPECT_EQ(status("Content-Length: 3\r\n"), 0);
  EXPECT_EQ(status("Transfer-Encoding: chunked\r\n"), 0);
  EXPECT_EQ(status("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(status("Content-Length: 3\r\ncontent-length: 3\r\n"), 400);
  EXPECT_EQ(status("Content-Length: 3,3\r\n"), 400);
  EXPECT_EQ(status("Transfer-Encoding: gzip, chunked\r\n"), 501);
  EXPECT_EQ(status("X: a\r\n b\r\n"), 400);
}

TEST(HttpCacheRecords, AnotherKeysRecordIsNone) {
  const ResponseHead response = Response({{"ETag", "\"a\""}});
  const std::string head = StoredHead(response, kNow_ms);
  std::string bytes = MakeResponseFront("key", response, head, Life(), 4, 0, 1024) + "body";
  ASSERT_TRUE(ReadRecord(bytes, "key"));
  EXPECT_EQ(ReadRecord(bytes, "key")->etag(), "\"a\"");
  EXPECT_EQ(ReadRecord(bytes, "key")->body, "body");
  EXPECT_FALSE(ReadRecord(bytes, "kez"));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(ReadRecord(std::string_view(bytes).substr(0, size), "key")) << size;
}

TEST(HttpCacheRecords, A304ChangesWhatIsNotOfTheBody) {
  const std::string head = FreshenedHead(
      "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nX: 1\r\nContent-Encoding: gzip\r\n",
      {{"X", "2"}, {"Content-Encoding", "br"}, {"Y", "3"}, {"Connection", "Z"}, {"Z", "4"}});
  EXPECT_EQ(head, "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Encoding: gzip\r\nX: 2\r\nY: 3\r\n");
}

}  // namespace
}  // namespace kill9::http
